"""A server in its own process."""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def apart(serve: Callable[..., None], *arguments: Any) -> Iterator[Any]:
    """Run `serve(*arguments, sender)` until the block ends; yield the first thing it sends, like a port."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(*arguments, sender), daemon=True)
    process.start()
    try:
        yield receiver.recv()
    finally:
        process.kill()
        process.join()
