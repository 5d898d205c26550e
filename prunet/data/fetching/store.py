"""Store of downloaded images, so that each address is fetched only once."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from prunet.base.errors import InputError

INDEX = "index.jsonl"


def key(url: str) -> str:
    """Return the file name for the bytes of `url`: the SHA-256 of the url in hexadecimal."""
    return hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()


class Store:
    """A folder of files named by `key`, with one line of metadata per file in `index.jsonl`.

    The metadata are the url, the size and SHA-256 of the bytes, and the headers ETag and Last-Modified.
    Several processes may write at the same time and may be killed: files appear whole, a line is written
    before its file, and the last line of a url counts.
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
            if index and not index.endswith(b"\n"):  # a killed process left half a line
                self._append(b"\n")
        except OSError as error:
            raise InputError(
                f"{folder / INDEX} cannot be read ({error.strerror}); fix its permissions or delete it."
            ) from None
        for line in index.splitlines():
            try:
                entry = json.loads(line)
                self.known[str(entry["key"])] = {
                    "size": int(entry["size"]),
                    "sha256": str(entry["sha256"]),
                    "validators": {str(name): str(value) for name, value in entry["validators"].items()},
                }
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # half a line; its file was never written

    def _append(self, line: bytes) -> None:
        with (self.folder / INDEX).open("ab", buffering=0) as stream:
            stream.write(line)

    def has(self, url: str) -> bool:
        """Return whether there is a file for `url` with the recorded size."""
        name = key(url)
        try:
            return bool((self.folder / name).stat().st_size == self.known[name]["size"])
        except (KeyError, FileNotFoundError):
            return False

    def read(self, url: str) -> bytes:
        """Return the stored bytes of `url`.

        Raises:
            FileNotFoundError: there are none.
            ValueError: they do not match the recorded SHA-256.
        """
        data = (self.folder / key(url)).read_bytes()
        if hashlib.sha256(data).hexdigest() != self.known[key(url)]["sha256"]:
            raise ValueError(f"{key(url)} is damaged")
        return data

    def put(self, url: str, data: bytes, validators: dict[str, str]) -> None:
        """Store the bytes of `url`, whole or not at all."""
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
