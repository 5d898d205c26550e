"""Images that stay on disk, decoded batch by batch in processes of their own.

Decoding is all that those processes do: what is random is drawn elsewhere, so that their number decides no
bits, and a training that goes on from a checkpoint sees the batches that it would have seen.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from prunet.base.errors import InputError
from prunet.base.processes import cores
from prunet.data.decoding import Rejection
from prunet.data.image_files import Files
from prunet.data.squares import square

TRIES = 10  # images in a row that cannot be read: then it is the disk
AT_ONCE = 64  # images that a process decodes at a time where nothing else says so


class Stream:
    """Images of a data set that are read when they are needed.

    Args:
        files: the data set's.
        chosen: (N,) indices of the files that these are.
        prepare: makes of images (B, 3, S, S) uint8, as the files say, those that `read` yields.
        side: pixels a side of what `prepare` returns.
        device: where to put what is read.

    Attributes:
        shape: (N, 3, side, side).

    Raises:
        InputError: their folder is not there.
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
                f"{files.folder} is not there, and holds the images of the data set: put it back, or run the "
                "stage `images` again."
            )
        self.shape, self.device = (len(chosen), 3, side, side), device
        self._squares = _Squares(Path(files.folder), [files.names[number] for number in chosen], files.side)
        self._prepare = prepare
        self._unreadable: set[int] = set()

    def read(self, batches: Tensor | Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Decode images, batch after batch.

        An image that can no longer be read is named once; the one after it takes its place.

        Args:
            batches: indices (B,) of the images of each batch.

        Yields:
            Prepared images (B, 3, side, side) on the device, and the indices (B,) of those that they are.

        Raises:
            InputError: several images in a row cannot be read, or a decoding process was killed.
        """
        loader: Any = DataLoader(
            self._squares,
            batch_sampler=(batches[number].tolist() for number in range(len(batches))),
            num_workers=cores(),
            generator=Generator(),  # otherwise it would draw from the one that belongs to dropout
        )
        decoded = iter(loader)
        for number in range(len(batches)):
            try:
                images, found = next(decoded)
            except RuntimeError as error:
                raise InputError(
                    f"a process that decodes images ended ({error}): run it again to go on; a smaller "
                    "batch_size needs less memory."
                ) from None
            self._report(batches[number].tolist(), found.tolist())
            yield self._prepare(images.to(self.device)), found.to(self.device)

    def _report(self, wanted: list[int], found: list[int]) -> None:
        for number, instead in zip(wanted, found, strict=True):
            if instead < 0:
                raise InputError(
                    f"{self._squares.path(number)} and the {TRIES - 1} images after it cannot be read: is "
                    "the disk there? Mend it, and run it again to go on."
                )
            if instead != number and number not in self._unreadable:
                self._unreadable.add(number)
                click.echo(
                    f"warning: {self._squares.path(number)} can no longer be read and is left out "
                    f"({len(self._unreadable)} of {self.shape[0]} images so far): the image after it takes "
                    "its place.",
                    err=True,
                )


class _Squares(Dataset[tuple[NDArray[np.uint8], int]]):
    """What a decoding process looks up: an image, and which one it is; -1 where there is none."""

    def __init__(self, root: Path, names: list[str], side: int) -> None:
        self.root, self.names, self.side = root, names, side

    def path(self, number: int) -> Path:
        return self.root / self.names[number]

    def __getitem__(self, number: int) -> tuple[NDArray[np.uint8], int]:
        for instead in (later % len(self.names) for later in range(number, number + TRIES)):
            try:
                return square(self.path(instead), self.side), instead
            except Rejection:
                continue
        return np.zeros((3, self.side, self.side), np.uint8), -1


def pixels(images: NDArray[np.uint8] | Files, chosen: NDArray[Any]) -> NDArray[np.uint8]:
    """Return those images (B, C, S, S) of a data set, in memory or on disk, that indices or a mask choose.

    Raises:
        InputError: several files in a row cannot be read.
    """
    if not isinstance(images, Files):
        here: NDArray[np.uint8] = images[chosen]
        return here
    numbers = np.arange(len(images))[chosen]
    stream = Stream(images, numbers, lambda read: read, images.side, torch.device("cpu"))
    parts = [part.numpy() for part, _ in stream.read(torch.split(torch.arange(len(numbers)), AT_ONCE))]
    return np.concatenate(parts)
