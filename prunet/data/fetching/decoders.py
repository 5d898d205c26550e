"""Processes that decode untrusted images, in parallel and isolated from the run.

Threads would be serialised by Python's global interpreter lock, and a crash in a decoder would end the run.
"""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

from prunet.data.fetching.answers import Body
from prunet.data.listing.scraping import Row

Batch = Sequence[tuple[str, Body]]
Verify = Callable[[str, Body], Row]
CRASHED: Row = {"status": "broken-image", "image": "", "detail": "crashes its decoder"}


class Decoder:
    """Context manager for a process that runs `verify`; it is forked, so `verify` is not pickled."""

    def __init__(self, verify: Verify) -> None:
        self.verify = verify
        self.fork()

    def fork(self) -> None:
        """Start the process."""
        context = multiprocessing.get_context("fork")
        self.connection, inner = context.Pipe()
        arguments = (self.verify, inner, self.connection)
        self.process = context.Process(target=_work, args=arguments, daemon=True)
        self.process.start()
        inner.close()

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()  # safe: it writes whole files, or into an output that is discarded
        self.process.join()
        self.connection.close()

    async def run(self, batch: Batch) -> list[Row]:
        """Verify a batch; a body that crashes the process is a broken image.

        Raises:
            Exception: whatever `verify` raised.
        """
        try:
            self.connection.send(batch)
            await self.answered()
            result: list[Row] | Exception = self.connection.recv()
        except (EOFError, ConnectionError):
            self.__exit__()
            self.fork()
            if len(batch) == 1:
                return [CRASHED]
            return [row for one in batch for row in await self.run([one])]
        if isinstance(result, Exception):
            raise result
        return result

    async def answered(self) -> None:
        """Wait until the process has sent an answer or ended."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self.connection.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self.connection.fileno())


def _work(verify: Verify, connection: Connection, outer: Connection) -> None:
    outer.close()  # the parent's end; an open copy here would hide that the parent has ended
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    while True:
        try:
            batch: Batch = connection.recv()
        except (EOFError, ConnectionError):  # the parent was killed
            return
        try:
            connection.send([verify(url, body) for url, body in batch])
        except Exception as error:
            connection.send(error)
