"""Images that stay on disk: the files of a data set that does not fit in memory."""

import math
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base.tensors import Tensors

# Tensors of a dataset file that replace `images`: dtype and number of dimensions.
STORED: dict[str, tuple[Any, int]] = {
    "names": (np.uint8, 1),  # UTF-8, each name followed by a zero byte
    "digests": (np.uint8, 2),
}
METADATA = ("folder", "side", "mean", "std")
DIGEST = 16  # bytes


@dataclass(frozen=True)
class Files:
    """The image files of a data set, in the order of its labels.

    Attributes:
        folder: the folder that holds them, absolute or relative to the working folder.
        names: paths below the folder, with forward slashes.
        digests: (N, 16) uint8, the digest of each file's bytes; they change whenever a file does.
        side: pixels a side of the centre square that is read from each file, (3, side, side) uint8.
        mean: mean of each channel's pixels over the training split, 0 to 255.
        std: standard deviation of each channel's pixels over the training split.
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
    """Return the tensors (see `STORED`) and the metadata that describe the files in a dataset file."""
    text = "".join(f"{name}\0" for name in files.names).encode()
    stored: Tensors = {"names": np.frombuffer(text, np.uint8), "digests": files.digests}
    return stored, {key: getattr(files, key) for key in METADATA}


def unpack(stored: Tensors, metadata: Any) -> Files:
    """Return the files that `pack` described.

    Raises:
        ValueError: a part is missing or invalid, or a name leads out of the folder.
    """
    *names, rest = stored["names"].tobytes().decode().split("\0")
    for name in [*names, *([rest] if rest else [])]:
        path = PurePosixPath(name)
        if not name or path.is_absolute() or ".." in path.parts or name == rest:
            raise ValueError(f"{name!r} is not the name of a file below the folder")
    if stored["digests"].shape != (len(names), DIGEST):
        raise ValueError(f"{len(names)} names, and digests of shape {stored['digests'].shape}")
    if not isinstance(metadata, dict) or set(metadata) != set(METADATA):
        raise ValueError("its metadata does not describe the image files")
    folder, side, mean, std = (metadata[key] for key in METADATA)
    if not isinstance(folder, str) or type(side) is not int or side < 1:
        raise ValueError(f"images of {side!r} pixels a side in {folder!r}")
    for values in (mean, std):
        if not isinstance(values, list) or [type(value) for value in values] != [float] * 3:
            raise ValueError("it has no mean and standard deviation of three channels")
    if not all(map(math.isfinite, mean)) or not all(0 < value < math.inf for value in std):
        raise ValueError(f"mean {mean} and standard deviation {std}")
    return Files(folder, names, stored["digests"], side, mean, std)
