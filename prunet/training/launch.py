"""Start the ranks of one network (`ranks`), each a process of this machine."""

import os
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from prunet.base.errors import InputError
from prunet.training import workers
from prunet.training.checkpoints import Checkpoint


def train(
    make: Callable[[], Any], given: Any, checkpoint: Checkpoint, ranks: int, threads: int, gpus: bool
) -> Iterator[Any]:
    """Train one network by several ranks, and yield its evaluations; rank 0 writes its checkpoint.

    Args:
        make: returns a `Trainer`; called in every rank.
        given: what the network is trained from (`Given`).
        checkpoint: of the network.
        ranks: their number, at least 2.
        threads: of each.
        gpus: whether each rank trains on a GPU of its own.

    Raises:
        InputError: a rank raised it or was killed, or there are fewer GPUs than ranks.
    """
    if gpus and torch.cuda.device_count() < ranks:
        raise InputError(
            f"training.ranks is {ranks}, and this machine has {torch.cuda.device_count()} GPUs: lower ranks."
        )
    with tempfile.TemporaryDirectory() as folder:
        meeting = f"file://{folder}/ranks"
        tasks = [partial(_train, number, ranks, meeting, make, given, checkpoint) for number in range(ranks)]
        for _, points in workers.run(tasks, ranks, threads, "spawn" if gpus else "fork"):
            if points is not None:
                yield points


def _train(
    number: int, ranks: int, meeting: str, make: Callable[[], Any], given: Any, checkpoint: Checkpoint
) -> Iterator[Any]:
    if Path("/sys/class/net/lo").exists():  # the ranks are on one machine, whose name may have no address
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    if torch.cuda.is_available():
        torch.cuda.set_device(number)
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    distributed.init_process_group(backend, init_method=meeting, rank=number, world_size=ranks)
    try:
        for points in make().train_stack(given, checkpoint):
            if number == 0:
                yield points
    finally:
        distributed.destroy_process_group()
