"""Files and releases that a study's network and weights come from: they decide its results."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prunet.base.errors import InputError
from prunet.models import built_in, functions, libraries


def digests(study: Mapping[str, Any], watched: Path) -> dict[str, str]:
    """Return what names the content of a study's `model` and `weights`, for those that are not built in.

    That is the release of a library, and the SHA-256 of files. Code of an installed package counts as
    unchanged.

    Args:
        study: its `model` and `weights`, which exist.
        watched: the file or folder that DVC watches for changes.

    Raises:
        InputError: a file is not in `watched`.
    """
    found = {}
    model, weights = study["model"], study["weights"]
    if libraries.find(model):
        found["model"] = libraries.release(model)
    elif paths := code_files(model):
        found["model"] = _digest(paths, watched)
    if weights not in ("none", "pretrained"):
        found["weights"] = _digest([Path(weights)], watched)
    return found


def code_files(model: str) -> list[Path]:
    """List the Python files of a user's own network; none for one of prunet or of a library."""
    return [] if model in built_in.MODELS or libraries.find(model) else functions.files(model)


def shipped(model: str) -> list[Path]:
    """List those of `code_files` below the working folder, which other machines may not have."""
    return [path for path in code_files(model) if not path.is_absolute() and ".." not in path.parts]


def _digest(paths: list[Path], watched: Path) -> str:
    sha = hashlib.sha256()
    for path in paths:
        if not path.resolve().is_relative_to(watched.resolve()):
            raise InputError(
                f"{path} is not in {watched}, so that its changes would go unnoticed: move it there, or set "
                "networks to the file or folder that holds it."
            )
        sha.update(f"{path.as_posix()}\n".encode() + path.read_bytes())
    return sha.hexdigest()
