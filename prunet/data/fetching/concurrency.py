"""Fetching: all urls of a scraping list, many at a time."""

import asyncio
import math
import os
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NoReturn

import aiohttp
from tqdm import tqdm

from prunet.data.decoding import Rejection
from prunet.data.fetching import bodies
from prunet.data.fetching.bodies import Body, Limits
from prunet.data.fetching.decoders import Decoder
from prunet.data.fetching.downloading import Passing, open_session
from prunet.data.fetching.store import Store
from prunet.data.fetching.turns import Task, Turns
from prunet.data.listing.scraping import Row

DECODERS = min(4, os.cpu_count() or 1)  # decoded images are what needs memory: a few at a time
FIRST_WAIT = 0.5  # seconds before the second try; doubles with each try
BATCH = 16  # bodies that are given to a decoder at once, if they are there
BATCH_BYTES = 1_000_000


def fetch_all(
    urls: Sequence[str],
    folder: Path,
    output: Path,
    store: Store,
    limits: Limits,
    *,
    concurrency: int,
    host_concurrency: int,
    host_delay: float,
    user_agent: str,
    private_addresses: bool,
) -> dict[str, Row]:
    """Fetch and verify `urls`; write the bytes of each good one to `output / key(url)`.

    Failed connections and the codes 429, 500, 502, 503 and 504 are tried again, after a wait that doubles or
    that the server asks for, but of at most `limits.timeout` seconds.

    Args:
        urls: distinct addresses, or paths relative to `folder`.
        folder: where local files lie; a path may not leave it.
        output: an existing folder.
        store: keeps images that came over http; what is there is asked for again only to recheck it.
        limits: how one url may be fetched.
        concurrency: how many urls are fetched at a time.
        host_concurrency: how many of them from one host; redirects to it are not counted.
        host_delay: least seconds between the beginnings of two tries at one host.
        user_agent: how to name ourselves to servers.
        private_addresses: whether machines may be asked that are not on the public internet.

    Returns:
        For each url what `bodies.verify` returns. An image that is `ok` has a detail if its address does not
        give it any more.
    """
    turns = Turns(
        urls, lambda url: bodies.host_to_ask(url, store, limits.recheck), host_concurrency, host_delay
    )
    verify = partial(bodies.verify, folder=folder, output=output, store=store, limits=limits)
    with ExitStack() as stack:
        # Forked now, while there are neither threads nor connections.
        decoders = [stack.enter_context(Decoder(verify)) for _ in range(min(DECODERS, len(urls)))]
        progress = stack.enter_context(tqdm(desc="fetch", total=len(urls), unit="url", disable=None))
        run = _Run(turns, store, limits, len(urls), progress)
        try:
            asyncio.run(run.all(decoders, user_agent, private_addresses, concurrency))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
    return run.results


class _Run:
    def __init__(
        self, turns: Turns, store: Store, limits: Limits, unasked: int, progress: "tqdm[NoReturn]"
    ) -> None:
        self.turns, self.store, self.limits, self.progress = turns, store, limits, progress
        self.unasked = unasked  # urls of which the last try is not over
        self.active = 0
        self.changed = asyncio.Event()
        self.arrived: asyncio.Queue[tuple[str, Body]] = asyncio.Queue(BATCH)  # to be decoded
        self.results: dict[str, Row] = {}

    async def all(
        self, decoders: Sequence[Decoder], user_agent: str, private_addresses: bool, concurrency: int
    ) -> None:
        async with open_session(user_agent, private_addresses) as session, asyncio.TaskGroup() as group:
            decoding = [group.create_task(self.decode(decoder)) for decoder in decoders]
            while self.unasked:
                task = self.turns.take() if self.active < concurrency else math.inf
                if isinstance(task, Task):
                    self.active += 1
                    group.create_task(self.ask(session, task))
                else:
                    await self.wait(task)
            await self.arrived.join()
            for work in decoding:
                work.cancel()

    async def wait(self, seconds: float) -> None:
        """Wait until a task is given back, but at most so long."""
        alarm = None
        if seconds < math.inf:
            alarm = asyncio.get_running_loop().call_later(seconds, self.changed.set)
        await self.changed.wait()
        self.changed.clear()
        if alarm:
            alarm.cancel()

    async def ask(self, session: aiohttp.ClientSession, task: Task | float) -> None:
        while isinstance(task, Task):
            await self.try_once(session, task)
            # The next one is taken here and now: by way of `all`, answers that came together would be dealt
            # with together, and so come together again, a queue at every turn.
            task = self.turns.take()
        self.active -= 1
        self.changed.set()

    async def try_once(self, session: aiohttp.ClientSession, task: Task) -> None:
        last_try = task.tries >= self.limits.retries
        try:
            body = await bodies.fetch(session, task.url, self.store, self.limits, last_try=last_try)
        except Rejection as rejection:
            if isinstance(rejection, Passing) and not last_try:
                wait = min(max(rejection.wait, FIRST_WAIT * 2**task.tries), self.limits.timeout)
                self.turns.postpone(task, wait, whole_host=rejection.wait > 0)
                self.changed.set()  # something is ready sooner than `all` knows
            else:
                self.turns.finish(task)
                self.settle(task.url, bodies.rejected(rejection))
                self.unasked -= 1
        else:
            self.turns.finish(task)
            await self.arrived.put((task.url, body))  # no more is asked for than can be decoded
            self.unasked -= 1

    async def decode(self, decoder: Decoder) -> None:
        while True:
            batch = [await self.arrived.get()]
            size = len(batch[0][1].data or b"")
            while len(batch) < BATCH and size < BATCH_BYTES and not self.arrived.empty():
                batch.append(self.arrived.get_nowait())
                size += len(batch[-1][1].data or b"")
            for (url, _), row in zip(batch, await decoder.run(batch), strict=True):
                self.settle(url, row)
                self.arrived.task_done()

    def settle(self, url: str, row: Row) -> None:
        self.results[url] = row
        self.progress.update()
