"""Many threads update one counter while it is ticked and scraped: nothing may be lost."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

from metrics import Meter, Ticker

from .libraries import Library, Ours
from .row import Row
from .series import fill, readable
from .single import Effort
from .timing import Sample, together

THREADS = (4, 16)
PAUSE = 0.01  # seconds between two scrapes, and between two ticks


def rows(peers: list[type[Library]], effort: Effort) -> Iterator[Row]:
    """Yield the time of an update, 1 / throughput, and the 99.9th percentile of its latency."""
    runs = effort.runs // 4
    for threads in THREADS:
        whole = Row(f"inc() in {threads} threads, scraped", rounds=3, take_turns=False)
        slow = Row(f"inc() in {threads} threads, p99.9", rounds=3, take_turns=False)
        for kind in (Ours, *readable(peers)):
            whole.add(kind.name, loaded, kind, threads, runs)
            slow.add(kind.name, percentile, kind, threads, runs)
        yield whole
        yield slow


def prepared(kind: Any) -> Any:
    """Return a library with something to scrape."""
    return fill(kind(), 1_000, 10)


def loaded(kind: Any, threads: int, runs: int) -> Sample:
    """Measure the time of an update; raise if one of ours is lost."""
    library = prepared(kind)
    counter = library.make("count")
    update = together(library.code["count"], counter, threads, runs)
    rounds = 0

    def sample() -> float:
        nonlocal rounds
        with scraped(library):
            took = update()
        rounds += 1
        if isinstance(library, Ours) and counter.count != rounds * threads * runs:
            raise AssertionError(f"{rounds * threads * runs - counter.count} updates are lost")
        return took

    return sample


def percentile(kind: Any, threads: int, runs: int) -> Sample:
    """Measure the 99.9th percentile of what single updates take, the clock reads included."""
    library = prepared(kind)
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
        with scraped(library):
            run(workers)
        every = sorted([latency for latencies in lists for latency in latencies])
        return every[int(len(every) * 0.999)] / 1e9

    return sample


@contextmanager
def scraped(library: Any) -> Iterator[None]:
    """Scrape a library, and if it is ours tick meters, over and over."""
    over = threading.Event()

    def keep(doing: Callable[[], object]) -> None:
        while not over.wait(PAUSE):
            doing()

    beside: list[Callable[[], object]] = [library.page]
    if isinstance(library, Ours):
        ticker = Ticker()
        for _ in range(1_000):
            ticker.add(Meter())
        beside.append(ticker.tick)
    workers = [threading.Thread(target=keep, args=(doing,), daemon=True) for doing in beside]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        over.set()
        for worker in workers:
            worker.join()


def run(workers: list[threading.Thread]) -> None:
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
