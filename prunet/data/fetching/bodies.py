"""Bodies: the bytes behind one url of a scraping list, and what they are found to be."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import scipy.fftpack  # noqa: F401 - ImageHash does it at the first hash: here once, not in every decoder
from numpy.typing import NDArray
from PIL import Image

from prunet.base.errors import InputError
from prunet.data import decoding
from prunet.data.decoding import Rejection
from prunet.data.faces.detection import perceptual_hash
from prunet.data.fetching.downloading import Passing, download, too_large
from prunet.data.fetching.store import Store, key
from prunet.data.listing.scraping import Row

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
ENOUGH_FOR_LOOKS = 64  # pixels of the shorter side: the perceptual hash looks at 32


class Limits(NamedTuple):
    """How one url may be fetched."""

    timeout: float  # seconds, of one try
    retries: int
    max_bytes: int
    max_pixels: int
    recheck: bool  # ask again for what is in the store


class Body(NamedTuple):
    """What was found out about a url before its bytes are looked at."""

    data: bytes | None = None  # from the web; None: a local file, or in the store
    validators: dict[str, str] | None = None  # of `data`, to be kept with it
    note: str = ""  # what a person should know


def is_remote(url: str) -> bool:
    """Say whether `url` is an http or https address."""
    return url.lower().startswith(("http://", "https://"))


def host_to_ask(url: str, store: Store, recheck: bool) -> str:
    """Return the host that is asked for `url`, "" if it is a local file or in the store."""
    if not is_remote(url) or (store.has(url) and not recheck):
        return ""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


async def fetch(
    session: aiohttp.ClientSession, url: str, store: Store, limits: Limits, *, last_try: bool
) -> Body:
    """Ask the web for `url`, if it must be asked.

    Raises:
        Passing: worth another try.
        Rejection: there are no bytes.
    """
    if not is_remote(url):
        return Body()
    if store.has(url):
        return Body(note=await _recheck(session, url, store, limits, last_try) if limits.recheck else "")
    answer = await download(session, url, timeout=limits.timeout, max_bytes=limits.max_bytes)
    return Body(answer.data, answer.validators)


async def _recheck(
    session: aiohttp.ClientSession, url: str, store: Store, limits: Limits, last_try: bool
) -> str:
    """Say what the address of a stored image gives now, if it is not that image."""
    known = store.known[key(url)]
    try:
        answer = await download(
            session, url, timeout=limits.timeout, max_bytes=limits.max_bytes, known=known["validators"]
        )
        if answer.data is None or hashlib.sha256(answer.data).hexdigest() == known["sha256"]:
            return ""
        decoding.verify(answer.data, limits.max_pixels)
    except Rejection as rejection:
        if isinstance(rejection, Passing) and not last_try:
            raise
        return f"from an earlier run: the address gives no image now ({rejection.detail})"
    return "from an earlier run: the address gives another image now"


def verify(url: str, body: Body, folder: Path, output: Path, store: Store, limits: Limits) -> Row:
    """Decode the bytes of `url`; write those of an image to `output / key(url)` and, if new, to `store`.

    Args:
        url: an address, or a path relative to `folder`.
        body: from `fetch`.
        folder: where local files lie; a path may not leave it.
        output: an existing folder.
        store: where bytes are that came with an earlier run.
        limits: the largest file and image.

    Returns:
        `status` and `detail`, and if the status is `ok`, the file-name `<hash>.<ext>` as `image` and the
        perceptual hash, 16 hex digits, as `looks`.

    Raises:
        InputError: a file cannot be written.
    """
    try:
        data = _bytes(url, body, folder, store, limits.max_bytes)
        extension, pixels = decoding.verify(data, limits.max_pixels)
    except Rejection as rejection:
        return rejected(rejection)
    try:
        if body.validators is not None:
            store.put(url, data, body.validators)
        (output / key(url)).write_bytes(data)
    except OSError as error:
        raise InputError(f"{error.filename} cannot be written ({error.strerror}).") from None
    name = f"{hashlib.sha256(data).hexdigest()[:16]}.{extension}"
    return {"status": "ok", "image": name, "detail": body.note, "looks": f"{_looks(pixels):016x}"}


def rejected(rejection: Rejection) -> Row:
    """Return what `verify` would, for a url without bytes."""
    return {"status": rejection.status, "image": "", "detail": rejection.detail}


def _bytes(url: str, body: Body, folder: Path, store: Store, max_bytes: int) -> bytes:
    if body.data is not None:
        return body.data
    if not is_remote(url):
        return read_local(folder, url, max_bytes)
    try:
        data = store.read(url)
    except (OSError, ValueError) as error:
        where = store.folder / key(url)
        raise Rejection("broken-image", f"damaged in the store: remove {where} to fetch it again") from error
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data


def _looks(pixels: NDArray[np.uint8]) -> int:
    image = Image.fromarray(pixels)
    return int(perceptual_hash(np.asarray(image.reduce(max(1, min(image.size) // ENOUGH_FOR_LOOKS)))))


def read_local(folder: Path, url: str, max_bytes: int) -> bytes:
    """Read a file of which the path `url` is relative to `folder` and stays below it.

    Raises:
        Rejection: `bad-url`, `missing-file` or `too-large`.
    """
    if not url:
        raise Rejection("bad-url", "the url is empty")
    if SCHEME.match(url):
        raise Rejection("bad-url", "neither an http nor an https address, nor a relative path")
    if Path(url).is_absolute():
        raise Rejection("bad-url", "an absolute path: local paths are relative to the list")
    try:
        path = (folder / url).resolve()
        if folder.resolve() not in path.parents:
            raise Rejection("bad-url", "a path that leaves the folder of the list")
        if not path.is_file():
            raise Rejection("missing-file", "there is no such file")
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise Rejection("missing-file", f"cannot be read ({error.strerror})") from error
    except (ValueError, RuntimeError) as error:  # a NUL character, a circle of symbolic links
        raise Rejection("bad-url", f"not a path ({error})") from error
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data
