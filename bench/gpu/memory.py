"""Too little memory ends in a sentence that says what to lower."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from bench import study
from bench.gpu.inputs import Sizes, shape_of
from bench.gpu.report import Row
from prunet.base.errors import InputError, cause

MODEL = "light-cnn-9"
TOO_MANY = 10**7  # networks
FREE = 2**28  # bytes that the training may use


def shortage(device: torch.device, sizes: Sizes) -> Iterator[Row]:
    """Ask for more networks than memory holds, and for larger batches than fit on the device."""
    shape, classes = shape_of(MODEL, sizes)
    data = study.noise(shape, classes, (4 * sizes.batch, 2 * classes, 2 * classes))
    with TemporaryDirectory() as folder:
        many = study.trainer(Path(folder), data, MODEL, replicates=TOO_MANY)
        yield named("too many networks", many.initial_weights, "replicates")
        few = study.trainer(Path(folder), data, MODEL, batch_size=4 * sizes.batch, steps=2, eval_every=1)
        task = study.cell("original/00", few.initial_weights("init"), few.dense_masks())
        if device.type == "cpu":
            few.network = few.network._replace(gradients=exhausted)
        with little_memory(device):
            yield named("too large batches", lambda: few.train([task]), "batch_size")


@contextmanager
def little_memory(device: torch.device) -> Iterator[None]:
    """Leave `FREE` bytes of a GPU's memory to this process; on a CPU, do nothing."""
    if device.type == "cpu":
        yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + FREE) / total)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def exhausted(*_: Any) -> None:
    """Raise what PyTorch raises when a GPU's memory is full."""
    raise torch.OutOfMemoryError("CUDA out of memory.")


def named(what: str, task: Callable[[], Any], setting: str) -> Row:
    """Return whether a task that needs too much memory is refused by a sentence that names a setting."""
    try:
        task()
        note = "it ran"
    except InputError as error:
        note = error.message
    except torch.OutOfMemoryError as error:
        note = cause(error)
    return Row(f"{what}: refused, naming {setting}", int(setting in note), at_least=1, note=note)
