"""Description and peak performance of the machine, and how measurements are taken on it."""

import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from prunet.base.processes import cores

SQUARES = (1024, 1536, 2048, 3072)  # sides of the matrices that are multiplied for the roofline
PRODUCTS = 5  # of each size

Found = dict[str, list[float]]  # {name of a measurement: a value for each repeat}


def about(threads: int) -> dict[str, Any]:
    """Describe the machine; `threads` is PyTorch's default number of threads."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": cores(),
        "torch": torch.__version__,
        "threads": threads,
        "gpu": apart(lambda: torch.cuda.get_device_name() if torch.cuda.is_available() else None, 1),
    }


def apart(task: Callable[[], Any], threads: int) -> Any:
    """Run a task in a forked process with this number of threads; return its result.

    This process stays single-threaded: one that has used several threads or a GPU cannot be forked.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task, threads, sender))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise RuntimeError("a measurement failed; see the traceback above") from None
    finally:
        process.join()


def _work(task: Callable[[], Any], threads: int, sender: Connection) -> None:
    torch.set_num_threads(threads)
    sender.send(task())


def alternate(measurements: Mapping[str, Callable[[], float]], repeats: int) -> Found:
    """Measure A B C A B C ..., so that a machine that is slow for a while slows all of them."""
    found: Found = {name: [] for name in measurements}
    rounds = [name for _ in range(repeats) for name in measurements]
    for name in tqdm(rounds, desc="bench", disable=None, leave=False):
        found[name].append(measurements[name]())
    return found


def medians(found: Found) -> dict[str, float]:
    """Return the median of every measurement."""
    return {name: statistics.median(values) for name, values in found.items()}


def step_ms(began: Sequence[float], warm_up: int) -> float:
    """Return milliseconds per step from the start times (s) of steps, without the first `warm_up`."""
    return 1000 * (began[-1] - began[warm_up]) / (len(began) - 1 - warm_up)


def roofline(dtype: torch.dtype) -> float:
    """Measure the machine's peak: GFLOP/s of the fastest square matrix product on all cores."""
    return float(apart(lambda: max(_gflops(side, dtype) for side in SQUARES), cores()))


def _gflops(side: int, dtype: torch.dtype) -> float:
    first, second, output = (torch.rand(side, side, dtype=dtype) for _ in range(3))
    torch.mm(first, second, out=output)
    fastest = float("inf")
    for _ in range(PRODUCTS):
        began = time.perf_counter()
        torch.mm(first, second, out=output)
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * side**3 / fastest / 1e9


def training_gflop(model: nn.Module, shape: tuple[int, int, int]) -> float:
    """Return the GFLOP (10^9 operations) of training on one image of this shape (C, H, W).

    Only matrix products count: the forward pass, and as many operations again for the gradients of the
    weights and of the inputs, except the input of the first layer.
    """
    flop: list[int] = []

    def count(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        flop.append(2 * output.numel() * layer.weight[0].numel())  # type: ignore[index]

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        model(torch.zeros(1, *shape))
    for hook in hooks:
        hook.remove()
    return (3 * sum(flop) - flop[0]) / 1e9
