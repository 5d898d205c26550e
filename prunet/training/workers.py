"""Training runs side by side: small networks on one core each are twice as fast as one on two cores."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from typing import Any

import torch

from prunet.base.errors import InputError
from prunet.base.processes import end_openmp_threads, end_with_parent
from prunet.base.progress import progress

Task = Callable[[], None]


def run(tasks: Sequence[Task], workers: int, threads: int) -> None:
    """Run every task once, in `workers` processes of `threads` threads each.

    The processes are forked, so that tasks see this process's data without a copy; their results go to files.
    No process outlives this one, however it ends.

    Raises:
        InputError: a task raised it, or a process was killed; the other processes are stopped.
    """
    if workers == 1:
        with _threads(threads):
            for task in tasks:
                task()
        return
    context = multiprocessing.get_context("fork")
    messages: SimpleQueue[str] = context.SimpleQueue()
    following, finished = context.Value("i", 0), context.Value("i", 0)
    arguments = (tasks, following, finished, threads, messages)
    processes = [context.Process(target=_work, args=arguments) for _ in range(workers)]
    bar = progress(desc="train", total=len(tasks), unit="network")
    end_openmp_threads()
    try:
        for process in processes:
            process.start()
        while True:
            running = [process.sentinel for process in processes if process.exitcode is None]
            _check(processes, messages)
            bar.update(finished.value - bar.n)
            if not running:
                break
            wait(running, timeout=1)
    finally:
        bar.close()
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


def _check(processes: Sequence[BaseProcess], messages: SimpleQueue[str]) -> None:
    if not messages.empty():
        raise InputError(messages.get())
    for process in processes:
        if process.exitcode:
            reason = f"signal {-process.exitcode}" if process.exitcode < 0 else f"code {process.exitcode}"
            raise InputError(
                f"a training process ended with {reason} (9 often means too little memory): run `dvc repro` "
                "again to resume; fewer replicates, or more threads for each, need less memory."
            )


def _work(
    tasks: Sequence[Task], following: Any, finished: Any, threads: int, messages: SimpleQueue[str]
) -> None:
    end_with_parent()
    torch.set_num_threads(threads)
    try:
        while True:
            with following:
                number, following.value = following.value, following.value + 1
            if number >= len(tasks):
                return
            tasks[number]()
            with finished:
                finished.value += 1
    except InputError as error:
        messages.put(error.message)
    except KeyboardInterrupt:
        os._exit(1)
