"""Addresses in the very spelling of a list or a redirect.

A signed address is good for one spelling alone, and `%2F`, `%2f` and `/` are three. RFC 3986 lets programs
treat some spellings as equal; servers need not.
"""

import re
from urllib.parse import quote_from_bytes

from yarl import URL

from prunet.data.fetching.addresses import is_address
from prunet.data.images.decoding import Rejection

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
PARTS = re.compile(r"(https?)://([^/?#]*)([^#]*)", re.IGNORECASE)
HOST = re.compile(r"(?!\.|.*\.\.)[A-Za-z0-9._~:%-]+")
NUMBER = re.compile("[0-9]+|0[xX][0-9a-fA-F]*")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
SENDABLE = bytes(range(0x21, 0x7F)).decode()  # printable ASCII, without the space


def parse(url: str) -> URL:
    """Return the URL whose request asks for exactly what follows the host in `url`, up to a `#`.

    Only what a request cannot hold is encoded: spaces and characters beyond ASCII become the percent codes
    of their UTF-8 bytes. All of it is kept in the path of the result, the query too.

    Raises:
        Rejection: `bad-url`; not an http or https address, a host in an unusual spelling, control characters.
    """
    if CONTROL.search(url):
        raise Rejection("bad-url", "the address contains a line break or another control character")
    if not (parts := PARTS.match(url)):
        raise Rejection("bad-url", "not an http or https address of a host")
    scheme, authority, target = parts.groups()
    try:
        origin = URL(f"{scheme}://{authority}")
        host, port = origin.raw_host or "", origin.port
    except ValueError as error:
        raise Rejection("bad-url", f"not an address ({error})") from error
    if not HOST.fullmatch(host) or not port:
        raise Rejection("bad-url", "not an http or https address of a host")
    # A host that ends in a number is an IPv4 address (WHATWG URL standard) with many possible spellings.
    if NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) and not is_address(host):
        raise Rejection("bad-url", f"{host} is not a plain IPv4 address")
    path = quote_from_bytes(target.encode("utf-8", "surrogateescape"), safe=SENDABLE)
    path = path if path.startswith("/") else f"/{path}"
    return URL.build(scheme=origin.scheme, authority=origin.raw_authority, path=path, encoded=True)


def redirected(base: URL, location: str) -> URL:
    """Return the URL that the header Location of an answer from `base` names, in its own spelling.

    Raises:
        Rejection: as in `parse`.
    """
    if SCHEME.match(location):
        return parse(location)
    if location.startswith("//"):
        return parse(f"{base.scheme}:{location}")
    path = base.raw_path.partition("?")[0]
    name = re.split("[?#]", location, maxsplit=1)[0]
    rest = location.removeprefix(name)
    if name and not name.startswith("/"):
        name = _without_dots(f"{path.rpartition('/')[0]}/{name}")
    return parse(f"{base.scheme}://{base.raw_authority}{name or path}{rest}")


def _without_dots(path: str) -> str:
    """Resolve the segments `.` and `..` of a path (RFC 3986, 5.2.4)."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept = kept[:1] + kept[1:-1]
        elif segment != ".":
            kept.append(segment)
    return "/".join(kept) + "/" * path.endswith(("/.", "/.."))
