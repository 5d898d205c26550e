"""Decoders: processes that look at the bytes of strangers, several at a time.

Threads would wait for one another (Python's global lock), and a crash of a decoder would end the run.
"""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection

from prunet.data.fetching.bodies import Body
from prunet.data.listing.scraping import Row

Batch = Sequence[tuple[str, Body]]
Verify = Callable[[str, Body], Row]
CRASHED: Row = {"status": "broken-image", "image": "", "detail": "does not decode (its decoder crashed)"}


class Decoder:
    """A forked process that calls `verify`, so that no batch brings it along; a context manager."""

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
        self.process.kill()  # what it writes is written whole, or for an output that is thrown away
        self.process.join()
        self.connection.close()

    async def run(self, batch: Batch) -> list[Row]:
        """Verify a batch; a body that makes the process crash is a broken image.

        Raises:
            Exception: what `verify` raised.
        """
        try:
            self.connection.send(batch)  # the process waits for it
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
        """Wait until there is something to receive, or the process has ended."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        loop.add_reader(self.connection.fileno(), ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self.connection.fileno())


def _work(verify: Verify, connection: Connection, outer: Connection) -> None:
    outer.close()  # each process closes the other's end, so that it sees when that one ends
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
