"""Queue of addresses to fetch that limits the load on each host."""

import heapq
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Task(NamedTuple):
    """An address to fetch; the tasks of a host are taken in sorted order."""

    ready: float  # earliest start, on the clock of time.monotonic
    number: int
    url: str
    host: str
    failures: int = 0


class _Host:
    def __init__(self) -> None:
        self.waiting: list[Task] = []  # a heap
        self.active = 0
        self.ready = 0.0  # earliest next request


class HostQueue:
    """Hand out tasks: at most `limit` per host at a time, and one per host every `delay` seconds.

    A task never waits for another host. The host "" stands for local files and stored images, which need no
    server and have no limits.
    """

    def __init__(self, urls: Sequence[str], host_of: Callable[[str], str], limit: int, delay: float) -> None:
        self.limit, self.delay = limit, delay
        self.hosts: dict[str, _Host] = defaultdict(_Host)
        self.offers: list[tuple[float, int, str]] = []  # a heap of (ready, number, host); some are outdated
        for number, url in enumerate(urls):
            task = Task(0.0, number, url, host_of(url))
            self.hosts[task.host].waiting.append(task)  # sorted, hence a heap
        for name in self.hosts:
            self._offer(name)

    def _ready(self, name: str) -> float:
        host = self.hosts[name]
        if not host.waiting or (name and host.active >= self.limit):
            return math.inf
        return max(host.waiting[0].ready, host.ready)

    def _offer(self, name: str) -> None:
        if (ready := self._ready(name)) < math.inf:
            heapq.heappush(self.offers, (ready, self.hosts[name].waiting[0].number, name))

    def take(self) -> Task | float:
        """Take a task; if none is ready, return the seconds until one is (infinity if unknown)."""
        now = time.monotonic()
        while self.offers:
            offered, _, name = self.offers[0]
            ready = self._ready(name)
            if now < offered == ready:
                return ready - now
            heapq.heappop(self.offers)
            if ready <= now:
                host = self.hosts[name]
                host.active += 1
                host.ready = now + self.delay if name else 0.0
                task = heapq.heappop(host.waiting)
                self._offer(name)
                return task
            if ready > offered:  # the offer was outdated
                self._offer(name)
        return math.inf

    def finish(self, task: Task) -> None:
        """Return a task that is done."""
        self.hosts[task.host].active -= 1
        self._offer(task.host)

    def postpone(self, task: Task, wait: float, *, whole_host: bool) -> None:
        """Return a task to be retried in `wait` seconds; `whole_host` postpones its whole host."""
        host, ready = self.hosts[task.host], time.monotonic() + wait
        heapq.heappush(host.waiting, task._replace(ready=ready, failures=task.failures + 1))
        if whole_host:
            host.ready = max(host.ready, ready)
        self.finish(task)
