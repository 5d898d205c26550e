"""Training runs side by side: small networks on one core each are twice as fast as one on two cores."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from prunet.base.errors import InputError
from prunet.base.processes import end_openmp_threads, end_with_parent

Task = Callable[[], Iterable[Any]]

YIELDED, FINISHED, FAILED = range(3)  # events of a worker


Hear = Callable[[int, Any], None]
Finish = Callable[[int], None]


def _ignore(*_: Any) -> None:
    pass


def run(
    tasks: Sequence[Task],
    workers: int,
    threads: int,
    hear: Hear = _ignore,
    finish: Finish = _ignore,
) -> None:
    """Run every task once, in `workers` processes of `threads` threads each.

    The processes are forked, so that tasks see this process's data without a copy; their results go to files.
    No process outlives this one, however it ends.

    Args:
        tasks: each is called once; what it yields is what this process hears.
        workers: number of processes; with 1 the tasks run in this one.
        threads: of each.
        hear: called in this process with the number of a task and what it yields.
        finish: called in this process with the number of a task that has finished.

    Raises:
        InputError: a task raised it, or a process was killed; the other processes are stopped.
    """
    if workers == 1:
        with _threads(threads):
            for number, task in enumerate(tasks):
                for message in task():
                    hear(number, message)
                finish(number)
        return
    context = multiprocessing.get_context("fork")
    following = context.Value("i", 0)
    pipes = [context.Pipe(duplex=False) for _ in range(workers)]  # one each: a kill leaves no lock behind
    arguments = [(tasks, following, threads, sender) for _, sender in pipes]
    processes = [context.Process(target=_work, args=given) for given in arguments]
    receivers = [receiver for receiver, _ in pipes]
    end_openmp_threads()
    try:
        for process in processes:
            process.start()
        while running := [process.sentinel for process in processes if process.exitcode is None]:
            wait([*running, *receivers], timeout=1)
            _listen(receivers, hear, finish)
            _check(processes)
        _listen(receivers, hear, finish)
        _check(processes)
    finally:
        for process in processes:
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


def _listen(receivers: Sequence["Connection[Any, Any]"], hear: Hear, finish: Finish) -> None:
    """Hand on what the workers have sent; raise the error of a task."""
    for receiver in receivers:
        while receiver.poll():
            event, *details = receiver.recv()
            if event == FAILED:
                raise InputError(*details)
            (hear if event == YIELDED else finish)(*details)


def _check(processes: Sequence[BaseProcess]) -> None:
    for process in processes:
        if process.exitcode:
            reason = f"signal {-process.exitcode}" if process.exitcode < 0 else f"code {process.exitcode}"
            raise InputError(
                f"a training process ended with {reason} (9 often means too little memory): run `dvc repro` "
                "again to resume; fewer replicates, or more threads for each, need less memory."
            )


def _work(tasks: Sequence[Task], following: Any, threads: int, sender: "Connection[Any, Any]") -> None:
    end_with_parent()
    torch.set_num_threads(threads)
    try:
        while True:
            with following:
                number, following.value = following.value, following.value + 1
            if number >= len(tasks):
                return
            for message in tasks[number]():
                sender.send((YIELDED, number, message))
            sender.send((FINISHED, number))
    except InputError as error:
        sender.send((FAILED, error.message))
    except KeyboardInterrupt:
        os._exit(1)
