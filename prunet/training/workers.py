"""Trainings side by side: small networks on one core each are twice as quick as one network on two cores."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue

import torch

from prunet.base.errors import InputError

Task = Callable[[], None]


def run(tasks: Sequence[Task], workers: int, threads: int) -> None:
    """Run every task once, in `workers` processes of `threads` threads each.

    The processes are forked, so tasks see the data of this one without a copy; what they make, they leave
    in files. No process outlives this one, however it ends.

    Raises:
        InputError: a task raised it, or a process was killed; the other processes are stopped.
    """
    if workers == 1:
        torch.set_num_threads(threads)
        for task in tasks:
            task()
        return
    context = multiprocessing.get_context("fork")
    messages = context.SimpleQueue()
    processes = [
        context.Process(target=_work, args=(tasks[first::workers], threads, messages))
        for first in range(workers)
    ]
    try:
        for process in processes:
            process.start()
        while True:
            running = [process.sentinel for process in processes if process.exitcode is None]
            _check(processes, messages)
            if not running:
                break
            wait(running)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _check(processes: Sequence[BaseProcess], messages: SimpleQueue[str]) -> None:
    if not messages.empty():
        raise InputError(messages.get())
    for process in processes:
        if process.exitcode:
            reason = f"signal {-process.exitcode}" if process.exitcode < 0 else f"code {process.exitcode}"
            raise InputError(
                f"a training process ended with {reason} (9: often too little memory): run `dvc repro` again "
                "to go on where it stopped; fewer replicates or threads side by side need less memory."
            )


def _work(tasks: Sequence[Task], threads: int, messages: SimpleQueue[str]) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_leave_with, args=(parent.sentinel,), daemon=True).start()
    torch.set_num_threads(threads)
    try:
        for task in tasks:
            task()
    except InputError as error:
        messages.put(error.message)
    except KeyboardInterrupt:
        os._exit(1)


def _leave_with(sentinel: int) -> None:
    """End this process when its parent ends, even by SIGKILL: two runs must not write the same files."""
    wait([sentinel])
    os._exit(1)
