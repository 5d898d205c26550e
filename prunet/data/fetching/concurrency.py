"""Fetch all urls of a scraping list concurrently."""

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

from prunet.data.fetching import bodies
from prunet.data.fetching.answers import TransientFailure
from prunet.data.fetching.bodies import Body, Limits
from prunet.data.fetching.decoders import Decoder
from prunet.data.fetching.downloading import open_session
from prunet.data.fetching.host_queue import HostQueue, Task
from prunet.data.fetching.store import Store
from prunet.data.images.decoding import Rejection
from prunet.data.listing.scraping import Row

DECODERS = min(4, os.cpu_count() or 1)  # few, because decoded images take most of the memory
FIRST_WAIT = 0.5  # seconds before the second try; doubles with every try
BATCH = 16  # most bodies sent to a decoder at once
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
    """Fetch and verify `urls`; write the bytes of each image to `output / key(url)`.

    Failed connections and the statuses 429, 500, 502, 503 and 504 are retried after a wait that doubles or
    that the server asks for, but at most `limits.timeout` seconds.

    Args:
        urls: distinct addresses, or paths relative to `folder`.
        folder: root of the local files; a path may not leave it.
        output: an existing folder.
        store: keeps downloaded images; stored ones are requested again only to recheck them.
        limits: limits on each url.
        concurrency: urls fetched at a time.
        host_concurrency: urls of one host fetched at a time; redirects to a host are not counted.
        host_delay: least seconds between the starts of two requests to a host.
        user_agent: the User-Agent header.
        private_addresses: whether to allow addresses that are not on the public internet.

    Returns:
        The result of `bodies.verify` for each url. An `ok` image has a detail if its address no longer
        returns it.
    """
    queue = HostQueue(
        urls, lambda url: bodies.host_to_ask(url, store, limits.recheck), host_concurrency, host_delay
    )
    verify = partial(bodies.verify, folder=folder, output=output, store=store, limits=limits)
    with ExitStack() as stack:
        # Fork before there are threads and connections.
        decoders = [stack.enter_context(Decoder(verify)) for _ in range(min(DECODERS, len(urls)))]
        progress = stack.enter_context(tqdm(desc="fetch", total=len(urls), unit="url", disable=None))
        run = _Run(queue, store, limits, len(urls), progress)
        try:
            asyncio.run(run.fetch(decoders, user_agent, private_addresses, concurrency))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
    return run.results


class _Run:
    def __init__(
        self, queue: HostQueue, store: Store, limits: Limits, pending: int, progress: "tqdm[NoReturn]"
    ) -> None:
        self.queue, self.store, self.limits, self.progress = queue, store, limits, progress
        self.pending = pending  # urls whose last try has not ended
        self.active = 0
        self.changed = asyncio.Event()
        self.fetched: asyncio.Queue[tuple[str, Body]] = asyncio.Queue(BATCH)  # to be decoded
        self.results: dict[str, Row] = {}

    async def fetch(
        self, decoders: Sequence[Decoder], user_agent: str, private_addresses: bool, concurrency: int
    ) -> None:
        async with open_session(user_agent, private_addresses) as session, asyncio.TaskGroup() as group:
            decoding = [group.create_task(self.decode(decoder)) for decoder in decoders]
            while self.pending:
                task = self.queue.take() if self.active < concurrency else math.inf
                if isinstance(task, Task):
                    self.active += 1
                    group.create_task(self.work(session, task))
                else:
                    await self.wait(task)
            await self.fetched.join()
            for decoder_task in decoding:
                decoder_task.cancel()

    async def wait(self, seconds: float) -> None:
        """Wait until a task is returned to the queue, but at most `seconds`."""
        alarm = None
        if seconds < math.inf:
            alarm = asyncio.get_running_loop().call_later(seconds, self.changed.set)
        await self.changed.wait()
        self.changed.clear()
        if alarm:
            alarm.cancel()

    async def work(self, session: aiohttp.ClientSession, task: Task | float) -> None:
        while isinstance(task, Task):
            await self.try_once(session, task)
            # Take the next task right here: if `fetch` handed it out, answers that arrive together would be
            # followed by requests that start together, and bunch up again.
            task = self.queue.take()
        self.active -= 1
        self.changed.set()

    async def try_once(self, session: aiohttp.ClientSession, task: Task) -> None:
        last_try = task.failures >= self.limits.retries
        try:
            body = await bodies.fetch(session, task.url, self.store, self.limits, last_try=last_try)
        except Rejection as rejection:
            if isinstance(rejection, TransientFailure) and not last_try:
                wait = min(max(rejection.wait, FIRST_WAIT * 2**task.failures), self.limits.timeout)
                self.queue.postpone(task, wait, whole_host=rejection.wait > 0)
                self.changed.set()  # `fetch` may be waiting for longer than that
            else:
                self.queue.finish(task)
                self.settle(task.url, bodies.rejected(rejection))
                self.pending -= 1
        else:
            self.queue.finish(task)
            await self.fetched.put((task.url, body))  # blocks while the decoders are behind
            self.pending -= 1

    async def decode(self, decoder: Decoder) -> None:
        while True:
            batch = [await self.fetched.get()]
            size = len(batch[0][1].data or b"")
            while len(batch) < BATCH and size < BATCH_BYTES and not self.fetched.empty():
                batch.append(self.fetched.get_nowait())
                size += len(batch[-1][1].data or b"")
            for (url, _), row in zip(batch, await decoder.run(batch), strict=True):
                self.settle(url, row)
                self.fetched.task_done()

    def settle(self, url: str, row: Row) -> None:
        self.results[url] = row
        self.progress.update()
