"""Training runs side by side: small networks on one core each are twice as fast as one on two cores."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal

import torch

from prunet.base.errors import InputError
from prunet.base.processes import cores, end_openmp_threads, end_with_parent, use_cores

Task = Callable[[], Iterable[Any]]

FAILED = -1  # in place of a task's number: it raised an error with this message

# The first gradient of a process starts a thread for each accelerator, after which its forks cannot compute
# gradients. `torch.export` makes PyTorch count a CUDA device even where there is none. So, before any export:
if not torch.accelerator.is_available():
    torch.zeros(1, requires_grad=True).backward()


def run(
    tasks: Sequence[Task], workers: int, threads: int, start: Literal["fork", "spawn"] = "fork"
) -> Iterator[tuple[int, Any]]:
    """Run every task once, in `workers` processes of `threads` threads each, as it is iterated.

    Forked processes see this process's data without a copy; on a GPU, processes have to be spawned. They
    divide the cores: `prunet.base.processes.cores` returns the share of each. The tasks' results go to files.
    No process outlives the iteration, nor this process, however they end.

    Args:
        tasks: functions that are called once and return what to yield; for spawned processes, of modules.
        workers: number of processes; with 1 the tasks run in this one.
        threads: of each.
        start: how processes start.

    Yields:
        The number of a task with each value that it yields, and with None when it has finished.

    Raises:
        InputError: a task raised it, or a process was killed; the other processes are stopped.
    """
    if workers == 1:
        with _threads(threads):
            for number, task in enumerate(tasks):
                yield from ((number, value) for value in task())
                yield number, None
        return
    context: Any = multiprocessing.get_context(start)
    following = context.Value("i", 0)
    pipes = [context.Pipe(duplex=False) for _ in range(workers)]  # one each: a kill leaves no lock behind
    share = max(1, cores() // workers)
    arguments = [(tasks, following, threads, share, sender) for _, sender in pipes]
    processes = [context.Process(target=_work, args=given) for given in arguments]
    receivers = [receiver for receiver, _ in pipes]
    end_openmp_threads()
    try:
        for process in processes:
            process.start()
        while running := [process.sentinel for process in processes if process.exitcode is None]:
            wait([*running, *receivers], timeout=1)
            yield from _received(receivers)
            _check(processes)
        yield from _received(receivers)
        _check(processes)
    finally:
        for process in processes:
            if process.pid is not None:
                process.kill()
                process.join()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Have PyTorch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _received(receivers: Sequence["Connection[Any, Any]"]) -> Iterator[tuple[int, Any]]:
    """Yield what the workers have sent; raise the error of a task."""
    for receiver in receivers:
        while receiver.poll():
            number, value = receiver.recv()
            if number == FAILED:
                raise InputError(value)
            yield number, value


def _check(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        if process.exitcode:
            reason = f"signal {-process.exitcode}" if process.exitcode < 0 else f"code {process.exitcode}"
            raise InputError(
                f"a training process ended with {reason} (9 often means too little memory): run `dvc repro` "
                "again to resume; fewer replicates, or more threads for each, need less memory."
            )


def _work(
    tasks: Sequence[Task], following: Any, threads: int, share: int, sender: "Connection[Any, Any]"
) -> None:
    end_with_parent()
    use_cores(share)
    torch.set_num_threads(threads)
    try:
        while True:
            with following:
                number, following.value = following.value, following.value + 1
            if number >= len(tasks):
                return
            for value in tasks[number]():
                sender.send((number, value))
            sender.send((number, None))
    except InputError as error:
        sender.send((FAILED, error.message))
    except KeyboardInterrupt:
        os._exit(1)
