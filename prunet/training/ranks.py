"""One network trained by several processes, the ranks, on one machine: each takes a part of every batch.

It is the data parallelism of PyTorch's DistributedDataParallel (Li et al. 2020, "PyTorch Distributed"):
before every step the gradients are averaged over all ranks, so that all of them take the same step. A batch
norm sees its own rank's images, and the running statistics are those of rank 0. Without ranks, these
functions change nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Generator, Tensor, distributed

from prunet.base.seeds import derive


def count() -> int:
    """Return the number of ranks."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def own() -> int:
    """Return the number of this rank, which is 0 without others."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def part(length: int) -> slice:
    """Return this rank's part of so many things: the parts are adjacent and differ by at most one."""
    return slice(own() * length // count(), (own() + 1) * length // count())


def average(tensor: Tensor) -> None:
    """Replace a tensor by its mean over all ranks."""
    if count() > 1:
        distributed.all_reduce(tensor)
        tensor.div_(count())


def total(tensor: Tensor) -> Tensor:
    """Return the sum of a tensor over all ranks."""
    if count() > 1:
        tensor = tensor.clone()
        distributed.all_reduce(tensor)
    return tensor


def copy_from_first(tensors: Iterable[Tensor]) -> None:
    """Replace tensors by those of rank 0."""
    if count() > 1:
        for tensor in tensors:
            distributed.broadcast(tensor, 0)


def reseed(
    generators: Sequence[Generator], runs: Sequence[Mapping[str, Any]], purpose: str, step: int
) -> None:
    """Have each rank draw numbers of its own in a step, the same ones after a kill.

    Args:
        generators: one for each run, or one for all.
        runs: with their `seeds`.
        purpose: of the numbers, a name in `seeds`.
        step: from 1.
    """
    if count() > 1:
        for generator, run in zip(generators, runs, strict=False):
            generator.manual_seed(derive(run["seeds"][purpose], "rank", own(), step))
