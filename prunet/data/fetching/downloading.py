"""Downloading: the bytes behind an http or https address, from a server that may be slow or rude."""

import asyncio
import email.utils
import re
import ssl
import time
import zlib
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urljoin

import aiohttp
import certifi
from yarl import URL

from prunet.base.errors import InputError
from prunet.data.decoding import Rejection
from prunet.data.fetching.addresses import Refused, is_address, public_socket

MAX_REDIRECTS = 5
REDIRECT_CODES = (301, 302, 303, 307, 308)
PASSING_CODES = (429, 500, 502, 503, 504)
PACKED = ("gzip", "x-gzip", "deflate")
CONDITIONS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
NUMBER = re.compile("[0-9]+|0[xX][0-9a-fA-F]*")
MAX_TOLD = 200  # characters of an error
VALIDATOR = re.compile("[ -~]{1,200}")


class Passing(Rejection):
    """A failure that may pass: worth another try, `wait` seconds later if the server said so."""

    def __init__(self, status: str, detail: str, wait: float = 0.0) -> None:
        super().__init__(status, detail)
        self.wait = wait


class Answer(NamedTuple):
    """What came: bytes, or None if they are those that are known; and what to ask with the next time."""

    data: bytes | None
    validators: dict[str, str]  # the headers ETag and Last-Modified, where the server sent them


def open_session(user_agent: str, private_addresses: bool) -> aiohttp.ClientSession:
    """Open the connections of a run: they are kept open for the next address of their host.

    No cookies are kept, since answers must not depend on earlier ones, and no proxy of the environment is
    used, which would look names up by itself.

    Raises:
        InputError: `user_agent` cannot be a header of a request.
    """
    if not (user_agent.isascii() and user_agent.isprintable() and user_agent.strip() == user_agent != ""):
        raise InputError(f"the user agent {user_agent!r} must be printable ASCII, with no space around it.")
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, ssl=context, socket_factory=None if private_addresses else public_socket
        ),
        headers={"User-Agent": user_agent, "Accept": "image/*,*/*", "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # `download` has a deadline for all of it
        auto_decompress=False,  # which would know no limit
        trust_env=False,
    )


async def download(
    session: aiohttp.ClientSession,
    url: str,
    *,
    timeout: float,
    max_bytes: int,
    known: Mapping[str, str] | None = None,
) -> Answer:
    """Try once to download an http or https address.

    Args:
        session: from `open_session`.
        url: the address; up to 5 redirects are followed, to http and https only.
        timeout: seconds that it may take, from looking up the name to the last byte.
        max_bytes: most bytes that the body may have, packed and unpacked.
        known: the `validators` of an earlier answer: the server may say that nothing has changed.

    Raises:
        Passing: `http-error` (429, 500, 502, 503 and 504) or `unreachable`.
        Rejection: `http-error`, `timeout`, `unreachable`, `refused`, `redirects`, `too-large` or `bad-url`.
    """
    headers = {CONDITIONS[name]: value for name, value in (known or {}).items()}
    try:
        async with asyncio.timeout(timeout):
            response = await _follow(session, _address(url), headers)
            try:
                return await _read(response, max_bytes, known)
            finally:
                response.release()
    except (TimeoutError, OSError, ValueError, aiohttp.ClientError, zlib.error) as error:
        raise _failure(error, timeout) from error


def _address(url: str) -> URL:
    try:
        address = URL(url)
        port = address.port
    except ValueError as error:
        raise Rejection("bad-url", f"not an address ({error})") from error
    if address.scheme not in ("http", "https") or not address.host or not port:
        raise Rejection("bad-url", "not an http or https address of a host")
    # A host that ends in a number is an IPv4 address (WHATWG's URL standard), but of many spellings.
    if NUMBER.fullmatch(address.host.rstrip(".").rpartition(".")[2]) and not is_address(address.host):
        raise Rejection("bad-url", f"{address.host} is not how an IPv4 address is written")
    return address


async def _follow(
    session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str]
) -> aiohttp.ClientResponse:
    seen = [url]
    while True:
        response = await session.get(seen[-1], headers=headers, allow_redirects=False)
        location = response.headers.get("Location")
        if response.status not in REDIRECT_CODES or location is None:
            return response
        response.release()  # the body of a redirect is not read, however long it is
        try:
            target = _address(urljoin(str(seen[-1]), location))
        except (ValueError, Rejection):
            where = f"{location[:80]!r}"
            raise Rejection("redirects", f"redirected to what is no http or https address, {where}") from None
        if target in seen:
            raise Rejection("redirects", "redirected in a circle")
        if len(seen) > MAX_REDIRECTS:
            raise Rejection("redirects", f"more than {MAX_REDIRECTS} redirects")
        seen.append(target)


async def _read(response: aiohttp.ClientResponse, max_bytes: int, known: Mapping[str, str] | None) -> Answer:
    if response.status == 304 and known:
        return Answer(None, dict(known))
    if response.status in PASSING_CODES:
        raise Passing("http-error", f"HTTP status {response.status}", _asked_wait(response))
    if response.status != 200:
        raise Rejection("http-error", f"HTTP status {response.status}")
    found = {name: response.headers.get(name, "") for name in CONDITIONS}
    validators = {name: value for name, value in found.items() if VALIDATOR.fullmatch(value)}
    return Answer(await _read_body(response, max_bytes), validators)


async def _read_body(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    if (response.content_length or 0) > max_bytes:  # as promised by Content-Length
        raise too_large(max_bytes)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in (*PACKED, "identity", ""):
        raise Rejection("http-error", f"packed as {encoding[:80]!r}, which was not asked for")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in PACKED else None
    received, body = 0, bytearray()
    async for chunk in response.content.iter_any():
        received += len(chunk)
        body += unpacker.decompress(chunk, max_bytes - len(body) + 1) if unpacker else chunk
        if max(received, len(body)) > max_bytes:
            raise too_large(max_bytes)
    if unpacker and not unpacker.eof:
        raise zlib.error("the packed data ends early")
    return bytes(body)


def _asked_wait(response: aiohttp.ClientResponse) -> float:
    """Return the seconds of the header Retry-After, a number or a date; 0 if it is neither."""
    asked = response.headers.get("Retry-After", "").strip()
    try:
        if re.fullmatch("[0-9]{1,9}", asked):
            return float(asked)
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def too_large(max_bytes: int) -> Rejection:
    """Say that a file is larger than `max_bytes`."""
    return Rejection("too-large", f"more than {max_bytes} bytes")


def _failure(error: BaseException, timeout: float) -> Rejection:
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(causes[-1], Refused):
        return Rejection("refused", f"{error.host} is {causes[-1]}")
    if isinstance(error, TimeoutError):
        return Rejection("timeout", f"no full answer within {timeout:g} s")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Rejection("unreachable", f"not the server that it says it is ({causes[-1]})")
    if isinstance(error, ValueError):
        return Rejection("bad-url", f"not an address ({error})")
    told = " ".join(str(causes[-1]).split())[:MAX_TOLD]  # it may quote what the server sent
    return Passing("unreachable", f"no full answer ({told})")
