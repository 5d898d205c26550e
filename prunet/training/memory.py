"""Memory that a study's training needs: what does not fit is refused, with what to lower."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import torch

from prunet.base.errors import InputError

# Copies of a network. A stage holds start values, trained and kept values (twice while it gathers them), and
# masks. Training holds weights, gradients, two moments, early-stop and kept values, an average, and masks.
KEPT, TRAINED = 8, 10


def check(study: str, network: int, count: int, at_once: int) -> None:
    """Refuse more networks than memory holds, before the system kills hours of work.

    Args:
        study: its name.
        network: bytes of one.
        count: of networks.
        at_once: how many train side by side in this memory; on a GPU none.

    Raises:
        InputError: there is not enough memory.
    """
    needed, free = network * (KEPT * count + TRAINED * min(count, at_once)), psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"study {study}: {count} networks need about {needed / 1e9:.1f} GB of memory and "
            f"{free / 1e9:.1f} GB are free: lower studies.{study}.replicates or reinits."
        )


@contextmanager
def for_images(study: str) -> Iterator[None]:
    """Say what to lower where a GPU does not hold the images of a study.

    Raises:
        InputError: it does not.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise InputError(
            f"study {study}: its images do not fit into the GPU's memory: lower studies.{study}.input_size, "
            "or data.memory of images in a folder, which are then read from the disk."
        ) from None


@contextmanager
def for_training(study: str, count: int, batch_size: int) -> Iterator[None]:
    """Say what to lower where a GPU does not hold the training of `count` networks of a study together.

    Raises:
        InputError: it does not.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        own, together = f"studies.{study}", "a network" if count == 1 else f"{count} networks together"
        fewer = "" if count == 1 else f", {own}.replicates or {own}.reinits"
        raise InputError(
            f"the GPU's memory does not hold the training of {together} on batches of {batch_size} images: "
            f"lower {own}.training.batch_size{fewer}, or set dtype bfloat16."
        ) from None
