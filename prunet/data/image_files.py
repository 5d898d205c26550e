"""Images that stay on disk: which files they are, for data sets that do not fit in memory."""

import math
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base.tensors import Tensors

STORED: dict[str, tuple[Any, int]] = {  # in a dataset file, in place of `images`
    "names": (np.uint8, 1),  # UTF-8, a zero byte after each
    "digests": (np.uint8, 2),
}
SAID = ("folder", "side", "mean", "std")
DIGEST = 16  # bytes


@dataclass(frozen=True)
class Files:
    """The images of a data set, in the order of its labels.

    Attributes:
        folder: that holds them; one that is not absolute is meant from the working folder.
        names: of the files, below the folder, with forward slashes.
        digests: (N, 16) uint8, of each file's bytes: when a file changes, so does the data set.
        side: pixels. What is read of a file is its centre square, (3, side, side) uint8.
        mean: of each channel's pixels over the training split, 0 to 255.
        std: their standard deviation.
    """

    folder: str
    names: list[str]
    digests: NDArray[np.uint8]
    side: int
    mean: list[float]
    std: list[float]

    def __len__(self) -> int:
        return len(self.names)


def pack(files: Files) -> tuple[Tensors, dict[str, Any]]:
    """Return what a dataset file holds of the files: tensors as in `STORED`, and what is said about them."""
    text = "".join(f"{name}\0" for name in files.names).encode()
    stored: Tensors = {"names": np.frombuffer(text, np.uint8), "digests": files.digests}
    return stored, {key: getattr(files, key) for key in SAID}


def unpack(stored: Tensors, said: Any) -> Files:
    """Return what `pack` was given.

    Raises:
        ValueError: it is not what `pack` returned, or a name leads out of the folder.
    """
    *names, rest = stored["names"].tobytes().decode().split("\0")
    for name in [*names, *([rest] if rest else [])]:
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or name == rest:
            raise ValueError(f"{name!r} is no file's name below the folder")
    if stored["digests"].shape != (len(names), DIGEST):
        raise ValueError(f"{len(names)} names, and digests of shape {stored['digests'].shape}")
    if not isinstance(said, dict) or set(said) != set(SAID):
        raise ValueError("it does not say where its images are")
    folder, side, mean, std = (said[key] for key in SAID)
    if not isinstance(folder, str) or type(side) is not int or side < 1:
        raise ValueError(f"images of {side!r} pixels a side in {folder!r}")
    for numbers in (mean, std):
        if not isinstance(numbers, list) or [type(number) for number in numbers] != [float] * 3:
            raise ValueError("no mean and standard deviation of three channels")
    if not all(map(math.isfinite, mean)) or not all(0 < number < math.inf for number in std):
        raise ValueError(f"mean {mean} and standard deviation {std}")
    return Files(folder, names, stored["digests"], side, mean, std)
