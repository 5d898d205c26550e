"""Mutated images of every format at the door: a sentence about each, no crash, no hang, no growing memory."""

import io
import multiprocessing
import os
import random
import tempfile
import time
import warnings
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from tqdm import tqdm

from faults.outcomes import Outcome
from prunet.base.errors import InputError
from prunet.data.decoding import Rejection, load_rgb, verify

SECONDS = 20  # that one image may take, on a busy machine
GROWTH = 64 * 2**20  # bytes of memory that all images together may leave behind
MAX_PIXELS = 1_000_000
WORST = 20  # problems after which a campaign ends
WARM_UP = 200  # images until the decoders have their buffers
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def campaign(cases: int, seed: int = 0) -> Outcome:
    """Give `cases` mutated images to `decoding.verify` and `decoding.load_rgb`.

    They are decoded in a process of their own, which is watched: the image that ends or holds it up is named
    by its number, and another process goes on behind it.
    """
    problems: list[str] = []
    notes: list[str] = []
    context = multiprocessing.get_context("spawn")
    done, originals = 0, samples()
    with tqdm(total=cases, desc="decoders", unit="image", disable=None) as bar:
        while done < cases and len(problems) < WORST:
            here, there = context.Pipe(duplex=False)
            process = context.Process(target=_decode, args=(originals, seed, done, cases, there))
            process.start()
            there.close()
            reached, reason = _watch(here, problems, notes)
            process.kill()
            process.join()
            if reason:
                problems.append(f"image {reached} of seed {seed} {reason}")
                reached += 1
            bar.update(reached - done)
            done = reached
    return Outcome("mutated images, every format", cases, problems, notes)


def _watch(pipe: Connection, problems: list[str], notes: list[str]) -> tuple[int, str]:
    """Follow a decoding process; return the image that it reached, and why it ended there (empty: done)."""
    number = 0
    pipe.poll(None)  # until the process has started, however long that takes
    while pipe.poll(SECONDS):
        try:
            kind, value = pipe.recv()
        except EOFError:
            return number, "ended the process"
        if kind == "number":
            number = value
        elif kind == "end":
            notes.append(value)
            return number, ""
        else:
            problems.append(value)
    return number, f"took more than {SECONDS} seconds"


def _decode(originals: list[bytes], seed: int, first: int, cases: int, pipe: Connection) -> None:
    warnings.simplefilter("ignore")  # Pillow's, of damaged EXIF data and the like
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff's
    process = psutil.Process()
    before = began = 0.0
    accepted = 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, cases):
            pipe.send(("number", number))
            if number <= first + WARM_UP:
                before, began = process.memory_info().rss, time.monotonic()
            data = mutated(originals, random.Random(f"{seed}/{number}"))
            try:
                accepted += judge(data, Path(folder) / "image")
            except Exception as error:
                pipe.send(("problem", f"image {number} of seed {seed} raises {error!r}"))
    grown = process.memory_info().rss - before
    if grown > GROWTH:
        pipe.send(("problem", f"{grown / 2**20:.0f} MiB of memory are not given back"))
    pipe.send(("number", cases))
    pace = (cases - first - WARM_UP - 1) / (time.monotonic() - began)
    said = f"{accepted} of {cases - first} still decode; memory grew by {grown / 2**20:.0f} MiB"
    pipe.send(("end", said + (f"; {pace:.0f} images a second" if pace > 0 else "")))


def judge(data: bytes, path: Path) -> bool:
    """Decode `data` as the stages ingest and crop do; return whether it is an image.

    Raises:
        AssertionError: what `verify` accepts does not load, or not as RGB.
    """
    path.write_bytes(data)
    try:
        verify(data, MAX_PIXELS)
    except Rejection as rejection:
        if not rejection.detail:
            raise AssertionError(f"{rejection.status} without a reason") from None
        if rejection.status != "too-large":  # `verify` alone keeps these from being decoded
            with suppress(InputError):
                load_rgb(path)
        return False
    pixels = load_rgb(path)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise AssertionError(f"{pixels.dtype} of shape {pixels.shape} is no RGB image")
    return True


def samples() -> list[bytes]:
    """Return small images of every format that is accepted, in the forms that have decoders of their own."""
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 200, 48 * 40).reshape(40, 48, 1) + rng.integers(0, 50, (40, 48, 3))
    rgb = Image.fromarray(smooth.astype(np.uint8))
    gray, palette = rgb.convert("L"), rgb.convert("P")
    alpha = rgb.convert("RGBA")
    deep = Image.fromarray(np.asarray(gray).astype(np.uint16) << 8)
    turned = Image.Exif()
    turned[0x0112] = 6
    exif: dict[str, Any] = {"exif": turned}
    frames: dict[str, Any] = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (rgb, "JPEG", exif),
        (rgb, "JPEG", {"progressive": True, "quality": 60}),
        (gray, "JPEG", {}),
        (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "MPO", frames),
        (rgb, "PNG", exif),
        (alpha, "PNG", {}),
        (palette, "PNG", {"transparency": 3}),
        (deep, "PNG", {}),
        (gray.convert("1"), "PNG", {}),
        (rgb, "PNG", frames),
        (rgb, "WEBP", exif),
        (alpha, "WEBP", {"lossless": True}),
        (rgb, "WEBP", frames),
        (palette, "GIF", {}),
        (rgb, "GIF", frames),
        (rgb, "BMP", {}),
        (palette, "BMP", {}),
        (rgb, "TIFF", exif),
        (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "TIFF", {"compression": "jpeg"}),
        (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (gray.convert("1"), "TIFF", {"compression": "group4"}),
        (deep, "TIFF", {"compression": "packbits"}),
        (rgb, "TIFF", frames),
        (rgb, "PPM", {}),
        (gray, "PPM", {}),
        (gray.convert("1"), "PPM", {}),
    ]
    encoded = []
    for image, kind, options in kinds:
        stream = io.BytesIO()
        for frame in (image, *options.get("append_images", ())):
            frame.encoderconfig = ()  # saving leaves that of one format to the next
        image.save(stream, kind, **options)
        encoded.append(stream.getvalue())
    return encoded


def mutated(originals: list[bytes], rng: random.Random) -> bytes:
    """Return one of `originals` with one to six random changes, half of them near its beginning."""
    data = bytearray(rng.choice(originals))
    for _ in range(rng.randint(1, 6)):
        size = len(data)
        place = rng.randrange(size) if rng.random() < 0.5 else rng.randrange(min(size, 200))
        length = rng.choice((1, 2, 4, rng.randint(1, 64)))
        change = rng.randrange(7)
        if change <= 1:
            data[place] ^= 1 << rng.randrange(8)
        elif change == 2:
            width = rng.choice((1, 2, 4))
            value = (rng.choice(EXTREMES) % 256**width).to_bytes(width, "little")
            data[place : place + width] = rng.choice((value, value[::-1]))
        elif change == 3:
            del data[place : place + length]
        elif change == 4:
            data[place:place] = rng.randbytes(length)
        elif change == 5:
            other = rng.choice(originals)
            begin = rng.randrange(len(other))
            data[place : place + length] = other[begin : begin + length]
        elif rng.random() < 0.3:
            del data[place:]
        if not data:
            break
    return bytes(data)
