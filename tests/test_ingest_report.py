"""The ingest report and its conflicts."""

import pytest

from prunet.data.fetching import conflicts, report
from prunet.data.fetching.store import key
from prunet.data.listing import scraping
from prunet.data.listing.scraping import COLUMNS


def manifest(*rows):
    """Rows of a manifest from (label, url, status, detail)."""
    return [
        dict(zip(COLUMNS, (str(number), label, url, status, "", detail), strict=True))
        for number, (label, url, status, detail) in enumerate(rows, start=1)
    ]


def fetched(*hashes):
    """Results of the urls u0, u1, ... with these perceptual hashes and distinct bytes."""
    good = {"status": "ok", "detail": ""}
    return {
        f"u{number}": good | {"image": f"{number}.jpg", "perceptual_hash": f"{bits:016x}"}
        for number, bits in enumerate(hashes)
    }


def found(rows, results):
    return [
        [(int(pair.row["row"]), int(pair.earlier["row"]), pair.same_bytes, pair.bits) for pair in pairs]
        for pairs in conflicts.find(rows, results)
    ]


def test_near_duplicates_are_at_most_four_bits_apart():
    rows = manifest(*((label, f"u{number}", "ok", "") for number, label in enumerate("aaabb")))
    results = fetched(0, 0b1111, 0xF800000000000000, 0b11, 0xFC00000000000000)
    # Row 4 is 2 bits from row 1 and from row 2, row 5 is one from row 3; rows 1 and 3 are five apart.
    assert found(rows, results) == [[(4, 1, False, 2), (5, 3, False, 1)], [(2, 1, False, 4)]]


def test_equal_bytes_are_a_conflict_only_under_different_labels():
    duplicates = [(label, url, "duplicate", "") for label, url in (("a", "u1"), ("b", "u2"), ("b", "u0"))]
    rows = manifest(("a", "u0", "ok", ""), *duplicates)
    results = fetched(7, 7, 7)
    for result in results.values():
        result["image"] = "7.jpg"
    assert found(rows, results) == [[(3, 1, True, 0), (4, 1, True, 0)], []]


def test_rows_without_an_image_do_not_conflict():
    rows = manifest(("a", "u0", "ok", ""), ("..", "u1", "bad-label", ""), ("b", "u2", "timeout", ""))
    results = fetched(0, 0, 0)
    results["u2"] = {"status": "timeout", "image": "", "detail": "slow"}
    assert found(rows, results) == [[], []]
    assert conflicts.find([], {}) == ([], [])


def written(rows, across=(), within=()):
    return report.write(rows, across, within, [], "list.csv", "store")


def section(text, title):
    return text.partition(f"## {title}\n\n")[2].partition("\n\n## ")[0].strip()


def test_the_reasons_are_counted_and_explained():
    rows = manifest(
        ("a", "http://x/1", "http-error", "HTTP status 500"),
        ("a", "http://x/2", "http-error", "HTTP status 404"),
        ("a", "http://x/3", "ok", ""),
        ("a", "http://x/4", "http-error", "HTTP status 404"),
    )
    text = written(rows)
    assert "\n\n1 of 4 rows yielded an image (3 http-error).\n\n" in text
    assert section(text, "Rows without an image").splitlines()[2:] == [
        "| http-error | 3 | `HTTP status 404` (2x, first in row 2)<br>`HTTP status 500` (1x, first in row 1) "
        f"| {report.ADVICE['http-error']} |"
    ]


def test_the_label_with_the_fewest_images_is_first():
    rows = manifest(
        *(("b", f"{n}", "ok", "") for n in range(2)), ("a", "2", "ok", ""), ("a", "3", "timeout", "x")
    )
    assert section(written(rows), "Labels").splitlines()[4:] == [
        "| `a` | 2 | 1 | 1 timeout |",
        "| `b` | 2 | 2 |  |",
    ]


def test_the_ten_worst_hosts_are_listed():
    rows = manifest(
        *(("a", f"http://h{host}:80/{n}", "timeout", "x") for host in range(12) for n in range(host)),
        *(("a", f"http://h11/{n}", "ok", "") for n in range(5)),
        ("a", "http://[bad", "bad-url", "x"),
        ("a", "beside/the/list.jpg", "missing-file", "x"),
    )
    lines = section(written(rows), "Hosts with the most failures").splitlines()[2:]
    assert lines[0] == "| `h11` | 16 | 11 | 11 timeout |"
    assert [line.split("`")[1] for line in lines] == [f"h{host}" for host in range(11, 1, -1)]


def test_conflicts_and_changed_addresses_are_listed():
    rows = manifest(("a", "http://x/1", "ok", "from an earlier run; gone"), ("b", "http://x/2", "ok", ""))
    pairs = [conflicts.Pair(rows[1], rows[0], False, 3)]
    text = written(rows, across=pairs)
    assert "Rows whose picture also has another label: 1." in text
    assert "Images that their addresses no longer return: 1." in text
    assert section(text, "One picture, two labels").endswith(
        "| 2: `b` | `http://x/2` | 1: `a` | `http://x/1` | 3 bits |"
    )
    assert section(text, "Changed addresses").endswith(
        f"| 1: `a` | `http://x/1` | `from an earlier run; gone` | `{key('http://x/1')}` |"
    )


def test_a_long_table_is_cut():
    rows = manifest(*(("a", f"http://x/{n}", "ok", "") for n in range(60)))
    pairs = [conflicts.Pair(row, rows[0], True, 0) for row in rows]
    lines = section(written(rows, across=pairs), "One picture, two labels").splitlines()
    assert len([line for line in lines if line.startswith("|")]) == 2 + 50
    assert lines[-1] == "And 10 more."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a|b", r"`a\|b`"),
        ("`<script>alert(1)</script>`", "`'<script>alert(1)</script>'`"),
        ("a\n## b\u202e", r"`a\n## b\u202e`"),
        ("\udce9", r"`\udce9`"),
        (" ", "(empty)"),
        ("x" * 300, f"`{'x' * 50}…{'x' * 50}`"),
    ],
)
def test_untrusted_text_is_shown_without_effect(text, shown):
    rows = manifest(("a", "1", "ok", ""), (text, "2", "timeout", "x"))
    assert f"| {shown} | 1 | 0 | 1 timeout |" in written(rows)


@pytest.mark.parametrize("name", ["Report.MD", "counts.json", "manifest.csv"])
def test_no_label_is_the_name_of_an_output_file(name):
    assert scraping.label_problem(name)
