"""Many series at once: what they take to make, to keep, to read and to tick."""

import tracemalloc
from collections.abc import Iterator
from itertools import count
from typing import Any

from metrics import Meter, Ticker

from .libraries import Library, Ours
from .row import Row
from .timing import SHORT_INTERVAL, Sample, held_up, whole

SIZES = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
MILLION = {"1M": 1_000_000}
PER_FAMILY = 1_000  # what every library allows by default
WEIGHED = 1_000


def label_values(size: int) -> list[tuple[str, str]]:
    return [(f"method{index % 10}", f"status{index}") for index in range(size)]


def fill(library: Any, size: int, histograms: int) -> Any:
    """Make and update series in families; every `histograms`-th family holds histograms."""
    each = min(PER_FAMILY, size // 10)
    values = label_values(each)
    for index in range(size // each):
        if histograms and index % histograms == 0:
            family = library.histograms(f"latency{index}")
            for a, b in values:
                library.observe(family, a, b, 0.3)
        else:
            family = library.counters(f"requests{index}")
            for a, b in values:
                library.count(family, a, b)
    return library


def reading(peers: list[type[Library]], sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of a registry's snapshot and text, a tenth of the series being histograms."""
    for label, size in sizes.items():
        row = Row(f"text of {label} series", rounds=3, take_turns=False)
        for library in (Ours, *readable(peers)):
            row.add(library.name, read, library, size)
        yield row


def naming(sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of instruments without labels, whose names are formed on the first page."""
    label, size = list(sizes.items())[-1]
    for what, sample in (
        ("first text", read_first),
        ("text", read_single),
        ("text after a registration", read_after_registration),
    ):
        yield Row(f"{what} of {label} unlabelled", rounds=3).add(Ours.name, sample, size)


def holding(peers: list[type[Library]], sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of how long reading keeps another thread from running."""
    label, size = list(sizes.items())[-1]
    for what, interval in (("", None), (", no wait", SHORT_INTERVAL)):
        row = Row(f"held up by text of {label}{what}", rounds=3, take_turns=False)
        for library in (Ours, *readable(peers)):
            row.add(
                library.name,
                read_beside,
                library,
                size,
                interval,
            )
        row.add("floor", held_up, interpreted_loop, interval)
        yield row


def creating(peers: list[type[Library]], sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of making counters in families."""
    for label, size in sizes.items():
        row = Row(f"create {label} series", rounds=3, take_turns=False)
        for library in (Ours, *readable(peers)):
            row.add(library.name, create, library, size)
        yield row


def ticking(_peers: list[type[Library]], sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of one tick; no peer has rates."""
    for label, size in sizes.items():
        yield Row(f"tick {label} meters", rounds=7).add(Ours.name, tick, size)
    label, size = list(sizes.items())[-1]
    for what, interval in (("", None), (", no wait", SHORT_INTERVAL)):
        row = Row(f"held up by tick of {label}{what}", rounds=3)
        row.add(Ours.name, tick_beside, size, interval)
        row.add("floor", held_up, interpreted_loop, interval)
        yield row


def weighing(peers: list[type[Library]], _sizes: dict[str, int]) -> Iterator[Row]:
    """Yield the bytes that one more labelled counter takes; its label values are not counted."""
    row = Row("memory of a labelled counter", unit="B", rounds=1)
    for library in (Ours, *readable(peers)):
        row.add(library.name, weigh, library)
    yield row


def single(size: int) -> Any:
    """Return a library with so many counters without labels."""
    library = Ours()
    for index in range(size):
        library.registry.counter(f"requests{index}/x").inc()
    return library


def read_first(size: int) -> Sample:
    """Measure the first page of a registry; each sample registers its own instruments before."""

    def sample() -> float:
        return whole(single(size).page)()

    return sample


def read_single(size: int) -> Sample:
    library = single(size)
    library.page()
    return whole(library.page)


def read_after_registration(size: int) -> Sample:
    """Measure the page after one more instrument was registered."""
    library = single(size)
    library.page()
    names = (f"more{index}" for index in count())

    def page() -> object:
        library.registry.counter(next(names)).inc()
        return library.page()

    return whole(page)


def create(kind: Any, size: int) -> Sample:
    return whole(lambda: fill(kind(), size, 0))


def read(kind: Any, size: int) -> Sample:
    return whole(fill(kind(), size, 10).page)


def read_beside(kind: Any, size: int, interval: float | None) -> Sample:
    return held_up(fill(kind(), size, 10).page, interval)


def tick(size: int) -> Sample:
    ticker = ticked(size)
    return running(ticker, whole(ticker.tick))


def tick_beside(size: int, interval: float | None) -> Sample:
    ticker = ticked(size)
    return running(ticker, held_up(ticker.tick, interval))


def weigh(kind: Any) -> Sample:
    return lambda: weight(kind())


def readable(peers: list[type[Library]]) -> list[Any]:
    return [peer for peer in peers if hasattr(peer, "page")]


def ticked(size: int) -> Ticker:
    """Return a ticker with so many meters, whose own thread has nothing to do for an hour."""
    ticker = Ticker(interval=3600.0)
    for _ in range(size):
        ticker.add(Meter(interval=3600.0))
    return ticker


def running(ticker: Ticker, sample: Sample) -> Sample:
    """Measure while a ticker runs, as it does in a program."""

    def within() -> float:
        with ticker:
            return sample()

    return within


def weight(library: Any) -> float:
    family = library.counters("requests")
    values = label_values(WEIGHED + 1)
    library.count(family, *values.pop())
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for a, b in values:
            library.count(family, a, b)
        return (tracemalloc.get_traced_memory()[0] - before) / WEIGHED
    finally:
        tracemalloc.stop()


def interpreted_loop() -> None:
    """Keep the interpreter busy for a while, with code that yields whenever it is asked to."""
    for _ in range(3_000_000):
        pass
