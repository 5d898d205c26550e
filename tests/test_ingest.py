"""The stage ingest, run as a person runs it, against a server on the loopback interface."""

import csv
import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from prunet.faces import fetching
from prunet.faces.scraping import STATUSES
from stages.ingest import main
from tests.servers import body, drip, hang, in_turn, redirect, serving, status

OPTIONS = {
    "concurrency": 4,
    "timeout": 2,
    "retries": 1,
    "max_bytes": 20_000,
    "max_pixels": 10_000,
    "user_agent": "prunet-test",
}
OTHER_LABEL = "the same bytes as row {}, which has another label, {!r}: one of the two labels is wrong"


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


def ingest(folder, source="list.csv", output="out", **changes):
    options = OPTIONS | {"source": folder / source, "store": folder / "store"} | changes
    arguments = [text for option, value in options.items() for text in (f"--{option}", str(value))]
    return CliRunner().invoke(main, [*arguments, str(folder / output), str(folder / "metrics.json")])


def ingested(folder, **options):
    result = ingest(folder, **options)
    assert result.exit_code == 0, result.output
    return manifest(folder / options.get("output", "out"))


def refused(folder, **options):
    """Run ingest, which must end in one sentence and exit code 2; return the sentence."""
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


def counts(folder):
    numbers = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert list(numbers) == ["rows", *STATUSES]
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
            ("Arya", url("/hang"), "timeout", "", "no full answer within 2 s"),
            ("Arya", url("/drip"), "timeout", "", "no full answer within 2 s"),
            ("Arya", url("/circle"), "redirects", "", "redirected in a circle"),
            (
                *("Arya", url("/file"), "redirects", ""),
                "redirected to what is no http or https address, 'file:///etc/hostname'",
            ),
            ("Grey Worm", url("/moved"), "ok", f"Grey Worm/{name(far)}", ""),
            ("Arya", url("/html"), "not-an-image", "", "is an HTML page"),
            ("Arya", url("/truncated"), "broken-image", "", None),
            (
                *("Arya", url("/short"), "unreachable", ""),
                f"no full answer (IncompleteRead({len(plain)} bytes read, 10 more expected))",
            ),
            ("Arya", url("/oversize"), "too-large", "", "more than 20000 bytes"),
            ("Arya", url("/small"), "too-small", "", "1 x 1 pixels: a side is under 16"),
            ("Arya", url("/large"), "too-large", "", None),
            ("Arya", url("/deep"), "ok", f"Arya/{name(deep, 'png')}", ""),
            ("Arya", url("/cmyk"), "ok", f"Arya/{name(cmyk)}", ""),
            ("Arya", url("/turned"), "ok", f"Arya/{name(turned)}", ""),
            ("Arya", url("/plain"), "duplicate", "", "the same label and url as row 1"),
            ("Sansa", url("/plain"), "duplicate", "", OTHER_LABEL.format(1, "Arya")),
            ("Arya", url("/far"), "duplicate", "", OTHER_LABEL.format(8, "Grey Worm")),
            ("Sansa", "photos/local.jpg", "ok", f"Sansa/{name(local)}", ""),
            ("Sansa", "photos/nothing.jpg", "missing-file", "", "there is no such file"),
            ("../Arya", url("/plain"), "bad-label", "", None),
            ("Arya/Stark", url("/plain"), "bad-label", "", None),
            ("", url("/plain"), "bad-label", "", "the label is empty"),
            ("Arya", "../secret.jpg", "bad-url", "", "a path that leaves the folder of the list"),
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
    images = [plain, twice, far, deep, cmyk, turned, local]
    paths = [row["image"] for row in rows if row["status"] == "ok"]
    found = tree(tmp_path / "out")
    del found["manifest.csv"]
    assert found == dict(zip(paths, images, strict=True))
    assert counts(tmp_path) == {
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
    }
    assert {path.name for path in tmp_path.iterdir()} == {
        "list.csv",
        "photos",
        "out",
        "metrics.json",
        "store",
    }
    assert sorted(tree(tmp_path / "store").values()) == sorted([*images[:-1], far])  # far: by two urls


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


def test_a_file_name_that_is_not_utf_8(tmp_path):
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
def test_a_bad_list_is_refused_in_one_sentence(tmp_path, content, message):
    if content is not None:
        (tmp_path / "list.csv").write_bytes(content)
    sentence = refused(tmp_path)
    assert sentence.startswith(f"{tmp_path / 'list.csv'} {message}")
    assert not (tmp_path / "out").exists()


def test_no_image_at_all_keeps_the_output_of_before(tmp_path):
    (tmp_path / "good.jpg").write_bytes(picture(0))
    write_list(tmp_path / "list.csv", ("a", "good.jpg"))
    ingested(tmp_path)
    before = tree(tmp_path / "out") | tree(tmp_path)
    write_list(tmp_path / "bad.csv", ("a", "1.jpg"), ("a", "/2.jpg"), ("a", "3.jpg"))
    assert refused(tmp_path, source="bad.csv") == (
        f"none of the 3 rows of {tmp_path / 'bad.csv'} gave an image (2 missing-file, 1 bad-url): "
        "mend them, for example row 1, '1.jpg': there is no such file; "
        "row 2, '/2.jpg': an absolute path: local paths are relative to the list."
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


def test_the_store_is_asked_before_the_server(tmp_path):
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
        assert server.requests == {"/2": 1, "/html": 2}  # what is no image is not kept
        limited = ingested(tmp_path, max_bytes=len(picture(0)))  # the limits hold for the store, too
        assert [row["status"] == "too-large" for row in limited[:3]] == [
            len(picture(number)) > len(picture(0)) for number in range(3)
        ]
        assert server.requests == {"/2": 1, "/html": 3}


def test_two_runs_write_the_same_bytes(tmp_path):
    same = picture(0)
    answers = {f"/{number}": body(same if number % 3 == 0 else picture(number)) for number in range(12)}
    with serving(answers) as server:
        write_list(tmp_path / "list.csv", *(("ab"[n % 2], server.url(f"/{n}")) for n in range(12)))
        ingested(tmp_path, output="one", store=tmp_path / "s1", concurrency=1)
        one = (tmp_path / "metrics.json").read_bytes()
        ingested(tmp_path, output="two", store=tmp_path / "s2", concurrency=12)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert (tmp_path / "metrics.json").read_bytes() == one
    assert counts(tmp_path) == {"rows": 12, "ok": 9, "duplicate": 3}


def test_a_killed_run_leaves_no_output_but_a_store(tmp_path, monkeypatch):
    verify, answers = fetching.images.verify, {f"/{n}": body(picture(n)) for n in range(4)}

    def killed(data, max_pixels):
        if data == picture(2):
            raise KeyboardInterrupt
        return verify(data, max_pixels)

    with serving(answers) as server:
        write_list(tmp_path / "list.csv", *(("a", server.url(f"/{n}")) for n in range(4)))
        monkeypatch.setattr(fetching.images, "verify", killed)
        assert ingest(tmp_path, concurrency=1).exit_code == 1
        assert {path.name for path in tmp_path.iterdir()} == {"list.csv", "store"}
        kept = sorted(tree(tmp_path / "store").values())
        assert picture(0) in kept
        assert picture(1) in kept
        monkeypatch.setattr(fetching.images, "verify", verify)
        server.requests.clear()
        assert [row["status"] for row in ingested(tmp_path)] == ["ok"] * 4
        assert sum(server.requests.values()) == 4 - len(kept)


def test_the_command_line(tmp_path):
    command = [sys.executable, "-m", "stages.ingest"]
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "delete it to fetch all of them afresh" in " ".join(told.split())
    (tmp_path / "a.jpg").write_bytes(picture(0))
    write_list(tmp_path / "list.csv", ("a", "a.jpg"))
    options = [f"--{name.replace('_', '-')}={value}" for name, value in OPTIONS.items()]
    options += [f"--source={tmp_path}/list.csv", f"--store={tmp_path}/store"]
    done = subprocess.run(
        [*command, *options, tmp_path / "out", tmp_path / "metrics.json"], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert outcome(manifest(tmp_path / "out")) == [("ok", f"a/{name(picture(0))}", "")]
