"""Answer of a server: status, headers, and a body of limited size."""

import email.utils
import re
import time
import zlib
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp

from prunet.data.images.decoding import Rejection

TRANSIENT_CODES = (429, 500, 502, 503, 504)
COMPRESSED = ("gzip", "x-gzip", "deflate")
VALIDATORS = ("ETag", "Last-Modified")
SAFE_HEADER = re.compile("[ -~]{1,200}")


class TransientFailure(Rejection):
    """A failure worth retrying, `wait` seconds later if the server asked for that."""

    def __init__(self, status: str, detail: str, wait: float = 0.0) -> None:
        super().__init__(status, detail)
        self.wait = wait


class Body(NamedTuple):
    """Bytes of a url, not yet decoded."""

    data: bytes | None = None  # downloaded; None: those of the local file or in the store
    validators: dict[str, str] | None = None  # of `data`: the headers ETag and Last-Modified, where present
    note: str = ""  # becomes the detail of an `ok` row


async def read(response: aiohttp.ClientResponse, max_bytes: int, known: Mapping[str, str] | None) -> Body:
    """Read a response that is not a redirect; it has no data if nothing changed since the known validators.

    Args:
        response: of a server.
        max_bytes: largest body, compressed and decompressed.
        known: the validators sent with the request, if any.

    Raises:
        TransientFailure: `http-error` (429, 500, 502, 503 or 504).
        Rejection: `http-error` or `too-large`.
        zlib.error, aiohttp.ClientError: the body is damaged or ends early.
    """
    if response.status == 304 and known:
        return Body()
    if response.status in TRANSIENT_CODES:
        raise TransientFailure("http-error", f"HTTP status {response.status}", _retry_after(response))
    if response.status != 200:
        raise Rejection("http-error", f"HTTP status {response.status}")
    found = {name: response.headers.get(name, "") for name in VALIDATORS}
    validators = {name: value for name, value in found.items() if SAFE_HEADER.fullmatch(value)}
    return Body(await _read_body(response, max_bytes), validators)


async def _read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if (response.content_length or 0) > max_bytes:  # according to Content-Length
        raise too_large(max_bytes)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in (*COMPRESSED, "identity", ""):
        raise Rejection("http-error", f"sent with the encoding {encoding[:80]!r}, which was not requested")
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in COMPRESSED else None
    received, body = 0, bytearray()
    async for chunk in response.content.iter_any():
        received += len(chunk)
        body += decompressor.decompress(chunk, max_bytes - len(body) + 1) if decompressor else chunk
        if max(received, len(body)) > max_bytes:
            raise too_large(max_bytes)
    if decompressor and not decompressor.eof:
        raise zlib.error("the compressed data ends early")
    return bytes(body)


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """Return the header Retry-After, a number or a date, in seconds from now; 0 if it is neither."""
    value = response.headers.get("Retry-After", "").strip()
    try:
        if re.fullmatch("[0-9]{1,9}", value):
            return float(value)
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def too_large(max_bytes: int) -> Rejection:
    """Return the rejection of a file larger than `max_bytes`."""
    return Rejection("too-large", f"more than {max_bytes} bytes")
