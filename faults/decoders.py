"""Mutated images of every format: each is decoded or rejected, without a crash, a hang or a memory leak."""

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
from prunet.data.images.decoding import Rejection, load_rgb, verify

SECONDS = 20  # limit for one image, on a busy machine
GROWTH = 64 * 2**20  # bytes of memory that may stay allocated after all images
MAX_PIXELS = 1_000_000
WORST = 20  # problems after which a campaign ends
WARM_UP = 200  # images until the decoders have allocated their buffers
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def campaign(cases: int, seed: int = 0) -> Outcome:
    """Decode `cases` mutated images with `decoding.verify` and `decoding.load_rgb`.

    Another process decodes them and is watched: an image that ends or blocks it is reported by its number,
    and a new process continues with the next image.
    """
    problems: list[str] = []
    notes: list[str] = []
    context = multiprocessing.get_context("fork")
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
    """Watch a decoding process; return the image that it reached and why it ended there (empty: finished)."""
    number = 0
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
        pipe.send(("problem", f"{grown / 2**20:.0f} MiB of memory are not released"))
    pipe.send(("number", cases))
    pace = (cases - first - WARM_UP - 1) / (time.monotonic() - began)
    note = f"{accepted} of {cases - first} still decode; memory grew by {grown / 2**20:.0f} MiB"
    pipe.send(("end", note + (f"; {pace:.0f} images a second" if pace > 0 else "")))


def judge(data: bytes, path: Path) -> bool:
    """Decode `data` as the stages `ingest` and `crop` do; return whether it is an image.

    Raises:
        AssertionError: `verify` rejects it without a reason, or accepts it and it does not load as RGB.
    """
    path.write_bytes(data)
    try:
        verify(data, MAX_PIXELS)
    except Rejection as rejection:
        if not rejection.detail:
            raise AssertionError(f"{rejection.status} without a reason") from None
        if rejection.status != "too-large":  # only `verify` protects against decoding these
            with suppress(InputError):
                load_rgb(path)
        return False
    pixels = load_rgb(path)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise AssertionError(f"{pixels.dtype} of shape {pixels.shape} is not an RGB image")
    return True


def samples() -> list[bytes]:
    """Return small images of every accepted format, in all variants with a separate decoder."""
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
        (rgb, "AVIF", {}),
        (alpha, "AVIF", {}),
        (rgb, "AVIF", frames),
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
            frame.encoderconfig = ()  # saving in one format leaves its settings for the next
        image.save(stream, kind, **options)
        encoded.append(stream.getvalue())
    return encoded


def mutated(originals: list[bytes], rng: random.Random) -> bytes:
    """Return one of `originals` with one to six random changes, half of them near its start."""
    data = bytearray(rng.choice(originals))
    for _ in range(rng.randint(1, 6)):
        size = len(data)
        position = rng.randrange(size) if rng.random() < 0.5 else rng.randrange(min(size, 200))
        length = rng.choice((1, 2, 4, rng.randint(1, 64)))
        change = rng.randrange(7)
        if change <= 1:
            data[position] ^= 1 << rng.randrange(8)
        elif change == 2:
            width = rng.choice((1, 2, 4))
            value = (rng.choice(EXTREMES) % 256**width).to_bytes(width, "little")
            data[position : position + width] = rng.choice((value, value[::-1]))
        elif change == 3:
            del data[position : position + length]
        elif change == 4:
            data[position:position] = rng.randbytes(length)
        elif change == 5:
            other = rng.choice(originals)
            start = rng.randrange(len(other))
            data[position : position + length] = other[start : start + length]
        elif rng.random() < 0.3:
            del data[position:]
        if not data:
            break
    return bytes(data)
