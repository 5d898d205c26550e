"""Turns: which address is fetched next, so that no server is asked too much at once."""

import heapq
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Task(NamedTuple):
    """An address that is to be fetched; those of a host are taken in this order."""

    ready: float  # not before this time, of time.monotonic
    number: int
    url: str
    host: str
    tries: int = 0  # that failed


class _Host:
    def __init__(self) -> None:
        self.waiting: list[Task] = []  # a heap
        self.active = 0
        self.ready = 0.0  # not asked before this time


class Turns:
    """Gives out tasks, of each host at most `limit` at a time and one every `delay` seconds.

    No task waits for a host while there is one for another. The host "" stands for what no server is asked
    for, and has no limits.
    """

    def __init__(self, urls: Sequence[str], host_of: Callable[[str], str], limit: int, delay: float) -> None:
        self.limit, self.delay = limit, delay
        self.hosts: dict[str, _Host] = defaultdict(_Host)
        self.offers: list[tuple[float, int, str]] = []  # a heap of (ready, number, host); some are outdated
        for number, url in enumerate(urls):
            task = Task(0.0, number, url, host_of(url))
            self.hosts[task.host].waiting.append(task)  # in order, so it is a heap
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
        """Take a task; if none is ready, return the seconds until one is, infinite if that is not known."""
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
        """Give back a task that is done."""
        self.hosts[task.host].active -= 1
        self._offer(task.host)

    def postpone(self, task: Task, wait: float, *, whole_host: bool) -> None:
        """Give back a task to be tried again in `wait` seconds, before which `whole_host` is not asked."""
        host, ready = self.hosts[task.host], time.monotonic() + wait
        heapq.heappush(host.waiting, task._replace(ready=ready, tries=task.tries + 1))
        if whole_host:
            host.ready = max(host.ready, ready)
        self.finish(task)
