"""Local files of a scraping list."""

import re
from pathlib import Path

from prunet.data.fetching.answers import too_large
from prunet.data.images.decoding import Rejection

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def read_local(folder: Path, url: str, max_bytes: int) -> bytes:
    """Read the file at the path `url`, which is relative to `folder` and may not leave it.

    Raises:
        Rejection: `bad-url`, `missing-file` or `too-large`.
    """
    if not url:
        raise Rejection("bad-url", "the url is empty")
    if SCHEME.match(url):
        raise Rejection("bad-url", "not an http or https address, nor a relative path")
    if Path(url).is_absolute():
        raise Rejection("bad-url", "an absolute path; local paths must be relative to the list")
    try:
        path = (folder / url).resolve()
        if folder.resolve() not in path.parents:
            raise Rejection("bad-url", "a path outside the folder of the list")
        if not path.is_file():
            raise Rejection("missing-file", "no such file")
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except OSError as error:
        raise Rejection("missing-file", f"cannot be read ({error.strerror})") from error
    except (ValueError, RuntimeError) as error:  # a NUL character, a circle of symbolic links
        raise Rejection("bad-url", f"not a path ({error})") from error
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data
