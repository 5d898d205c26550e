"""Fetching: the bytes behind a url of a scraping list, from the web, the store or the disk."""

import hashlib
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from prunet.base.files import replacing
from prunet.faces import images
from prunet.faces.downloading import download, open_session, too_large
from prunet.faces.images import Rejection
from prunet.faces.scraping import Row

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
DECODERS = threading.BoundedSemaphore(4)  # decoded images are what needs memory: a few at a time


def fetch_all(
    urls: Sequence[str],
    folder: Path,
    bodies: Path,
    store: Path,
    *,
    concurrency: int,
    user_agent: str,
    **limits: Any,
) -> dict[str, Row]:
    """Fetch and verify `urls` in threads; write the bytes of each good one to `bodies / key(url)`.

    Args:
        urls: distinct addresses, or paths relative to `folder`.
        folder: where local files lie; a path may not leave it.
        bodies: an existing folder.
        store: folder in which images that came over http are kept; what is there is not asked for again.
        concurrency: how many urls are fetched at a time.
        user_agent: how to name ourselves to servers.
        limits: `timeout`, `retries` and `max_bytes` as in `download`, `max_pixels` as in `images.verify`.

    Returns:
        For each url its `status`, `detail` and, if that is `ok`, its file-name `<hash>.<ext>` as `image`.
    """
    local = threading.local()
    with ExitStack() as sessions:

        def start() -> None:
            local.session = sessions.enter_context(open_session(user_agent))

        def fetch(url: str) -> Row:
            try:
                return _fetch(local.session, url, folder, bodies, store, **limits)
            except Rejection as rejection:
                return {"status": rejection.status, "image": "", "detail": rejection.detail}

        # When a result raises, map() cancels what has not started; the pool waits for what has.
        with ThreadPoolExecutor(concurrency, initializer=start) as pool:
            results = tqdm(pool.map(fetch, urls), "fetch", len(urls), unit="url", disable=None)
            return dict(zip(urls, results, strict=True))


def _fetch(
    session: requests.Session,
    url: str,
    folder: Path,
    bodies: Path,
    store: Path,
    *,
    max_bytes: int,
    max_pixels: int,
    **limits: Any,
) -> Row:
    stored = store / key(url)
    remote = url.lower().startswith(("http://", "https://"))
    if not remote:
        data = read_local(folder, url, max_bytes)
    elif stored.exists():
        data = _read_file(stored, max_bytes)
    else:
        data = download(session, url, max_bytes=max_bytes, **limits)
    with DECODERS:
        extension = images.verify(data, max_pixels)
    if remote and not stored.exists():
        with replacing(stored) as partial:
            partial.write_bytes(data)
    (bodies / key(url)).write_bytes(data)
    return {"status": "ok", "image": f"{hashlib.sha256(data).hexdigest()[:16]}.{extension}", "detail": ""}


def key(url: str) -> str:
    """Name the file that holds the bytes of `url`: the SHA-256 of the url, in hex digits."""
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()


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
        return _read_file(path, max_bytes)
    except OSError as error:
        raise Rejection("missing-file", f"cannot be read ({error.strerror})") from error
    except (ValueError, RuntimeError) as error:  # a NUL character, a circle of symbolic links
        raise Rejection("bad-url", f"not a path ({error})") from error


def _read_file(path: Path, max_bytes: int) -> bytes:
    with path.open("rb") as stream:
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise too_large(max_bytes)
    return data
