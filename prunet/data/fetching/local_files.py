"""Files and pictures of a list that need no server: local paths, and data addresses (RFC 2397)."""

import base64
import binascii
import re
from pathlib import Path
from urllib.parse import unquote_to_bytes

from prunet.data.fetching.answers import too_large
from prunet.data.images.decoding import Rejection
from prunet.data.listing.source import SCHEME

DATA = re.compile(r"data:([^,]*),(.*)", re.IGNORECASE | re.DOTALL)


def read_local(folder: Path, url: str, max_bytes: int, *, links_out: bool = False) -> bytes:
    """Return the bytes of a data address, or of the file at the path `url`, which is relative to `folder`.

    Args:
        folder: the folder of the list.
        url: a data address or a path.
        max_bytes: largest file.
        links_out: whether the path may lead out of `folder`.

    Raises:
        Rejection: `bad-url`, `missing-file` or `too-large`.
    """
    if not url:
        raise Rejection("bad-url", "the url is empty")
    if inline := DATA.match(url):
        data = _decoded(*inline.groups())
    elif SCHEME.match(url):
        raise Rejection("bad-url", "not an http, https or data address, nor a relative path")
    elif Path(url).is_absolute():
        raise Rejection("bad-url", "an absolute path; local paths must be relative to the list")
    else:
        data = _contents(folder, url, max_bytes, links_out)
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data


def _contents(folder: Path, url: str, max_bytes: int, links_out: bool) -> bytes:
    try:
        path = (folder / url).resolve()
        if not links_out and folder.resolve() not in path.parents:
            raise Rejection("bad-url", "a path outside the folder of the list")
        if not path.is_file():
            raise Rejection("missing-file", "not a file" if path.exists() else "no such file")
        with path.open("rb") as stream:
            return stream.read(max_bytes + 1)
    except OSError as error:
        raise Rejection("missing-file", f"cannot be read ({error.strerror})") from error
    except (ValueError, RuntimeError) as error:  # a NUL character, a circle of symbolic links
        raise Rejection("bad-url", f"not a path ({error})") from error


def _decoded(media_type: str, text: str) -> bytes:
    data = unquote_to_bytes(text)
    if media_type.rpartition(";")[2].strip().lower() != "base64":
        return data
    data = b"".join(data.split()).rstrip(b"=")
    try:
        return base64.b64decode(data + b"=" * (-len(data) % 4), validate=True)
    except binascii.Error as error:
        raise Rejection("bad-url", f"a data address whose base64 is damaged ({error})") from error
