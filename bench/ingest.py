"""Ingest: images per second from a server of known latency, as a share of what the latency allows."""

import asyncio
import io
import resource
import time
from contextlib import AbstractContextManager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from PIL import Image

from bench import machine
from bench.machine import Found
from faults.apart import apart
from prunet.data.fetching.bodies import Settings
from prunet.data.fetching.concurrency import fetch_all
from prunet.data.fetching.store import Store


class Sizes(NamedTuple):
    """Size of the measurement."""

    concurrencies: tuple[int, ...] = (16, 64)
    latencies_ms: tuple[int, ...] = (50, 100)  # of the server, from a request to its answer
    rounds: int = 200  # images for each connection
    side: int = 128  # pixels of an image
    repeats: int = 3


QUICK = Sizes(concurrencies=(2, 4), latencies_ms=(5,), rounds=3, side=16, repeats=1)


def measure(quick: bool, threads: int) -> tuple[dict[str, float], Found]:
    """Measure every pair of concurrency and latency; all images come from one host, without a delay.

    The bound is concurrency / latency. It cannot be reached if it needs more processor time than there is:
    `ingest_cpu_ms_per_image` is the processor time of all processes.
    """
    del threads  # ingest uses no PyTorch
    sizes = QUICK if quick else Sizes()
    pairs = [(concurrency, ms) for concurrency in sizes.concurrencies for ms in sizes.latencies_ms]
    parts = {
        f"ingest_{concurrency}_at_{ms}ms_per_s": partial(rate, concurrency, ms, sizes)
        for concurrency, ms in pairs
    }
    found = machine.alternate(
        {**parts, "ingest_cpu_ms_per_image": partial(cpu_ms, *pairs[0], sizes)}, sizes.repeats
    )
    values = machine.medians(found)
    shares = {
        f"ingest_{concurrency}_at_{ms}ms_share_of_bound": values[f"ingest_{concurrency}_at_{ms}ms_per_s"]
        * (ms / 1000 / concurrency)
        for concurrency, ms in pairs
    }
    return values | shares | {"ingest_least_share_of_bound": min(shares.values())}, found


def rate(concurrency: int, latency_ms: int, sizes: Sizes) -> float:
    """Return images per second, fetched, verified, hashed and stored."""
    count, seconds, _ = _run(concurrency, latency_ms, sizes)
    return count / seconds


def cpu_ms(concurrency: int, latency_ms: int, sizes: Sizes) -> float:
    """Return milliseconds of processor time per image."""
    count, _, cpu_seconds = _run(concurrency, latency_ms, sizes)
    return 1000 * cpu_seconds / count


def _run(concurrency: int, latency_ms: int, sizes: Sizes) -> tuple[int, float, float]:
    with serving(photo(sizes.side), latency_ms / 1000) as port, TemporaryDirectory() as folder:
        urls = [f"http://127.0.0.1:{port}/{number}" for number in range(sizes.rounds * concurrency)]
        seconds, cpu_seconds = machine.apart(lambda: _fetch(urls, Path(folder), concurrency), 1)
        return len(urls), seconds, cpu_seconds


def _fetch(urls: list[str], folder: Path, concurrency: int) -> tuple[float, float]:
    (folder / "output").mkdir()
    began, before = time.perf_counter(), _cpu_seconds()
    results = fetch_all(
        urls,
        folder,
        folder / "output",
        Store(folder / "store"),
        Settings(
            timeout=30,
            retries=0,
            max_bytes=1_000_000,
            max_pixels=1_000_000,
            recheck=False,
            concurrency=concurrency,
            host_concurrency=concurrency,
            host_delay=0.0,
            user_agent="prunet-bench",
            private_addresses=True,
        ),
    )
    seconds = time.perf_counter() - began
    failed = [result["detail"] for result in results.values() if result["status"] != "ok"]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(urls)} images failed, for example: {failed[0]}")
    return seconds, _cpu_seconds() - before


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def photo(side: int) -> bytes:
    """Draw a square JPEG of smooth noise, as detailed as a photo."""
    coarse = np.random.default_rng(0).integers(0, 256, (max(2, side // 8),) * 2 + (3,), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def serving(image: bytes, latency: float) -> AbstractContextManager[int]:
    """Serve `image`, the path as a comment in it, `latency` seconds after each request; yield the port."""
    return apart(_serve, image, latency)


def _serve(image: bytes, latency: float, sender: Connection) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: _Protocol(image, latency), "127.0.0.1", 0, backlog=1024
        )
        sender.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


class _Protocol(asyncio.Protocol):
    """Answers one request after another; faster than web frameworks, so that the server is not the limit."""

    def __init__(self, image: bytes, latency: float) -> None:
        self.image, self.latency = image, latency
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.received.endswith(b"\r\n\r\n"):
            path = self.received.split(b" ", 2)[1]
            self.received = b""
            asyncio.get_running_loop().call_later(self.latency, self.answer, path)

    def answer(self, path: bytes) -> None:
        comment = b"\xff\xfe" + (len(path) + 2).to_bytes(2) + path  # makes every image different
        body = self.image[:2] + comment + self.image[2:]
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
