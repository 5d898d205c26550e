"""Fetch and verify the bytes of one url of a scraping list."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prunet.base.errors import InputError
from prunet.data.fetching.addresses import host_of, is_remote
from prunet.data.fetching.answers import Body, TransientFailure, too_large
from prunet.data.fetching.downloading import download
from prunet.data.fetching.store import Store, key
from prunet.data.hashing import perceptual_hash
from prunet.data.images import decoding
from prunet.data.images.decoding import Rejection
from prunet.data.listing.scraping import Row

HASHED_SIDE = 64  # pixels of the shorter side are enough: the perceptual hash uses 32


class Settings(NamedTuple):
    """Settings of the fetching of a list's urls."""

    timeout: float  # seconds per try, from the DNS look-up to the last byte
    retries: int
    max_bytes: int  # of a file
    max_pixels: int  # of an image, width x height
    recheck: bool  # also request images that are in the store
    concurrency: int  # urls fetched at a time
    host_concurrency: int  # urls of one host fetched at a time; redirects to a host are not counted
    host_delay: float  # least seconds between the starts of two requests to a host
    user_agent: str  # the User-Agent header
    private_addresses: bool  # whether to allow addresses that are not on the public internet


def host_to_ask(url: str, store: Store, recheck: bool) -> str:
    """Return the host that `url` will be requested from, or "" if it is a local file or in the store."""
    host = host_of(url)
    return "" if host and not recheck and store.has(url) else host


async def fetch(
    session: aiohttp.ClientSession, url: str, store: Store, settings: Settings, *, last_try: bool
) -> Body:
    """Download `url` unless it is local or stored.

    Raises:
        TransientFailure: another try may succeed.
        Rejection: the url yields no bytes.
    """
    if not is_remote(url):
        return Body()
    if store.has(url):
        return Body(note=await _recheck(session, url, store, settings, last_try) if settings.recheck else "")
    return await download(session, url, timeout=settings.timeout, max_bytes=settings.max_bytes)


async def _recheck(
    session: aiohttp.ClientSession, url: str, store: Store, settings: Settings, last_try: bool
) -> str:
    """Request a stored image again; describe what has changed, or return an empty string."""
    known = store.known[key(url)]
    try:
        answer = await download(
            session, url, timeout=settings.timeout, max_bytes=settings.max_bytes, known=known["validators"]
        )
        if answer.data is None or hashlib.sha256(answer.data).hexdigest() == known["sha256"]:
            return ""
        decoding.verify(answer.data, settings.max_pixels)
    except Rejection as rejection:
        if isinstance(rejection, TransientFailure) and not last_try:
            raise
        return f"from an earlier run; the address now returns no image ({rejection.detail})"
    return "from an earlier run; the address now returns another image"


def verify(
    url: str, body: Body, local: Callable[[str], bytes], output: Path, store: Store, settings: Settings
) -> Row:
    """Decode the bytes of `url`; write those of an image to `output / key(url)` and, if new, to `store`.

    Args:
        url: an address, or a local path.
        body: from `fetch`.
        local: reads a url that is not an http or https address; raises a Rejection.
        output: an existing folder.
        store: images of earlier runs.
        settings: its largest file and image.

    Returns:
        `status` and `detail` and, if the status is `ok`, the file name `<hash>.<ext>` as `image` and the
        `perceptual_hash`, 16 hexadecimal digits.

    Raises:
        InputError: a file cannot be written.
    """
    try:
        data = _bytes(url, body, local, store, settings.max_bytes)
        extension, pixels = decoding.verify(data, settings.max_pixels)
    except Rejection as rejection:
        return rejected(rejection)
    try:
        if body.validators is not None:
            store.put(url, data, body.validators)
        (output / key(url)).write_bytes(data)
    except OSError as error:
        raise InputError(f"{error.filename} cannot be written ({error.strerror}).") from None
    name = f"{hashlib.sha256(data).hexdigest()[:16]}.{extension}"
    return {"status": "ok", "image": name, "detail": body.note, "perceptual_hash": f"{_hash(pixels):016x}"}


def rejected(rejection: Rejection) -> Row:
    """Return the result of a url without an image, in the form of `verify`."""
    return {"status": rejection.status, "image": "", "detail": rejection.detail}


def _bytes(url: str, body: Body, local: Callable[[str], bytes], store: Store, max_bytes: int) -> bytes:
    if body.data is not None:
        return body.data
    if not is_remote(url):
        return local(url)
    try:
        data = store.read(url)
    except (OSError, ValueError) as error:
        path = store.folder / key(url)
        raise Rejection("broken-image", f"damaged in the store; delete {path} to fetch it again") from error
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data


def _hash(pixels: NDArray[np.uint8]) -> np.uint64:
    image = Image.fromarray(pixels)
    return perceptual_hash(np.asarray(image.reduce(max(1, min(image.size) // HASHED_SIDE))))
