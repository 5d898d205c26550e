"""The stage ingest against a server on the loopback interface."""

import base64
import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from PIL import Image

from prunet.data.fetching.store import key
from prunet.data.images import decoding
from prunet.data.listing.scraping import STATUSES
from stages.ingest import main
from tests.servers import body, hang, in_turn, redirect, serving, status
from tests.toy_faces import message, read_table

PARAMS = {
    **{"concurrency": 4, "host_concurrency": 4, "host_delay": 0, "timeout": 2, "retries": 1},
    **{"max_bytes": 20_000, "max_pixels": 10_000, "user_agent": "prunet-test"},
    **{"private_addresses": True, "recheck": False, "min_images": 0},
}
LABELS = ("labels-left-out", "labels-alike", "labels-empty", "labels-few")
OTHER_LABEL = "same bytes as row {}, whose label is {!r}; one of the two labels is wrong"


def picture(seed, format_name="JPEG", size=(32, 24)):
    noise = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, format_name)
    return stream.getvalue()


def name(data, extension="jpg"):
    return f"{hashlib.sha256(data).hexdigest()[:16]}.{extension}"


def write_list(path, *pairs):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("label", "url"), *pairs])


def write_urls(folder, *urls, name="list.csv"):
    write_list(folder / name, *(("a", url) for url in urls))


def write_params(folder, source, store, **changes):
    path = folder / "params.json"
    path.write_text(json.dumps(PARAMS | {"source": str(source), "store": str(store)} | changes))
    return path


def ingest(folder, source="list.csv", store="store", output="out", **changes):
    params = write_params(folder, folder / source, folder / store, **changes)
    result = CliRunner().invoke(main, [str(params), str(folder / output)])
    params.unlink()
    return result


def ingested(folder, **options):
    result = ingest(folder, **options)
    assert result.exit_code == 0, result.output
    return read_table(folder / options.get("output", "out") / "manifest.csv")


def refused(folder, **options):
    """Run ingest, which must fail with exit code 2 and a one-line message; return the message."""
    result = ingest(folder, **options)
    assert result.output.startswith("Error: ")
    assert len(result.output.splitlines()) == 1
    return message(result)


def statuses(rows):
    return [row["status"] for row in rows]


def outcome(rows):
    return [(row["status"], row["image"], row["detail"]) for row in rows]


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def counts(output):
    numbers = json.loads((output / "counts.json").read_text(encoding="utf-8"))
    assert list(numbers) == ["rows", *STATUSES, "label-conflicts", "changed", *LABELS]
    return {key: number for key, number in numbers.items() if number}


def test_every_row_has_its_outcome_and_every_image_its_bytes(tmp_path):
    plain, twice, far, local = (picture(seed) for seed in range(4))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "local.jpg").write_bytes(local)
    answers = {
        "/plain": body(plain),
        "/twice": in_turn(status(500), body(twice)),
        "/moved": redirect("/far"),
        "/far": body(far, Content_Type="text/plain"),
        "/html": body(b"<!DOCTYPE html><title>sign in</title>"),
        "/large": body(picture(5, size=(128, 79))),
    }
    with serving(answers) as server:
        url = server.url
        # label, url, status, image, detail
        expected = [
            ("Arya", url("/plain"), "ok", f"Arya/{name(plain)}", ""),
            ("Arya", url("/nothing"), "http-error", "", "HTTP status 404"),
            ("Zoë", url("/twice"), "ok", f"Zoë/{name(twice)}", ""),
            ("Grey Worm", url("/moved"), "ok", f"Grey Worm/{name(far)}", ""),
            ("Arya", url("/html"), "not-an-image", "", "is an HTML page"),
            ("Arya", url("/large"), "too-large", "", "128 x 79 pixels are more than 10000"),
            ("Arya", url("/plain"), "duplicate", "", "same label and url as row 1"),
            ("Sansa", url("/plain"), "duplicate", "", OTHER_LABEL.format(1, "Arya")),
            ("Arya", url("/far"), "duplicate", "", OTHER_LABEL.format(4, "Grey Worm")),
            ("Sansa", "photos/local.jpg", "ok", f"Sansa/{name(local)}", ""),
            ("Sansa", "photos/nothing.jpg", "missing-file", "", "no such file"),
            ("", url("/plain"), "bad-label", "", "the label is empty"),
            ("Arya", "../secret.jpg", "bad-url", "", "a path outside the folder of the list"),
        ]
        write_list(tmp_path / "list.csv", *(row[:2] for row in expected))
        rows = ingested(tmp_path)
        assert server.requests["/plain"] == 1
        assert server.requests["/twice"] == 2
        assert server.headers["User-Agent"] == "prunet-test"

    assert [tuple(row.values()) for row in rows] == [
        (str(number), *row) for number, row in enumerate(expected, start=1)
    ]
    good = [plain, twice, far, local]
    paths = [row["image"] for row in rows if row["status"] == "ok"]
    found = tree(tmp_path / "out")
    for path in ("manifest.csv", "report.md", "counts.json"):
        del found[path]
    assert found == dict(zip(paths, good, strict=True))
    assert counts(tmp_path / "out") == {
        **{"rows": 13, "ok": 4, "duplicate": 3, "http-error": 1, "too-large": 1, "not-an-image": 1},
        **{"missing-file": 1, "bad-label": 1, "bad-url": 1, "label-conflicts": 2},
    }
    assert {path.name for path in tmp_path.iterdir()} == {"list.csv", "photos", "out", "store"}
    assert sorted(stored(tmp_path)) == sorted([plain, twice, far, far])  # far: by two urls


def stored(folder):
    return [data for name, data in tree(folder / "store").items() if name != "index.jsonl"]


def test_private_addresses_are_refused_unless_allowed(tmp_path):
    (tmp_path / "good.jpg").write_bytes(picture(0))
    with serving({"/a": body(picture(1))}) as server:
        write_urls(tmp_path, "good.jpg", server.url("/a"))
        rows = ingested(tmp_path, private_addresses=False)
        assert outcome(rows[1:]) == [("refused", "", "127.0.0.1 is not on the public internet")]
        assert not server.requests
        assert "set `ingest.private_addresses: true`" in (tmp_path / "out" / "report.md").read_text()
        assert statuses(ingested(tmp_path)) == ["ok", "ok"]
        assert statuses(ingested(tmp_path, private_addresses=False)) == ["ok", "ok"]  # stored


def test_a_folder_of_photos(tmp_path):
    photos = tmp_path / "photos"
    files = {
        "b/1.png": picture(1, "PNG"),
        "a/2.jpg": picture(2),
        "b/9.jpg": picture(2),
        "stray.jpg": picture(4),
    }
    for path, data in files.items():
        (photos / path).parent.mkdir(parents=True, exist_ok=True)
        (photos / path).write_bytes(data)
    rows = ingested(tmp_path, source="photos")
    assert [tuple(row.values())[1:] for row in rows] == [
        ("a", "a/2.jpg", "ok", f"a/{name(files['a/2.jpg'])}", ""),
        ("b", "b/1.png", "ok", f"b/{name(files['b/1.png'], 'png')}", ""),
        ("b", "b/9.jpg", "duplicate", "", OTHER_LABEL.format(1, "a")),
        ("", "stray.jpg", "bad-label", "", "the label is empty"),
    ]
    assert not (tmp_path / "store").exists()


def test_file_names_need_not_be_utf_8(tmp_path):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    Path(os.fsdecode(bytes(tmp_path / "photos" / "a") + b"/\xe9.jpg")).write_bytes(picture(0))
    rows = ingested(tmp_path, source="photos")
    assert [(row["url"], row["status"]) for row in rows] == [("a/\\udce9.jpg", "ok")]


def test_the_command_prints_a_summary_and_a_list_without_any_image_keeps_the_old_output(tmp_path):
    (tmp_path / "good.jpg").write_bytes(picture(0))
    write_urls(tmp_path, "good.jpg")
    result = ingest(tmp_path)
    summary = f"1 of 1 rows yielded an image. See {tmp_path}/out/report.md.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (0, summary, "")
    before = tree(tmp_path / "out") | tree(tmp_path)
    write_urls(tmp_path, "1.jpg", "/2.jpg", "3.jpg", name="bad.csv")
    expected = f"none of the 3 rows of {tmp_path}/bad.csv yielded an image (2 missing-file, 1 bad-url), for "
    assert refused(tmp_path, source="bad.csv").startswith(expected)
    (tmp_path / "bad.csv").unlink()
    assert "no such file" in (tmp_path / "out-report.md").read_text()
    (tmp_path / "out-report.md").unlink()
    assert tree(tmp_path / "out") | tree(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"source": "photos", "output": "photos"}, "the output {0}/photos lies in the source {0}/photos"),
        ({"source": "photos", "output": "photos/out"}, "the output {0}/photos/out lies in the source"),
        ({"source": "photos/a.csv", "output": "photos"}, "the source {0}/photos/a.csv lies in the output"),
        ({"source": "photos", "output": "store"}, "the output {0}/store lies in the store {0}/store"),
    ],
)
def test_the_output_replaces_neither_the_source_nor_the_store(tmp_path, changes, sentence):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "1.jpg").write_bytes(picture(0))
    assert refused(tmp_path, **changes).startswith(sentence.format(tmp_path))
    assert tree(tmp_path) == {"photos/a/1.jpg": picture(0)}


def test_stored_images_are_not_fetched_again(tmp_path):
    answers = {f"/{number}": body(picture(number)) for number in range(3)} | {"/html": body(b"<html>")}
    with serving(answers) as server:
        urls = list(map(server.url, answers))
        write_urls(tmp_path, *urls[:2])
        ingested(tmp_path)
        server.requests.clear()
        write_urls(tmp_path, *urls)
        first = statuses(ingested(tmp_path))
        assert first == ["ok", "ok", "ok", "not-an-image"]
        assert server.requests == {"/2": 1, "/html": 1}
        assert statuses(ingested(tmp_path)) == first
        assert server.requests == {"/2": 1, "/html": 2}  # only images are stored
        limited = ingested(tmp_path, max_bytes=len(picture(0)))  # the limits also apply to the store
        larger = [len(picture(number)) > len(picture(0)) for number in range(3)]
        assert [row["status"] == "too-large" for row in limited[:3]] == larger
        assert server.requests == {"/2": 1, "/html": 3}


def test_two_runs_write_the_same_bytes(tmp_path):
    same = picture(0)
    answers = {f"/{number}": body(same if number % 3 == 0 else picture(number)) for number in range(12)}
    with serving(answers) as server:
        write_list(tmp_path / "list.csv", *(("ab"[n % 2], server.url(f"/{n}")) for n in range(12)))
        ingested(tmp_path, output="one", store="s1", concurrency=1)
        ingested(tmp_path, output="two", store="s2", concurrency=12)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert counts(tmp_path / "two") == {"rows": 12, "ok": 9, "duplicate": 3, "label-conflicts": 3}


def test_a_killed_run_leaves_the_store_but_no_output(tmp_path):
    answers = {f"/{number}": body(picture(number)) for number in range(4)}
    with serving(answers | {"/3": hang}) as server:
        write_urls(tmp_path, *(server.url(f"/{number}") for number in range(4)))
        params = write_params(tmp_path, tmp_path / "list.csv", tmp_path / "store")
        command = [sys.executable, "-m", "stages.ingest", params, tmp_path / "out"]
        with subprocess.Popen(command, start_new_session=True) as run:
            wait_until(lambda: len(list((tmp_path / "store").glob("?" * 64))) == 3)
            run.kill()
        wait_until(lambda: not any(session(process.pid) == run.pid for process in psutil.process_iter()))
        assert not (tmp_path / "out").exists()
        assert sorted(stored(tmp_path)) == sorted(picture(number) for number in range(3))
        with (tmp_path / "store" / "index.jsonl").open("a") as index:
            index.write('{"key": "cut o')
        server.answers |= answers
        server.requests.clear()
        assert statuses(ingested(tmp_path)) == ["ok"] * 4
        assert server.requests == {"/3": 1}
        assert statuses(ingested(tmp_path)) == ["ok"] * 4
        assert server.requests == {"/3": 1}


def wait_until(happens):
    end = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


def session(pid):
    """Return the session of a process, None if it has ended meanwhile."""
    with contextlib.suppress(ProcessLookupError):
        return os.getsid(pid)


def test_damaged_files_in_the_store_are_detected(tmp_path):
    with serving({"/0": body(picture(0)), "/1": body(picture(1))}) as server:
        urls = [server.url("/0"), server.url("/1")]
        write_urls(tmp_path, *urls)
        ingested(tmp_path)
        shorter, other = (tmp_path / "store" / key(url) for url in urls)
        shorter.write_bytes(picture(0)[:-1])
        other.write_bytes(bytes(len(picture(1))))
        server.requests.clear()
        assert outcome(ingested(tmp_path)) == [
            ("ok", f"a/{name(picture(0))}", ""),
            ("broken-image", "", f"damaged in the store; delete {other} to fetch it again"),
        ]
        assert server.requests == {"/0": 1}
        other.unlink()
        assert statuses(ingested(tmp_path)) == ["ok", "ok"]


def conditional(data, tag):
    """Answer 304 to requests that have `tag`, and 200 with `data` to all others."""

    def answer(handler):
        known = handler.headers.get("If-None-Match") == tag
        (status(304, ETag=tag) if known else body(data, ETag=tag))(handler)

    return answer


def test_changed_addresses_are_reported_and_keep_the_stored_image(tmp_path):
    answers = {f"/{number}": conditional(picture(number), f'"{number}"') for number in range(5)}
    with serving(answers) as server:
        write_urls(tmp_path, *map(server.url, answers))
        first = ingested(tmp_path)
        server.answers |= {
            "/1": conditional(picture(11), '"11"'),
            "/2": body(picture(2)),  # the same image, but without a tag
            "/3": status(410),
            "/4": body(b"<html>"),
        }
        assert ingested(tmp_path) == first  # without recheck, the server is not asked
        rows = ingested(tmp_path, recheck=True)
        assert [(row["status"], row["image"]) for row in rows] == [("ok", row["image"]) for row in first]
        changes = ["another image", "no image (HTTP status 410)", "no image (is an HTML page)"]
        another, *none = [f"from an earlier run; the address now returns {change}" for change in changes]
        assert [row["detail"] for row in rows] == ["", another, "", *none]
        assert counts(tmp_path / "out") == {"rows": 5, "ok": 5, "changed": 3}
        report = (tmp_path / "out" / "report.md").read_text()
        assert key(server.url("/1")) in report
        assert key(server.url("/2")) not in report
        (tmp_path / "store" / key(server.url("/1"))).unlink()  # as the report says
        assert ingested(tmp_path)[1]["image"] == f"a/{name(picture(11))}"


def test_an_image_that_crashes_its_decoder_is_broken(tmp_path, monkeypatch):
    verify = decoding.verify

    def fragile(data, max_pixels):
        return os._exit(9) if data == picture(5) else verify(data, max_pixels)

    monkeypatch.setattr(decoding, "verify", fragile)  # inherited by the decoders, which are forked
    for number in range(10):
        (tmp_path / f"{number}.jpg").write_bytes(picture(number))
    write_urls(tmp_path, *(f"{number}.jpg" for number in range(10)))
    rows = ingested(tmp_path)
    assert statuses(rows) == ["ok"] * 5 + ["broken-image"] + ["ok"] * 4
    assert rows[5]["detail"] == "crashes its decoder"


def test_an_output_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/full/disk")

    (tmp_path / "a.jpg").write_bytes(picture(0))
    write_urls(tmp_path, "a.jpg")
    monkeypatch.setattr(Path, "write_bytes", full)
    assert refused(tmp_path) == "/full/disk cannot be written (No space left on device)."


def test_help_explains_the_store():
    text = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    assert "delete it to fetch all of them again" in text


@pytest.mark.field
def test_a_data_address_holds_its_picture(tmp_path):
    data = picture(1, "PNG")
    text = base64.b64encode(data).decode()
    wrapped = f"{text[:40]} {text[40:]}"  # a page may break the line
    urls = [f"data:image/png;base64,{text}", f"DATA:;base64,{wrapped}", f"data:,{quote(data)}"]
    write_urls(tmp_path, *urls, "data:image/png;base64,AAA*", "data:text/plain,hello", "data:image/png")
    rows = ingested(tmp_path)
    assert statuses(rows) == ["ok", "duplicate", "duplicate", "bad-url", "not-an-image", "bad-url"]
    assert (tmp_path / "out" / rows[0]["image"]).read_bytes() == data


@pytest.mark.field
def test_a_data_address_may_not_exceed_max_bytes(tmp_path):
    small, large = picture(1, "PNG", (16, 16)), picture(2, "PNG", (40, 40))
    write_urls(tmp_path, *(f"data:;base64,{base64.b64encode(data).decode()}" for data in (small, large)))
    assert statuses(ingested(tmp_path, max_bytes=len(large) - 1)) == ["ok", "too-large"]


@pytest.mark.field
def test_a_null_byte_in_a_list_costs_its_row(tmp_path):
    (tmp_path / "1.jpg").write_bytes(picture(1))
    (tmp_path / "list.csv").write_text("label,url\na,1.jpg\na,2\0.jpg\nb\0,1.jpg\n")
    assert statuses(ingested(tmp_path)) == ["ok", "bad-url", "bad-label"]


@pytest.mark.field
def test_labels_without_an_image_or_with_few_are_named(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.jpg").write_bytes(picture(number))
    pairs = [("ada", f"{number}.jpg") for number in range(3)]
    pairs += [("boris", f"{number}.jpg") for number in (3, 4, 7)] + [("clio", f"{n}.jpg") for n in (7, 8, 9)]
    write_list(tmp_path / "list.csv", *pairs)
    result = ingest(tmp_path, min_images=3)
    assert result.exit_code == 0
    empty = "labels that got no image, with their rows: 'clio' (3). The report gives the reasons."
    few = "labels that got fewer than 3 images (ingest.min_images): 'boris' (2)."
    assert f"warning: {empty}\nwarning: {few}" in result.output
    report = (tmp_path / "out" / "report.md").read_text()
    assert "labels that got no image" in report
    assert counts(tmp_path / "out") == {
        **{"rows": 9, "ok": 5, "missing-file": 4},
        **{"labels-empty": 1, "labels-few": 1},
    }


@pytest.mark.field
def test_linked_people_and_photos_of_a_folder_are_read(tmp_path):
    source, elsewhere = tmp_path / "photos", tmp_path / "archive" / "clio"
    for folder in (source / "ada", elsewhere):
        folder.mkdir(parents=True)
    (source / "ada" / "1.jpg").write_bytes(picture(1))
    (elsewhere / "2.jpg").write_bytes(picture(2))
    (elsewhere / "3.jpg").write_bytes(picture(3))
    (source / "clio").symlink_to(elsewhere)
    (source / "ada" / "linked.jpg").symlink_to(elsewhere / "3.jpg")
    (source / "ada" / "gone.jpg").symlink_to(tmp_path / "nowhere")
    (source / "ada" / "loop").symlink_to(source)
    rows = ingested(tmp_path, source="photos")
    found = {row["url"]: (row["label"], row["status"]) for row in rows}
    assert found["ada/1.jpg"] == ("ada", "ok")
    assert found["clio/2.jpg"] == ("clio", "ok")
    assert {found["ada/linked.jpg"][1], found["clio/3.jpg"][1]} == {"ok", "duplicate"}
    assert found["ada/gone.jpg"] == ("ada", "missing-file")
    assert found["ada/loop"][1] != "ok"
