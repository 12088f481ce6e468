"""Rows of threads that update one counter during ticks and scrapes; no update may be lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

from metrics import Meter, Ticker

from .libraries import Library, Ours
from .row import Row
from .series import fill, rendering
from .single import THREADS, Effort
from .timing import Sample, together

PAUSE = 0.01
"""Seconds between two scrapes, and between two ticks."""


def rows(peers: list[type[Library]], effort: Effort) -> Iterator[Row]:
    """Yield the time of an update, 1 / throughput, and the 99.9th percentile of its latency."""
    runs = effort.runs // 4
    for threads, label in THREADS.items():
        mean = Row(f"`inc()` in {label}, scraped and ticked")
        slow = Row(f"99.9th percentile in {label}")
        for kind in (Ours, *rendering(peers, "page")):
            mean.add(kind.name, mean_time, kind, threads, runs)
            slow.add(kind.name, percentile, kind, threads, runs)
        yield mean.measure(rounds=3)
        yield slow.measure(rounds=3)


def populous(kind: Any) -> Any:
    """Return a library with 1,000 series to scrape."""
    return fill(kind(), 1_000, 10)


def mean_time(kind: Any, threads: int, runs: int) -> Sample:
    """Measure the time of an update; raise if one of ours is lost."""
    library = populous(kind)
    counter = library.make("count")
    update = together(library.code["count"], counter, threads, runs)
    rounds = 0

    def sample() -> float:
        nonlocal rounds
        with scrapes(library):
            took = update()
        rounds += 1
        if isinstance(library, Ours) and counter.count != rounds * threads * runs:
            raise AssertionError(f"{rounds * threads * runs - counter.count} updates are lost")
        return took

    return sample


def percentile(kind: Any, threads: int, runs: int) -> Sample:
    """Measure the 99.9th percentile of the time of an update with its clock reads."""
    library = populous(kind)
    scope: dict[str, Any] = {"now": perf_counter_ns}
    exec(
        "def work(m, latencies, runs):\n"
        "    for _ in range(runs):\n"
        "        began = now()\n"
        f"        {library.code['count']}\n"
        "        latencies.append(now() - began)\n",
        scope,
    )
    counter = library.make("count")

    def sample() -> float:
        lists: list[list[int]] = [[] for _ in range(threads)]
        workers = [
            threading.Thread(target=scope["work"], args=(counter, latencies, runs), daemon=True)
            for latencies in lists
        ]
        with scrapes(library):
            start_and_join(workers)
        every = sorted([latency for latencies in lists for latency in latencies])
        return every[int(len(every) * 0.999)] / 1e9

    return sample


@contextmanager
def scrapes(library: Any) -> Iterator[None]:
    """Scrape a library repeatedly, and tick meters if it is ours."""
    over = threading.Event()

    def repeat(action: Callable[[], object]) -> None:
        while not over.wait(PAUSE):
            action()

    actions: list[Callable[[], object]] = [library.page]
    if isinstance(library, Ours):
        ticker = Ticker()
        for _ in range(1_000):
            ticker.add(Meter())
        actions.append(ticker.tick)
    workers = [threading.Thread(target=repeat, args=(action,), daemon=True) for action in actions]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        over.set()
        for worker in workers:
            worker.join()


def start_and_join(workers: list[threading.Thread]) -> None:
    """Start threads and wait for their ends."""
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
