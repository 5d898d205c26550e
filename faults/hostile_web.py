"""Hostile web: thousands of rows, most of which must fail, through the stage `ingest`.

A case survives if its row has the right status and its image, if it has one, is in the output, byte for byte.
"""

import csv
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from faults import hostile_pictures, hostile_server
from faults.outcomes import Outcome
from prunet.base.files import write_json

MAX_BYTES = 1_000_000
MAX_PIXELS = 1_000_000
LABELS = ("Arya", "Grey Worm", "Zoë", "丹妮莉丝", "O'Brien; rm -rf $HOME", "-rf", "=1+1", "%2e%2e", "con")
BAD_LABELS = ("", "..", "../up", "a/b", "a\\b", ".hidden", "a\u202eb", "a\x07b", "x" * 300, "manifest.csv")
BAD_URLS = (
    *("", "http://", "http://[::1", "http://a..b/", "http://127.0.0.1:99999/", "http://2130706433/"),
    *("ftp://a/b.jpg", "file:///etc/hostname", "javascript:alert(1)", "data:image/png;base64,AAAA"),
    *("/etc/hostname", "../outside.jpg", "link.jpg", "out/outside.jpg", "http://0x7f.1/"),
)

# Runs a command and prints its peak memory in kB. It must be a small process: a peak includes that of the
# process that started the command.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""


class Case(NamedTuple):
    """A row of the list and its expected outcome."""

    kind: str
    label: str
    url: str
    statuses: tuple[str, ...]
    data: bytes | None = None  # its image, if it has one


def cases(rows: int, folder: Path, port: int, tls_port: int) -> list[Case]:
    """Return `rows` cases of all kinds in random order; write their local files to `folder`."""
    made = list(islice(_endless(folder, port, tls_port), rows))
    return [made[number] for number in np.random.default_rng(0).permutation(rows)]


def _endless(folder: Path, port: int, tls_port: int) -> Iterator[Case]:
    labels, bad_labels, bad_urls = cycle(LABELS), cycle(BAD_LABELS), cycle(BAD_URLS)
    web = f"http://127.0.0.1:{port}"
    number = 0
    while True:
        for kind, make in hostile_pictures.GOOD.items():
            number += 1
            yield Case(kind, next(labels), f"{web}/{kind}/{number}/a.jpg", ("ok",), make(number))
        for kind in hostile_server.GOOD_ANSWERS:
            number += 1
            data = hostile_server.picture(number)
            yield Case(kind, next(labels), f"{web}/{kind}/{number}/фото 1.jpg", ("ok",), data)
        for kind, (make, statuses) in hostile_pictures.BAD.items():
            number += 1
            yield Case(kind, next(labels), f"{web}/{kind}/{number}/a.jpg", statuses, make(number))
        for kind, (_, statuses) in hostile_server.BAD_ANSWERS.items():
            number += 1
            yield Case(kind, next(labels), f"{web}/{kind}/{number}/a.jpg", statuses)
        number += 1
        data = hostile_server.picture(number)
        url = f"{web}/jpeg/{number}"
        yield Case("first of several", "Arya", f"{url}/1", ("ok",), data)
        yield Case("the same row", "Arya", f"{url}/1", ("ok",), data)
        yield Case("the same bytes", "Arya", f"{url}/2", ("ok",), data)
        yield Case("the same bytes, another label", "Zoë", f"{url}/3", ("ok",), data)
        yield Case("another host", "Zoë", f"http://localhost:{port}/jpeg/{number}", ("ok",), data)
        number += 1
        name = f"gr\xfc\xdfe \u202e {number}.jpg"
        data = hostile_server.picture(number)
        (folder / name).write_bytes(data)
        yield Case("local file", next(labels), name, ("ok",), data)
        yield Case("missing file", next(labels), f"{number} missing.jpg", ("missing-file",))
        yield Case("pipe", next(labels), f"./{'./' * (number % 1000)}pipe", ("missing-file",))
        yield Case("drip in TLS", next(labels), f"https://127.0.0.1:{tls_port}/{number}", ("timeout",))
        yield Case("nobody listens", next(labels), f"http://127.0.0.1:1/{number}", ("unreachable",))
        yield Case("bad label", next(bad_labels), f"{web}/jpeg/{number}", ("bad-label",))
        yield Case("bad url", next(labels) + f" {number}", next(bad_urls), ("bad-url",))


def campaign(cases: int) -> Outcome:
    """Send `cases` rows through the stage."""
    with tempfile.TemporaryDirectory() as folder:
        found = ingest(Path(folder), cases)
    more = found["lost"] - len(found["examples"])
    problems = [*found["problems"], *found["examples"], *["another row is wrong"] * more]
    notes = [f"{found['seconds']:.0f} seconds, {found['peak_mb']:.0f} MB at most"]
    return Outcome("a hostile web, through the stage ingest", found["cases"], problems, notes)


def ingest(folder: Path, rows: int) -> dict[str, Any]:
    """Send `rows` cases through the stage in its own process.

    Args:
        folder: an empty folder for everything that is written.
        rows: number of cases; the 86 kinds take turns.

    Returns:
        `kinds`: {kind: {`cases`, `survived`, `lost`}}; `cases`, `survived` and `lost`, their sums;
        `examples` of lost cases; `problems`, all other errors; `seconds`; and `peak_mb`, the resident memory
        of the largest process in MB.
    """
    source = folder / "list"
    source.mkdir()
    (folder / "outside.jpg").write_bytes(hostile_server.picture(0))
    (source / "link.jpg").symlink_to(folder / "outside.jpg")
    (source / "out").symlink_to(folder)
    os.mkfifo(source / "pipe")
    with hostile_server.serving() as (port, tls_port):
        listed = cases(rows, source, port, tls_port)
        with (source / "list.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([("label", "url"), *((case.label, case.url) for case in listed)])
        before = _files(folder)
        code, printed, seconds, peak_mb = _run(folder)
    if code != 0:
        raise RuntimeError(f"the stage ended with code {code}: {printed[-2000:]}")
    problems = [printed] if "Traceback" in printed else []
    new = {path for path in _files(folder) - before if path.parts[0] not in ("photos", "store")}
    problems += [f"a file outside: {path}" for path in sorted(new - {Path("params.json")})]
    problems += _strangers(listed, folder / "photos")
    return judge(listed, folder / "photos") | {
        "problems": problems,
        "seconds": seconds,
        "peak_mb": peak_mb,
    }


def _files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if not path.is_dir()}


def _run(folder: Path) -> tuple[int, str, float, float]:
    params = {
        "source": str(folder / "list" / "list.csv"),
        "min_images": 0,
        "store": str(folder / "store"),
        "concurrency": 64,
        "host_concurrency": 64,
        "host_delay": 0,
        "timeout": 4,
        "retries": 2,
        "max_bytes": MAX_BYTES,
        "max_pixels": MAX_PIXELS,
        "user_agent": "prunet-faults",
        "private_addresses": True,
        "recheck": False,
    }
    write_json(folder / "params.json", params)
    stage = [sys.executable, "-m", "stages.ingest", str(folder / "params.json"), str(folder / "photos")]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *stage],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    printed, _, peak_kb = done.stdout.rstrip().rpartition("\n")
    return done.returncode, printed, time.monotonic() - began, int(peak_kb) / 1024


def judge(listed: list[Case], photos: Path) -> dict[str, Any]:
    """Compare the manifest with the expected outcome of each case; count them and keep a few lost ones."""
    with (photos / "manifest.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    if len(rows) != len(listed):
        raise RuntimeError(f"{len(rows)} rows in the manifest, {len(listed)} in the list")
    kinds: dict[str, dict[str, int]] = {}
    examples: list[str] = []
    kept: set[bytes] = set()
    for case, row in zip(listed, rows, strict=True):
        statuses = case.statuses
        if "ok" in statuses and case.data is not None and _digest(case.data) in kept:
            statuses = ("duplicate",)
        survived = row["status"] in statuses
        if row["status"] == "ok":
            survived &= case.data == (photos / row["image"]).read_bytes()
            kept.add(_digest(case.data or b""))
        counts = kinds.setdefault(case.kind, {"cases": 0, "survived": 0, "lost": 0})
        counts["cases"] += 1
        counts["survived" if survived else "lost"] += 1
        if not survived and len(examples) < 10:
            actual = f"{row['status']} ({row['detail']})"
            examples.append(f"{case.kind}: {case.url[:80]} is {actual}, not {' or '.join(statuses)}")
    sums = {name: sum(counts[name] for counts in kinds.values()) for name in ("cases", "survived", "lost")}
    return {"kinds": kinds, **sums, "examples": examples}


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _strangers(listed: list[Case], photos: Path) -> list[str]:
    """Report images that are stored twice or belong to no row."""
    wanted = {_digest(case.data) for case in listed if case.data is not None and "ok" in case.statuses}
    found = [_digest(path.read_bytes()) for path in photos.glob("*/**/*") if path.is_file()]
    twice, unknown = len(found) - len(set(found)), len(set(found) - wanted)
    return [f"{twice} images are stored twice"] * bool(twice) + [f"{unknown} images belong to no row"] * bool(
        unknown
    )
