"""The stage ingest against a server on the loopback interface."""

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

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from PIL import Image

from prunet.data.fetching.store import key
from prunet.data.images import decoding
from prunet.data.listing.scraping import STATUSES
from stages.ingest import main
from tests.servers import body, drip, hang, in_turn, redirect, serving, status

PARAMS = {
    "concurrency": 4,
    "host_concurrency": 4,
    "host_delay": 0,
    "timeout": 2,
    "retries": 1,
    "max_bytes": 20_000,
    "max_pixels": 10_000,
    "user_agent": "prunet-test",
    "private_addresses": True,
    "recheck": False,
}
OTHER_LABEL = "same bytes as row {}, whose label is {!r}; one of the two labels is wrong"


def picture(seed, format_name="JPEG", mode="RGB", size=(32, 24), **options):
    width, height = size
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, format_name, **options)
    return stream.getvalue()


def name(data, extension="jpg"):
    return f"{hashlib.sha256(data).hexdigest()[:16]}.{extension}"


def write_list(path, *pairs):
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("label", "url"), *pairs])


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
    return manifest(folder / options.get("output", "out"))


def refused(folder, **options):
    """Run ingest, which must fail with exit code 2 and a one-line message; return the message."""
    result = ingest(folder, **options)
    assert result.exit_code == 2, result.output
    assert result.output.startswith("Error: ")
    assert len(result.output.splitlines()) == 1
    return result.output.removeprefix("Error: ").strip()


def manifest(output):
    with (output / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def outcome(rows):
    return [(row["status"], row["image"], row["detail"]) for row in rows]


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def counts(output):
    numbers = json.loads((output / "counts.json").read_text(encoding="utf-8"))
    assert list(numbers) == ["rows", *STATUSES, "label-conflicts", "changed"]
    return {key: number for key, number in numbers.items() if number}


def test_every_kind_of_answer(tmp_path):
    plain, twice, far, local = (picture(seed) for seed in range(4))
    deep = picture_16_bit()
    cmyk = picture(5, mode="CMYK")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture(6, exif=exif)
    small, large = picture(7, "PNG", size=(1, 1)), picture(8, "PNG", size=(200, 100))
    html, oversize = b"<!DOCTYPE html><title>sign in</title>", picture(9, "BMP", size=(100, 100))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "local.jpg").write_bytes(local)
    answers = {
        "/plain": body(plain),
        "/twice": in_turn(status(500), body(twice)),
        "/hang": hang,
        "/drip": drip,
        "/circle": redirect("/circle-2"),
        "/circle-2": redirect("/circle"),
        "/file": redirect("file:///etc/hostname"),
        "/moved": redirect("/far"),
        "/far": body(far, Content_Type="text/plain"),
        "/html": body(html),
        "/truncated": body(plain[: len(plain) // 2]),
        "/short": body(plain, Content_Length=len(plain) + 10),
        "/oversize": body(oversize),
        "/small": body(small),
        "/large": body(large),
        "/deep": body(deep),
        "/cmyk": body(cmyk),
        "/turned": body(turned),
    }
    with serving(answers) as server:
        url = server.url
        # label, url, status, image, detail
        expected = [
            ("Arya", url("/plain"), "ok", f"Arya/{name(plain)}", ""),
            ("Arya", url("/nothing"), "http-error", "", "HTTP status 404"),
            ("Zoë", url("/twice"), "ok", f"Zoë/{name(twice)}", ""),
            ("Arya", url("/hang"), "timeout", "", "no complete answer within 2 s"),
            ("Arya", url("/drip"), "timeout", "", "no complete answer within 2 s"),
            ("Arya", url("/circle"), "redirects", "", "redirected in a circle"),
            (
                *("Arya", url("/file"), "redirects", ""),
                "redirected to 'file:///etc/hostname', not http or https",
            ),
            ("Grey Worm", url("/moved"), "ok", f"Grey Worm/{name(far)}", ""),
            ("Arya", url("/html"), "not-an-image", "", "is an HTML page"),
            ("Arya", url("/truncated"), "broken-image", "", None),
            (
                *("Arya", url("/short"), "unreachable", ""),
                "no complete answer (400, message: Not enough data to satisfy content length header "
                f"(received {len(plain)} of {len(plain) + 10} bytes).)",
            ),
            ("Arya", url("/oversize"), "too-large", "", "more than 20000 bytes"),
            ("Arya", url("/small"), "too-small", "", "1 x 1 pixels; each side needs at least 16"),
            ("Arya", url("/large"), "too-large", "", None),
            ("Arya", url("/deep"), "ok", f"Arya/{name(deep, 'png')}", ""),
            ("Arya", url("/cmyk"), "ok", f"Arya/{name(cmyk)}", ""),
            ("Arya", url("/turned"), "ok", f"Arya/{name(turned)}", ""),
            ("Arya", url("/plain"), "duplicate", "", "same label and url as row 1"),
            ("Sansa", url("/plain"), "duplicate", "", OTHER_LABEL.format(1, "Arya")),
            ("Arya", url("/far"), "duplicate", "", OTHER_LABEL.format(8, "Grey Worm")),
            ("Sansa", "photos/local.jpg", "ok", f"Sansa/{name(local)}", ""),
            ("Sansa", "photos/nothing.jpg", "missing-file", "", "no such file"),
            ("../Arya", url("/plain"), "bad-label", "", None),
            ("Arya/Stark", url("/plain"), "bad-label", "", None),
            ("", url("/plain"), "bad-label", "", "the label is empty"),
            ("Arya", "../secret.jpg", "bad-url", "", "a path outside the folder of the list"),
            ("Arya", "ftp://a/b.jpg", "bad-url", "", None),
            ("Arya", "http://", "bad-url", "", None),
        ]
        write_list(tmp_path / "list.csv", *(row[:2] for row in expected))
        rows = ingested(tmp_path)
        assert server.requests["/plain"] == 1
        assert server.requests["/twice"] == 2
        assert server.headers["User-Agent"] == "prunet-test"

    assert [row["row"] for row in rows] == [str(number) for number in range(1, len(expected) + 1)]
    for row, wanted in zip(rows, expected, strict=True):
        detail = row["detail"] if wanted[-1] is None else wanted[-1]
        assert tuple(row.values()) == (row["row"], *wanted[:-1], detail)
        assert (row["detail"] == "") == (row["status"] == "ok")
    good = [plain, twice, far, deep, cmyk, turned, local]
    paths = [row["image"] for row in rows if row["status"] == "ok"]
    found = tree(tmp_path / "out")
    for path in ("manifest.csv", "report.md", "counts.json"):
        del found[path]
    assert found == dict(zip(paths, good, strict=True))
    assert counts(tmp_path / "out") == {
        "rows": 28,
        "ok": 7,
        "duplicate": 3,
        "http-error": 1,
        "timeout": 2,
        "unreachable": 1,
        "redirects": 2,
        "too-large": 2,
        "too-small": 1,
        "not-an-image": 1,
        "broken-image": 1,
        "missing-file": 1,
        "bad-label": 3,
        "bad-url": 3,
        "label-conflicts": 2,
    }
    assert {path.name for path in tmp_path.iterdir()} == {"list.csv", "photos", "out", "store"}
    assert sorted(stored(tmp_path)) == sorted([*good[:-1], far])  # far: by two urls


def stored(folder):
    return [data for name, data in tree(folder / "store").items() if name != "index.jsonl"]


def picture_16_bit():
    stream = io.BytesIO()
    Image.fromarray(np.arange(1024, dtype=np.uint16).reshape(32, 32) * 64).save(stream, "PNG")
    return stream.getvalue()


def test_local_paths_stay_below_the_list(tmp_path):
    secret, folder = tmp_path / "secret.jpg", tmp_path / "list"
    secret.write_bytes(picture(0))
    folder.mkdir()
    (folder / "good.jpg").write_bytes(picture(1))
    (folder / "link.jpg").symlink_to(secret)
    urls = ["good.jpg", "../secret.jpg", str(secret), "link.jpg", secret.as_uri()]
    write_list(folder / "list.csv", *(("a", url) for url in urls))
    assert [row["status"] for row in ingested(folder)] == ["ok", *["bad-url"] * 4]
    assert secret.read_bytes() not in tree(folder / "out").values()


def test_private_addresses_are_refused_unless_allowed(tmp_path):
    (tmp_path / "good.jpg").write_bytes(picture(0))
    with serving({"/a": body(picture(1))}) as server:
        write_list(tmp_path / "list.csv", ("a", "good.jpg"), ("a", server.url("/a")))
        rows = ingested(tmp_path, private_addresses=False)
        assert outcome(rows[1:]) == [("refused", "", "127.0.0.1 is not on the public internet")]
        assert not server.requests
        assert "set `private_addresses`" in (tmp_path / "out" / "report.md").read_text()
        assert [row["status"] for row in ingested(tmp_path)] == ["ok", "ok"]
        assert [row["status"] for row in ingested(tmp_path, private_addresses=False)] == [
            "ok",
            "ok",
        ]  # stored


def test_a_folder_of_photos(tmp_path):
    photos = tmp_path / "photos"
    files = {
        "b/1.png": picture(1, "PNG"),
        "a/2.jpg": picture(2),
        "a/notes.txt": b"taken in spring",
        "b/.hidden.jpg": picture(3),
        "b/9.jpg": picture(2),
        "stray.jpg": picture(4),
    }
    for path, data in files.items():
        (photos / path).parent.mkdir(parents=True, exist_ok=True)
        (photos / path).write_bytes(data)
    rows = ingested(tmp_path, source="photos")
    assert [tuple(row.values())[1:] for row in rows] == [
        ("a", "a/2.jpg", "ok", f"a/{name(files['a/2.jpg'])}", ""),
        ("a", "a/notes.txt", "not-an-image", "", "is not a JPEG, PNG, WebP, GIF, BMP, TIFF or PPM image"),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no column 'label'"),
        (b"label,url\n", "has a header but no rows"),
        (b"name,url\na,b.jpg\n", "has no column 'label'"),
        ("label,url\nZoë,b.jpg\n".encode("latin-1"), "is not UTF-8 text"),
        (None, "does not exist"),
    ],
)
def test_a_bad_list_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "list.csv").write_bytes(content)
    sentence = refused(tmp_path)
    assert sentence.startswith(f"{tmp_path / 'list.csv'} {message}")
    assert not (tmp_path / "out").exists()


def test_a_list_without_any_image_keeps_the_old_output(tmp_path):
    (tmp_path / "good.jpg").write_bytes(picture(0))
    write_list(tmp_path / "list.csv", ("a", "good.jpg"))
    ingested(tmp_path)
    before = tree(tmp_path / "out") | tree(tmp_path)
    write_list(tmp_path / "bad.csv", ("a", "1.jpg"), ("a", "/2.jpg"), ("a", "3.jpg"))
    assert refused(tmp_path, source="bad.csv") == (
        f"none of the 3 rows of {tmp_path / 'bad.csv'} yielded an image (2 missing-file, 1 bad-url); "
        "fix the rows, for example row 1, '1.jpg': no such file; "
        "row 2, '/2.jpg': an absolute path; local paths must be relative to the list."
    )
    (tmp_path / "bad.csv").unlink()
    assert tree(tmp_path / "out") | tree(tmp_path) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "photos", "output": "photos"}, "the output {0}/photos lies in the source {0}/photos"),
        ({"source": "photos", "output": "photos/out"}, "the output {0}/photos/out lies in the source"),
        (
            {"source": "photos/list.csv", "output": "photos"},
            "the source {0}/photos/list.csv lies in the output",
        ),
        ({"source": "photos", "output": "store"}, "the output {0}/store lies in the store {0}/store"),
    ],
)
def test_the_output_replaces_neither_the_source_nor_the_store(tmp_path, changes, message):
    (tmp_path / "photos" / "a").mkdir(parents=True)
    (tmp_path / "photos" / "a" / "1.jpg").write_bytes(picture(0))
    assert refused(tmp_path, **changes).startswith(message.format(tmp_path))
    assert tree(tmp_path) == {"photos/a/1.jpg": picture(0)}


def test_stored_images_are_not_fetched_again(tmp_path):
    answers = {f"/{number}": body(picture(number)) for number in range(3)} | {"/html": body(b"<html>")}
    with serving(answers) as server:
        pairs = [("a", server.url(f"/{number}")) for number in range(3)] + [("a", server.url("/html"))]
        write_list(tmp_path / "list.csv", *pairs[:2])
        ingested(tmp_path)
        server.requests.clear()
        write_list(tmp_path / "list.csv", *pairs)
        first = [row["status"] for row in ingested(tmp_path)]
        assert first == ["ok", "ok", "ok", "not-an-image"]
        assert server.requests == {"/2": 1, "/html": 1}
        assert [row["status"] for row in ingested(tmp_path)] == first
        assert server.requests == {"/2": 1, "/html": 2}  # only images are stored
        limited = ingested(tmp_path, max_bytes=len(picture(0)))  # the limits also apply to the store
        assert [row["status"] == "too-large" for row in limited[:3]] == [
            len(picture(number)) > len(picture(0)) for number in range(3)
        ]
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
        write_list(tmp_path / "list.csv", *(("a", server.url(f"/{number}")) for number in range(4)))
        params = write_params(tmp_path, tmp_path / "list.csv", tmp_path / "store")
        command = [sys.executable, "-m", "stages.ingest", params, tmp_path / "out"]
        with subprocess.Popen(command, start_new_session=True) as run:
            wait_until(lambda: len(list((tmp_path / "store").glob("?" * 64))) == 3)
            run.kill()
        wait_until(lambda: not members(run.pid))
        assert not (tmp_path / "out").exists()
        assert sorted(stored(tmp_path)) == sorted(picture(number) for number in range(3))
        with (tmp_path / "store" / "index.jsonl").open("a") as index:
            index.write('{"key": "cut o')
        server.answers |= answers
        server.requests.clear()
        assert [row["status"] for row in ingested(tmp_path)] == ["ok"] * 4
        assert server.requests == {"/3": 1}
        assert [row["status"] for row in ingested(tmp_path)] == ["ok"] * 4
        assert server.requests == {"/3": 1}


def wait_until(happens):
    end = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.02)


def members(group):
    """Return the running processes of a group."""
    return [process.pid for process in psutil.process_iter() if os.getsid(process.pid) == group]


def test_damaged_files_in_the_store_are_detected(tmp_path):
    with serving({"/0": body(picture(0)), "/1": body(picture(1))}) as server:
        urls = [server.url("/0"), server.url("/1")]
        write_list(tmp_path / "list.csv", *(("a", url) for url in urls))
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
        assert [row["status"] for row in ingested(tmp_path)] == ["ok", "ok"]


def conditional(data, tag):
    """Answer 304 to requests that have `tag`, and 200 with `data` to all others."""

    def answer(handler):
        known = handler.headers.get("If-None-Match") == tag
        (status(304, ETag=tag) if known else body(data, ETag=tag))(handler)

    return answer


def test_changed_addresses_are_reported_and_keep_the_stored_image(tmp_path):
    answers = {f"/{number}": conditional(picture(number), f'"{number}"') for number in range(5)}
    with serving(answers) as server:
        write_list(tmp_path / "list.csv", *(("a", server.url(path)) for path in answers))
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
        since = "from an earlier run; the address now returns"
        assert [row["detail"] for row in rows] == [
            "",
            f"{since} another image",
            "",
            f"{since} no image (HTTP status 410)",
            f"{since} no image (is an HTML page)",
        ]
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
    write_list(tmp_path / "list.csv", *(("a", f"{number}.jpg") for number in range(10)))
    rows = ingested(tmp_path)
    assert [row["status"] for row in rows] == ["ok"] * 5 + ["broken-image"] + ["ok"] * 4
    assert rows[5]["detail"] == "crashes its decoder"


def test_an_output_that_cannot_be_written_is_an_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/full/disk")

    (tmp_path / "a.jpg").write_bytes(picture(0))
    write_list(tmp_path / "list.csv", ("a", "a.jpg"))
    monkeypatch.setattr(Path, "write_bytes", full)
    assert refused(tmp_path) == "/full/disk cannot be written (No space left on device)."


def test_the_command_prints_a_summary(tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture(0))
    write_list(tmp_path / "list.csv", ("a", "a.jpg"))
    result = ingest(tmp_path)
    summary = f"1 of 1 rows yielded an image. See {tmp_path}/out/report.md.\n"
    assert (result.exit_code, result.stdout, result.stderr) == (0, summary, "")
    assert outcome(manifest(tmp_path / "out")) == [("ok", f"a/{name(picture(0))}", "")]


def test_help_explains_the_store():
    text = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    assert "delete it to fetch all of them again" in text
