"""Scraping lists and the manifest rows derived from them."""

import os

import pytest

from prunet.base.errors import InputError
from prunet.data.listing import labels, scraping, source


def listed(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "list.csv"
    path.write_bytes(text.encode(encoding))
    return path


def screened(*pairs):
    return scraping.screen([{"label": label, "url": url} for label, url in pairs])


def good(image):
    return {"status": "ok", "image": image, "detail": ""}


def test_a_list_keeps_its_order(tmp_path):
    path = listed(tmp_path, 'note,url,label\nx,b.jpg,Zoë\n,"a,1.jpg",Arya\n', "utf-8-sig")
    found = [tuple(row.values()) for row in source.read_list(path)]
    assert found == [("Zoë", "b.jpg", ""), ("Arya", "a,1.jpg", "")]


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        ("", "utf-8", r"list\.csv has no column 'label' \(its first line names: nothing\)"),
        ("label,url\n", "utf-8", r"list\.csv has a header but no rows; add rows label,url to it"),
        ("label,link\na,b\n", "utf-8", r"list\.csv has no column 'url' \(its first .* names: label, link\)"),
        ("label,url,Größe\na,b,c\n", "latin-1", r"list\.csv, line 1: not UTF-8 text"),
        ("label,url,label,url\n", "utf-8", r"list\.csv has several columns named 'label' and 'url'"),
    ],
)
def test_an_unreadable_list_is_refused(tmp_path, text, encoding, message):
    with pytest.raises(InputError, match=message):
        source.read_list(listed(tmp_path, text, encoding))


def test_a_missing_source_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"nothing\.csv does not exist; give a CSV list"):
        source.read_list(tmp_path / "nothing.csv")


def test_a_tree_is_read_in_sorted_order_without_hidden_files(tmp_path):
    names = ["b/2.jpg", "b/1.jpg", "a/deep/3.jpg", "stray.jpg", "a/.hidden.jpg", ".git/4.jpg", "a/notes.txt"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "linked").symlink_to(tmp_path / "b")
    labelled = [("a", "a/deep/3.jpg"), ("a", "a/notes.txt"), ("b", "b/1.jpg"), ("b", "b/2.jpg")]
    found = [(row["label"], row["url"]) for row in source.read_list(tmp_path)]
    assert found == [*labelled, ("linked", "linked"), ("", "stray.jpg")]


def test_an_empty_tree_is_refused(tmp_path):
    (tmp_path / "label").mkdir()
    with pytest.raises(InputError, match=r"contains no files; add pictures as label/photo\.jpg"):
        source.read_list(tmp_path)


@pytest.mark.parametrize("label", ["Grey Worm", "Zoë", "丹妮莉丝", "O'Brien-2 (b)", "x" * 64])
def test_good_labels(label):
    assert scraping.label_problem(label) == ""


@pytest.mark.parametrize(
    ("word", "labels"),
    [
        ("empty", [""]),
        ("slash", ["a/b", "a\\b", "../a", ".."]),
        ("dot", [".a"]),
        ("control", ["a\x00b", "a\nb", "a\u202eb"]),
        ("longer than 64", ["x" * 65]),
        ("255 bytes", ["\U0001f600" * 64]),
        ("reserved", ["Manifest.csv", "counts.json"]),
    ],
)
def test_bad_labels(word, labels):
    assert all(word in scraping.label_problem(label) for label in labels)


def test_screened_rows_are_numbered_and_normalised():
    pairs = ((" Zoe\u0308 ", "http://a/1"), ("Zoë", "http://a/1"), ("", "http://a/2"), ("b", "x.jpg"))
    rows = screened(*pairs)
    assert [tuple(row.values()) for row in rows] == [
        ("1", "Zoë", "http://a/1", "", "", ""),
        ("2", "Zoë", "http://a/1", "duplicate", "", "same label and url as row 1"),
        ("3", "", "http://a/2", "bad-label", "", "the label is empty"),
        ("4", "b", "x.jpg", "", "", ""),
    ]


def test_the_first_of_several_equal_images_is_kept():
    rows = screened(("a", "1"), ("a", "2"), ("b", "3"), ("b", "1"), ("b", "4"))
    results = {url: good("f00.jpg") for url in "321"}  # the order of results is irrelevant
    late = {"status": "timeout", "image": "", "detail": "no complete answer within 1 s"}
    scraping.settle(rows, results | {"4": late})
    other = "same bytes as row 1, whose label is 'a'; one of the two labels is wrong"
    assert [(row["status"], row["image"], row["detail"]) for row in rows] == [
        ("ok", "a/f00.jpg", ""),
        ("duplicate", "", "same bytes as row 1"),
        ("duplicate", "", other),
        ("duplicate", "", other),
        ("timeout", "", "no complete answer within 1 s"),
    ]


def test_every_status_is_counted():
    rows = screened(("a", "1"), ("a", "1"), ("", "2"))
    scraping.settle(rows, {"1": good("f00.jpg")})
    counts = scraping.count(rows)
    assert list(counts) == ["rows", *scraping.STATUSES]
    found = {name: number for name, number in counts.items() if number}
    assert found == {"rows": 3, "ok": 1, "duplicate": 1, "bad-label": 1}


def test_a_list_without_any_image_is_refused_with_reasons(tmp_path):
    rows = screened(("a", "1"), ("..", "2"), ("..", "3"))
    scraping.settle(rows, {"1": {"status": "http-error", "image": "", "detail": "HTTP status 404"}})
    with pytest.raises(InputError) as raised:
        scraping.refuse(rows, tmp_path / "list.csv", tmp_path / "report.md")
    assert str(raised.value).replace(f"{tmp_path}{os.sep}", "") == (
        "none of the 3 rows of list.csv yielded an image (2 bad-label, 1 http-error), for "
        "example row 2, '2': the label contains a slash or '..', or starts with a dot; it must be a plain "
        "name; row 1, '1': HTTP status 404; fix the rows, as report.md explains."
    )


@pytest.mark.field
@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('a,"u1', "a quotation mark is missing"),
        ('a,"u1"x', "a quotation mark is missing"),
        ("a,u1,u2", "3 values, not 2"),
        ("a", "1 values, not 2"),
    ],
)
def test_a_broken_line_is_one_row_and_the_list_goes_on(tmp_path, line, problem):
    rows = source.read_list(listed(tmp_path, f"label,url\nb,1\n{line}\nb,2\nb,3\n"))
    assert [row["url"] for row in rows if not row["problem"]] == ["1", "2", "3"]
    (broken,) = [row for row in rows if row["problem"]]
    assert f"line 3 of the list: {problem}" in broken["problem"]
    assert [row["status"] for row in scraping.screen(rows)] == ["", "bad-row", "", ""]


@pytest.mark.field
def test_bytes_that_are_not_utf_8_cost_one_row(tmp_path):
    rows = scraping.screen(source.read_list(listed(tmp_path, "label,url\nZo\xeb,1\nb,2\n", "latin-1")))
    assert [row["status"] for row in rows] == ["bad-label", ""]
    assert "not UTF-8" in rows[0]["detail"]


@pytest.mark.field
def test_a_long_address_is_a_row_like_others(tmp_path):
    rows = source.read_list(listed(tmp_path, f"label,url\na,data:{'A' * 200_000}\nb,2\n"))
    assert [len(row["url"]) for row in rows] == [200_005, 1]


@pytest.mark.field
def test_labels_that_look_the_same_are_one_and_close_ones_are_named():
    same = [" Jon\u00a0 Snow", "Jon\u200b Snow ", "Jon Snow"]
    rows = screened(
        *((label, str(n)) for n, label in enumerate([*same, "jon_snow", "José", "Jose\u0301", "Jose"]))
    )
    found = labels.find(rows, 0)
    assert found.alike == [{"Jon Snow": 3, "jon_snow": 1}, {"José": 2, "Jose": 1}]
    assert "'Jon Snow' (3) and 'jon_snow' (1); 'José' (2) and 'Jose' (1)" in labels.list_warnings(found, 0)[0]


@pytest.mark.field
def test_labels_with_few_rows_are_left_out_all_at_once(tmp_path):
    rows = screened(*((label, str(n)) for n, label in enumerate("aaabbbcdd")))
    labels.leave_out(rows, 3, "list.csv")
    assert [row["label"] for row in rows if row["status"] == "too-few"] == ["c", "d", "d"]
    assert "'c' (1), 'd' (2)" in labels.list_warnings(labels.find(rows, 3), 3)[0]
    with pytest.raises(InputError, match=r"has 0: 'a' \(3\), 'b' \(3\), 'd' \(2\), 'c' \(1\)"):
        labels.leave_out(screened(*((label, str(n)) for n, label in enumerate("aaabbbcdd"))), 4, "list.csv")
