"""A task in a process of its own, with limits of time and memory."""

import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

WAIT = 10  # seconds for each second of processor time, on a busy machine


def limited(task: Callable[[], Any], seconds: int, gigabytes: float) -> Any:
    """Run a task in a forked process and return its result.

    Raises:
        RuntimeError: it took more than `seconds` of processor time or waited ten times as long, or its
            process died, as it does where memory ends.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task, seconds, gigabytes, sender))
    process.start()
    sender.close()
    try:
        if not receiver.poll(WAIT * seconds):
            raise RuntimeError(f"it did not end within {WAIT * seconds} s")
        return receiver.recv()
    except EOFError:
        process.join()
        if process.exitcode == -signal.SIGXCPU:
            raise RuntimeError(f"it took more than {seconds} s of processor time") from None
        raise RuntimeError(f"its process ended with status {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def _work(task: Callable[[], Any], seconds: int, gigabytes: float, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (int(gigabytes * 2**30),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))  # SIGXCPU, then SIGKILL
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what other libraries print about a network
        os.dup2(silence, stream)
    sender.send(task())
