"""Download of one http or https address from a server that may be slow or hostile."""

import asyncio
import ssl
import zlib
from collections.abc import Mapping

import aiohttp
import certifi
from yarl import URL

from prunet.base.errors import InputError
from prunet.base.text import shown
from prunet.data.fetching.addresses import Refused, public_socket
from prunet.data.fetching.answers import Body, TransientFailure, read
from prunet.data.fetching.spelling import parse, redirected
from prunet.data.images.decoding import Rejection
from prunet.data.images.formats import known

MAX_REDIRECTS = 5
REDIRECT_CODES = (301, 302, 303, 307, 308)
CONDITIONS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
MAX_REASON = 200  # characters of an error message


def open_session(user_agent: str, private_addresses: bool) -> aiohttp.ClientSession:
    """Open a session that keeps one connection pool for the whole run.

    It stores no cookies, because answers must not depend on earlier ones, and ignores proxies from the
    environment, because a proxy would resolve names by itself.

    Raises:
        InputError: `user_agent` is not a valid request header.
    """
    if not (user_agent.isascii() and user_agent.isprintable() and user_agent.strip() == user_agent != ""):
        raise InputError(f"user_agent {user_agent!r} must be printable ASCII without spaces at its ends.")
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, ssl=context, socket_factory=None if private_addresses else public_socket
        ),
        headers={"User-Agent": user_agent, "Accept": known.accept_header(), "Accept-Encoding": "identity"},
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # `download` sets one deadline for everything
        auto_decompress=False,  # it would have no size limit
        trust_env=False,
    )


async def download(
    session: aiohttp.ClientSession,
    url: str,
    *,
    timeout: float,
    max_bytes: int,
    known: Mapping[str, str] | None = None,
) -> Body:
    """Try once to download an http or https address.

    Args:
        session: from `open_session`.
        url: the address; up to 5 redirects to http or https are followed.
        timeout: seconds from the DNS look-up to the last byte.
        max_bytes: largest body, compressed and decompressed.
        known: `validators` of an earlier answer; the server may reply that nothing has changed.

    Raises:
        TransientFailure: `http-error` (429, 500, 502, 503 or 504) or `unreachable`.
        Rejection: `http-error`, `timeout`, `unreachable`, `refused`, `redirects`, `too-large` or `bad-url`.
    """
    headers = {CONDITIONS[name]: value for name, value in (known or {}).items()}
    try:
        async with asyncio.timeout(timeout):
            response = await _follow(session, parse(url), headers)
            try:
                return await read(response, max_bytes, known)
            finally:
                response.release()
    except (TimeoutError, OSError, ValueError, aiohttp.ClientError, zlib.error) as error:
        raise _failure(error, timeout) from error


async def _follow(
    session: aiohttp.ClientSession, url: URL, headers: Mapping[str, str]
) -> aiohttp.ClientResponse:
    seen = [url]
    while True:
        response = await session.get(seen[-1], headers=headers, allow_redirects=False)
        location = response.headers.get("Location")
        if response.status not in REDIRECT_CODES or location is None:
            return response
        response.release()  # without reading the redirect's body, which may be endless
        try:
            target = redirected(seen[-1], location)
        except Rejection as rejection:
            raise Rejection("redirects", f"redirected to {shown(location)}: {rejection.detail}") from None
        if target in seen:
            raise Rejection("redirects", "redirected in a circle")
        if len(seen) > MAX_REDIRECTS:
            raise Rejection("redirects", f"more than {MAX_REDIRECTS} redirects")
        seen.append(target)


def _failure(error: BaseException, timeout: float) -> Rejection:
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(causes[-1], Refused):
        return Rejection("refused", f"{error.host} is {causes[-1]}")
    if isinstance(error, TimeoutError):
        return Rejection("timeout", f"no complete answer within {timeout:g} s")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Rejection("unreachable", f"the server's certificate is not valid ({causes[-1]})")
    if isinstance(error, ValueError):
        return Rejection("bad-url", f"not an address ({error})")
    reason = " ".join(str(causes[-1]).split())[:MAX_REASON]  # it may quote the server
    return TransientFailure("unreachable", f"no complete answer ({reason})")
