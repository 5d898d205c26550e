"""A task in a process of its own, with limits of time and memory."""

import multiprocessing
import os
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any


def limited(task: Callable[[], Any], seconds: float, gigabytes: float) -> Any:
    """Run a task in a forked process and return its result.

    Raises:
        RuntimeError: it took longer than `seconds`, or its process died, as it does where memory ends.
    """
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(task, gigabytes, sender))
    process.start()
    sender.close()
    try:
        if not receiver.poll(seconds):
            raise RuntimeError(f"it took longer than {seconds:g} s")
        return receiver.recv()
    except EOFError:
        process.join()
        raise RuntimeError(f"its process ended with status {process.exitcode}") from None
    finally:
        process.kill()
        process.join()


def _work(task: Callable[[], Any], gigabytes: float, sender: Connection) -> None:
    limit = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # what other libraries print about a network
        os.dup2(silence, stream)
    sender.send(task())
