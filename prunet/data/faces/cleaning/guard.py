"""Protection of the cleaning page against other pages in the same browser.

Another page can send requests to this server, and after DNS rebinding even read the answers. It does not know
the token in the address, and cannot choose the headers Host, Origin and Sec-Fetch-Site that browsers send.
"""

import hmac
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",  # links would tell the token
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",  # pictures of people
}


def refusal(request: web.Request, token: str, host: str) -> str:
    """Explain why a request is not from the page itself; return an empty string if it is.

    Args:
        request: any request.
        token: first part of the page's path.
        host: address and port of the page, as browsers send it.
    """
    headers = request.headers
    if headers.getall("Host", []) != [host]:
        return "another host"
    if not hmac.compare_digest(request.path.split("/")[1].encode(), token.encode()):
        return "a wrong token"
    if headers.get("Origin", f"http://{host}") != f"http://{host}":
        return "another origin"
    if headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
        return "another site"
    if request.method == "POST" and ("Origin" not in headers or request.content_type != "application/json"):
        return "not from the page"
    return "" if request.method in ("GET", "POST") else "another method"


def middleware(token: str, host: Callable[[], str]) -> Middleware:
    """Return the middleware that answers 403 to requests that are not from the page."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        if reason := refusal(request, token, host()):
            return web.Response(status=403, text=f"Refused: {reason}.\n")
        return await handler(request)

    return guard


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add `HEADERS` to a response before it is sent; a signal handler."""
    response.headers.update(HEADERS)
