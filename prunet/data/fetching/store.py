"""The store: every image that was fetched from the web, so that it is fetched once."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from prunet.base.errors import InputError

INDEX = "index.jsonl"


def key(url: str) -> str:
    """Name the file that holds the bytes of `url`: the SHA-256 of the url, in hex digits."""
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()


class Store:
    """A folder of files named by `key`, and of each, in a line of `index.jsonl`, what is to be remembered.

    That is its url, the size and SHA-256 of its bytes, and the headers ETag and Last-Modified. Several
    processes may write at a time, and be killed: files appear whole, a line is appended before its file, and
    the last line of a url counts.
    """

    def __init__(self, folder: Path) -> None:
        """Open the store.

        Raises:
            InputError: it cannot be read.
        """
        self.folder = folder
        self.known: dict[str, dict[str, Any]] = {}
        try:
            index = (folder / INDEX).read_bytes() if (folder / INDEX).exists() else b""
            if index and not index.endswith(b"\n"):  # a kill has cut the last line off
                self._append(b"\n")
        except OSError as error:
            raise InputError(f"{folder / INDEX} cannot be read ({error.strerror}).") from None
        for line in index.splitlines():
            try:
                entry = json.loads(line)
                self.known[str(entry["key"])] = {
                    "size": int(entry["size"]),
                    "sha256": str(entry["sha256"]),
                    "validators": {str(name): str(value) for name, value in entry["validators"].items()},
                }
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # was cut off, before its file was written

    def _append(self, line: bytes) -> None:
        with (self.folder / INDEX).open("ab", buffering=0) as stream:
            stream.write(line)

    def has(self, url: str) -> bool:
        """Say whether there is a file for `url`, of the size that is remembered."""
        name = key(url)
        try:
            return bool((self.folder / name).stat().st_size == self.known[name]["size"])
        except (KeyError, FileNotFoundError):
            return False

    def read(self, url: str) -> bytes:
        """Return the bytes that were put here.

        Raises:
            FileNotFoundError: there are none.
            ValueError: they are not those that were put here.
        """
        data = (self.folder / key(url)).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.known[key(url)]["sha256"]:
            raise ValueError(f"{key(url)} is damaged")
        return data

    def put(self, url: str, data: bytes, validators: dict[str, str]) -> None:
        """Keep `data`, whole or not at all."""
        name = key(url)
        entry = {
            "key": name,
            "url": url,
            "size": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "validators": validators,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        self._append(json.dumps(entry).encode() + b"\n")
        partial = self.folder / f"{name}.partial"
        partial.write_bytes(data)
        os.replace(partial, self.folder / name)  # noqa: PTH105
