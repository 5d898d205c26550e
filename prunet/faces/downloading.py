"""Downloading: the bytes behind an http or https address, from a server that may be slow or rude."""

import time
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from urllib3.util import Retry

from prunet.base.errors import InputError
from prunet.faces.images import Rejection

MAX_REDIRECTS = 5
PASSING_CODES = (429, 500, 502, 503, 504)
FIRST_WAIT = 0.5  # seconds before the second try; doubles with each try
CHUNK = 1 << 16


class _Session(requests.Session):
    """A session that leaves redirects alone: requests would read their bodies, however long, into memory."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class _Passing(Rejection):
    """A failure that may pass: worth another try, `wait` seconds later if the server said so."""

    def __init__(self, status: str, detail: str, wait: float = 0.0) -> None:
        super().__init__(status, detail)
        self.wait = wait


def open_session(user_agent: str) -> requests.Session:
    """Open a session that keeps no cookies, since answers must not depend on earlier ones.

    Raises:
        InputError: `user_agent` cannot be a header of a request.
    """
    if not (user_agent.isascii() and user_agent.isprintable() and user_agent.strip() == user_agent != ""):
        raise InputError(f"the user agent {user_agent!r} must be printable ASCII, with no space around it.")
    session = _Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"User-Agent": user_agent, "Accept": "image/*,*/*", "Accept-Encoding": "identity"})
    return session


def download(session: requests.Session, url: str, *, timeout: float, retries: int, max_bytes: int) -> bytes:
    """Download an http or https address.

    Failed connections and the codes 429, 500, 502, 503 and 504 are tried again, after a wait that
    doubles or that the server asks for, but of at most `timeout` seconds.

    Args:
        session: from `open_session`.
        url: the address; up to 5 redirects are followed, to http and https only.
        timeout: seconds that one try may take, from connecting to the last byte.
        retries: further tries after the first, 0 or more.
        max_bytes: most bytes that the body may have.

    Raises:
        Rejection: `http-error`, `timeout`, `unreachable`, `redirects`, `too-large` or `bad-url`.
    """
    for done in range(retries):
        try:
            return _try(session, url, timeout, max_bytes)
        except _Passing as failure:
            time.sleep(min(max(failure.wait, FIRST_WAIT * 2**done), timeout))
    return _try(session, url, timeout, max_bytes)


def _try(session: requests.Session, url: str, timeout: float, max_bytes: int) -> bytes:
    deadline = time.monotonic() + timeout
    try:
        with _follow(session, url, deadline) as response:
            if response.status_code in PASSING_CODES:
                raise _Passing("http-error", f"HTTP status {response.status_code}", _asked_wait(response))
            if response.status_code != 200:
                raise Rejection("http-error", f"HTTP status {response.status_code}")
            return _read_body(response, max_bytes, deadline)
    except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
        raise _failure(error, timeout) from error


def _follow(session: requests.Session, url: str, deadline: float) -> requests.Response:
    seen = [url]
    while True:
        left = max(deadline - time.monotonic(), 0.001)
        response = session.get(seen[-1], stream=True, allow_redirects=False, timeout=left)
        if not response.is_redirect:
            return response
        response.close()
        target = _target(response)
        if target in seen:
            raise Rejection("redirects", "redirected in a circle")
        if len(seen) > MAX_REDIRECTS:
            raise Rejection("redirects", f"more than {MAX_REDIRECTS} redirects")
        seen.append(target)


def _target(response: requests.Response) -> str:
    try:
        target = urljoin(response.url, response.headers["Location"].encode("latin-1").decode("utf-8"))
        parts = urlsplit(target)
    except ValueError:
        raise Rejection("redirects", "redirected to what is not an address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Rejection("redirects", f"redirected to what is no http or https address, {target[:80]!r}")
    return target


def _asked_wait(response: requests.Response) -> float:
    try:
        return Retry().get_retry_after(response.raw) or 0.0
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0


def too_large(max_bytes: int) -> Rejection:
    """Say that a file is larger than `max_bytes`."""
    return Rejection("too-large", f"more than {max_bytes} bytes")


def _read_body(response: requests.Response, max_bytes: int, deadline: float) -> bytes:
    if (response.raw.length_remaining or 0) > max_bytes:  # as promised by Content-Length
        raise too_large(max_bytes)
    body = bytearray()
    # read1() returns what has arrived, where read() would wait for a full chunk, drop by drop.
    while chunk := response.raw.read1(CHUNK, decode_content=True):
        body += chunk
        if len(body) > max_bytes:
            raise too_large(max_bytes)
        if time.monotonic() > deadline:
            raise TimeoutError
    return bytes(body)


def _failure(error: BaseException, timeout: float) -> Rejection:
    causes = [error]
    while cause := causes[-1].__cause__ or causes[-1].__context__:
        causes.append(cause)
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return Rejection("timeout", f"no full answer within {timeout:g} s")
    if isinstance(error, ValueError) and not isinstance(error, requests.exceptions.InvalidHeader):
        return Rejection("bad-url", f"not an address ({error})")
    return _Passing("unreachable", f"no full answer ({causes[-1]})")
