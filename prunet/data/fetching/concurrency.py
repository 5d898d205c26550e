"""Fetch all urls of a scraping list concurrently."""

import asyncio
import math
import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
from tqdm import tqdm

from prunet.base.progress import progress
from prunet.data.fetching import bodies
from prunet.data.fetching.answers import Body, TransientFailure
from prunet.data.fetching.bodies import Settings
from prunet.data.fetching.decoders import Decoder
from prunet.data.fetching.downloading import open_session
from prunet.data.fetching.host_queue import HostQueue, Task
from prunet.data.fetching.local_files import read_local
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
    settings: Settings,
    *,
    links_out: bool = False,
) -> dict[str, Row]:
    """Fetch and verify `urls`; write the bytes of each image to `output / key(url)`.

    Failed connections and the statuses 429, 500, 502, 503 and 504 are retried after a wait that doubles or
    that the server asks for, but at most `settings.timeout` seconds.

    Args:
        urls: distinct addresses, or paths relative to `folder`.
        folder: root of the local files.
        output: an existing folder.
        store: keeps downloaded images; stored ones are requested again only to recheck them.
        settings: how to fetch them.
        links_out: whether local paths may lead out of `folder`.

    Returns:
        The result of `bodies.verify` for each url. An `ok` image has a detail if its address no longer
        returns it.
    """
    local = partial(read_local, folder, max_bytes=settings.max_bytes, links_out=links_out)
    verify = partial(bodies.verify, local=local, output=output, store=store, settings=settings)
    with ExitStack() as stack:
        # Fork before there are threads and connections.
        decoders = [stack.enter_context(Decoder(verify)) for _ in range(min(DECODERS, len(urls)))]
        bar = stack.enter_context(progress(desc="fetch", total=len(urls), unit="url"))
        run = _Run(urls, store, settings, bar)
        try:
            asyncio.run(run.fetch(decoders))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None
    return run.results


class _Run:
    def __init__(self, urls: Sequence[str], store: Store, settings: Settings, bar: "tqdm[Any]") -> None:
        self.store, self.settings, self.bar = store, settings, bar
        host_of = partial(bodies.host_to_ask, store=store, recheck=settings.recheck)
        self.queue = HostQueue(urls, host_of, settings.host_concurrency, settings.host_delay)
        self.pending = len(urls)  # whose last try has not ended
        self.active = 0
        self.changed = asyncio.Event()
        self.fetched: asyncio.Queue[tuple[str, Body]] = asyncio.Queue(BATCH)  # to be decoded
        self.results: dict[str, Row] = {}

    async def fetch(self, decoders: Sequence[Decoder]) -> None:
        session = open_session(self.settings.user_agent, self.settings.private_addresses)
        async with session, asyncio.TaskGroup() as group:
            decoding = [group.create_task(self.decode(decoder)) for decoder in decoders]
            while self.pending:
                task = self.queue.take() if self.active < self.settings.concurrency else math.inf
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
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds if seconds < math.inf else None):
                await self.changed.wait()
        self.changed.clear()

    async def work(self, session: aiohttp.ClientSession, task: Task | float) -> None:
        while isinstance(task, Task):
            await self.try_once(session, task)
            # Take the next task right here: if `fetch` handed it out, answers that arrive together would be
            # followed by requests that start together, and bunch up again.
            task = self.queue.take()
        self.active -= 1
        self.changed.set()

    async def try_once(self, session: aiohttp.ClientSession, task: Task) -> None:
        last_try = task.failures >= self.settings.retries
        try:
            body = await bodies.fetch(session, task.url, self.store, self.settings, last_try=last_try)
        except Rejection as rejection:
            if isinstance(rejection, TransientFailure) and not last_try:
                wait = min(max(rejection.wait, FIRST_WAIT * 2**task.failures), self.settings.timeout)
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
        self.bar.update()
