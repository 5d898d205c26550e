"""Images on disk, decoded batch by batch in worker processes.

The workers only decode and draw no random numbers. So their number does not affect the results, and a run
that resumes from a checkpoint gets the same batches. Trainings side by side share the cores: each has its own
workers, as many as its part of the cores (`prunet.base.processes.use_cores`).
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from prunet.base.errors import InputError
from prunet.base.processes import cores, end_openmp_threads
from prunet.data.images.decoding import Rejection
from prunet.data.images.image_files import Files
from prunet.data.images.squares import square

TRIES = 10  # files in a row that cannot be read before the run ends: the disk is probably gone
DECODING_BATCH = 64  # images that a worker decodes at a time outside training


class Stream:
    """Images of a data set that are read on demand.

    Args:
        files: all images of the data set.
        chosen: (N,) indices of the files in this stream.
        prepare: maps images (B, 3, S, S) uint8, of the size in `files`, to those that `read` yields.
        side: pixels a side of the images that `prepare` returns.
        device: for the images that `read` yields.

    Attributes:
        shape: (N, 3, side, side).

    Raises:
        InputError: the folder of the files does not exist.
    """

    def __init__(
        self,
        files: Files,
        chosen: NDArray[np.int64],
        prepare: Callable[[Tensor], Tensor],
        side: int,
        device: torch.device,
    ) -> None:
        if not Path(files.folder).is_dir():
            raise InputError(
                f"{files.folder}, the folder with the images of the data set, does not exist: restore it, or "
                "run the stage `images` again."
            )
        self.shape, self.device = (len(chosen), 3, side, side), device
        self._images = _SquareImages(
            Path(files.folder), [files.names[number] for number in chosen], files.side
        )
        self._prepare = prepare
        self._unreadable: set[int] = set()

    def read(self, batches: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Decode images, batch by batch.

        If a file can no longer be read, a warning names it once, and the next image replaces it.

        Args:
            batches: indices (B,) of the images of each batch; the workers take them a few batches ahead.

        Yields:
            Prepared images (B, 3, side, side) on the device, and their indices (B,).

        Raises:
            InputError: `TRIES` files in a row cannot be read, or a worker was killed.
        """
        ahead, batches = tee(batches)
        count = decoders()
        if count:
            end_openmp_threads()
        loader: Any = DataLoader(
            self._images,
            batch_sampler=(chosen.tolist() for chosen in ahead),
            num_workers=count,
            generator=Generator(),  # the default draws from the global generator, which belongs to dropout
        )
        decoded = iter(loader)
        for chosen in batches:
            try:
                images, found = next(decoded)
            except RuntimeError as error:
                raise InputError(
                    f"a process that decodes images ended ({error}): run the stage again to resume; a "
                    "smaller batch_size takes less memory."
                ) from None
            self._report(chosen.tolist(), found.tolist())
            yield self._prepare(images.to(self.device)), found.to(self.device)

    def _report(self, wanted: list[int], found: list[int]) -> None:
        for number, replacement in zip(wanted, found, strict=True):
            if replacement < 0:
                raise InputError(
                    f"{self._images.path(number)} and the next {TRIES - 1} images cannot be read: check the "
                    "disk, and run the stage again to resume."
                )
            if replacement != number and number not in self._unreadable:
                self._unreadable.add(number)
                click.echo(
                    f"warning: {self._images.path(number)} can no longer be read, and the next image "
                    f"replaces it ({len(self._unreadable)} of {self.shape[0]} images so far).",
                    err=True,
                )


def decoders() -> int:
    """Return the number of decoding processes: 0 in a thread beside the main one, where a fork may hang."""
    return cores() if threading.current_thread() is threading.main_thread() else 0


class _SquareImages(Dataset[tuple[NDArray[np.uint8], int]]):
    """Pairs of an image and its index; -1 if it and the images after it cannot be read."""

    def __init__(self, root: Path, names: list[str], side: int) -> None:
        self.root, self.names, self.side = root, names, side

    def path(self, number: int) -> Path:
        return self.root / self.names[number]

    def __getitem__(self, number: int) -> tuple[NDArray[np.uint8], int]:
        for candidate in (later % len(self.names) for later in range(number, number + TRIES)):
            try:
                return square(self.path(candidate), self.side), candidate
            except Rejection:
                continue
        return np.zeros((3, self.side, self.side), np.uint8), -1


Images = NDArray[np.uint8] | Stream  # (N, C, S, S) of a data set's size


def choose(images: NDArray[np.uint8] | Files, chosen: NDArray[Any]) -> Images:
    """Return the images of a data set at indices or where a mask is True; those on disk stay there.

    Raises:
        InputError: the folder of images on disk does not exist.
    """
    if not isinstance(images, Files):
        in_memory: NDArray[np.uint8] = images[chosen]
        return in_memory
    numbers = np.arange(len(images))[chosen]
    return Stream(images, numbers, lambda read: read, images.side, torch.device("cpu"))


def pixels(images: Images, chosen: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the few images (B, C, S, S) at indices (B,).

    Raises:
        InputError: see `Stream.read`.
    """
    if isinstance(images, Stream):
        ((read, _),) = images.read([torch.from_numpy(chosen)])
        return np.asarray(read)
    in_memory: NDArray[np.uint8] = images[chosen]
    return in_memory


def parts(images: Images, size: int) -> Iterator[Tensor]:
    """Yield all images in their order, (B, C, S, S) uint8, at most `size` at a time.

    Raises:
        InputError: see `Stream.read`.
    """
    if isinstance(images, Stream):
        numbers = torch.arange(images.shape[0])
        yield from (read for read, _ in images.read(torch.split(numbers, min(size, DECODING_BATCH))))
    else:
        yield from torch.split(torch.from_numpy(images), size)
