"""Rows of many series: creation, memory, pages, requests and ticks."""

import gc
import os
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from metrics import Meter, Ticker

from .libraries import Library, Ours
from .row import Row, measure_in_turns
from .timing import SHORT_INTERVAL, Sample, call, longest_wait

SIZES = {"1,000": 1_000, "10,000": 10_000, "100,000": 100_000}
QUICK_SIZES = {"1,000": 1_000, "10,000": 10_000}
MILLION = {"1,000,000": 1_000_000}
PER_FAMILY = 1_000
"""Series in a family; every library allows as many by default."""

WEIGHED = 1_000

RESIDENT = Path("/proc/self/statm")
"""Size and resident size of this process, in memory pages."""

STEPS = {"all changed": 1, "one in ten changed": 10, "none changed": 0}
"""Changes since the last page: every series, every tenth one, no series."""

FORMATS = {"OTLP": "otlp", "remote write": "remote_write"}

Series = Sequence[tuple[Callable[..., object], Sequence[tuple[Any, ...]]]]
"""Functions that update a series, each with the arguments for its series."""

Peers = list[type[Library]]


def label_values(size: int) -> list[tuple[str, str]]:
    """Return the values of two labels, the same objects for every library."""
    return [(f"method{index % 10}", f"status{index}") for index in range(size)]


def fill(library: Any, size: int, histograms: int) -> Any:
    """Make and update series in families; every `histograms`-th family holds histograms."""
    touch(mixed_series(library, size, histograms), 1)
    return library


def mixed_series(library: Any, size: int, histograms: int) -> Series:
    """Return series in families, of which every `histograms`-th holds histograms."""
    each = min(PER_FAMILY, size // 10)
    values = label_values(each)
    updates = [
        partial(library.observe, library.histograms(f"latency{index}"))
        if histograms and index % histograms == 0
        else partial(library.count, library.counters(f"requests{index}"))
        for index in range(size // each)
    ]
    return [(update, values) for update in updates]


def own_names(library: Any, size: int) -> Series:
    """Return counters and histograms without labels, half of the size each."""
    counters = [(library.counter(f"requests{index}"),) for index in range(size // 2)]
    histograms = [(library.histogram(f"latency{index}"),) for index in range(size // 2)]
    code = library.code
    return [(function(code["count"]), counters), (function(code["buckets"]), histograms)]


def function(statement: str) -> Callable[[Any], object]:
    """Return a statement about `m` as a function of `m`."""
    result: Callable[[Any], object] = eval(f"lambda m: {statement}")
    return result


def touch(series: Series, step: int) -> None:
    """Update every `step`-th series, or none for 0."""
    for update, arguments in series if step else ():
        for each in arguments[::step]:
            update(*each)


def changing(peers: Peers, sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of pages by the share of the series that changed since the last page."""
    *_, (smaller_label, smaller), (label, size) = sizes.items()
    shapes: dict[str, Callable[[Any], Series]] = {
        f"{label} counters": partial(mixed_series, size=size, histograms=0),
        f"{smaller_label} histograms": partial(mixed_series, size=smaller, histograms=1),
        "500 counters and 500 histograms, a name each": partial(own_names, size=1_000),
    }
    for name, shape in shapes.items():
        rows = {Row(f"page of {name}, {change}"): step for change, step in STEPS.items()}
        for library in (Ours, *rendering(peers, "page")):
            # The rows share the series of one library, and each library has the memory for itself.
            shared = cache(partial(series_read, library, "page", shape))
            added = [
                row.add(library.name, read_changed, shared, step) for row, step in rows.items()
            ]
            measure_in_turns(added, rounds=5)
            shared.cache_clear()
        yield from rows


def exporting(peers: Peers) -> Iterator[Row]:
    """Yield rows of requests with 10,000 series, a tenth of them histograms, all changed."""
    shape = partial(mixed_series, size=10_000, histograms=10)
    for name, method in FORMATS.items():
        row = Row(f"{name} of 10,000 series")
        for library in rendering([Ours, *peers], method):
            row.add(library.name, export, library, method, shape)
        yield row.measure(rounds=5)


def reading(peers: Peers, sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of pages by size, a tenth of the series being histograms."""
    for label, size in sizes.items():
        row = Row(f"Prometheus page of {label} series", scale=("Prometheus page of N series", size))
        for library in (Ours, *rendering(peers, "page")):
            row.add(library.name, read, library, size)
        yield row.measure(rounds=3)


def naming(sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of instruments without labels, whose names are formed for the first page."""
    label, size = list(sizes.items())[-1]
    for name, prepare in (
        (f"first page of {label} unlabelled counters", read_first),
        (f"page of {label} unlabelled counters", read_unlabelled),
        ("the same after a registration", read_after_registration),
    ):
        yield Row(name).add(Ours.name, prepare, size).measure(rounds=3)


def blocking(peers: Peers, sizes: dict[str, int]) -> Iterator[Row]:
    """Yield the longest time for which a page keeps other threads from running."""
    label, size = list(sizes.items())[-1]
    row = Row(f"longest hold-up of other threads by {label}")
    row.add_floor("A loop in Python", longest_wait, interpreted_loop, SHORT_INTERVAL)
    for library in (Ours, *rendering(peers, "page")):
        row.add(library.name, read_beside, library, size)
    yield row.measure(rounds=3)


def creating(peers: Peers, sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of making labelled counters, 1,000 in a family."""
    for label, size in sizes.items():
        row = Row(f"make {label} series", scale=("make N series", size))
        for library in (Ours, *rendering(peers, "page")):
            row.add(library.name, create, library, size)
        yield row.measure(rounds=3)


def ticking(_peers: Peers, sizes: dict[str, int]) -> Iterator[Row]:
    """Yield rows of one tick; no peer has rates."""
    for label, size in sizes.items():
        row = Row(f"tick of {label} meters", scale=("tick of N meters", size))
        yield row.add(Ours.name, tick, size).measure(rounds=7)
    label, size = list(sizes.items())[-1]
    row = Row(f"longest hold-up of other threads by a tick of {label}")
    row.add_floor("A loop in Python", longest_wait, interpreted_loop, SHORT_INTERVAL)
    yield row.add(Ours.name, tick_beside, size).measure(rounds=3)


def weighing(peers: Peers) -> Iterator[Row]:
    """Yield the bytes that one more labelled counter takes; its label values are not counted."""
    row = Row("memory of a labelled counter", unit="B")
    for library in (Ours, *rendering(peers, "page")):
        if library.traced:
            row.add(library.name, weigh, library)
    yield row.measure()
    if RESIDENT.exists():
        row = Row("resident memory of one in 100,000 of them", unit="B")
        for library in (Ours, *rendering(peers, "page")):
            row.add(library.name, weigh_resident, library)
        yield row.measure()


def rendering(libraries: Peers, method: str) -> list[Any]:
    """Return the libraries that have a format."""
    return [library for library in libraries if library.renders(method)]


def unlabelled_counters(size: int) -> Any:
    """Return a library with counters without labels."""
    library = Ours()
    for index in range(size):
        library.counter(f"requests{index}/x").inc()
    return library


def series_read(
    kind: Any, method: str, shape: Callable[[Any], Series]
) -> tuple[Callable[[], object], Series]:
    """Return a format of a library that has rendered its series once, and the series."""
    library = kind()
    series = shape(library)
    render = getattr(library, method)
    touch(series, 1)
    render()
    return render, series


def read_changed(shared: Callable[[], tuple[Callable[[], object], Series]], step: int) -> Sample:
    """Measure pages after every `step`-th series has changed since the last one."""
    page, series = shared()
    return call(page, partial(touch, series, step))


def export(kind: Any, method: str, shape: Callable[[Any], Series]) -> Sample:
    """Measure requests after every series has changed since the last ones."""
    render, series = series_read(kind, method, shape)
    return call(render, partial(touch, series, 1))


def read_first(size: int) -> Sample:
    """Measure the first page of a registry; each sample registers its own instruments before."""

    def sample() -> float:
        return call(unlabelled_counters(size).page)()

    return sample


def read_unlabelled(size: int) -> Sample:
    """Measure the second page of a registry, and later ones."""
    library = unlabelled_counters(size)
    library.page()
    return call(library.page)


def read_after_registration(size: int) -> Sample:
    """Measure the page after one more instrument was registered."""
    library = unlabelled_counters(size)
    library.page()
    names = (f"more{index}" for index in count())
    return call(library.page, lambda: library.counter(next(names)).inc())


def create(kind: Any, size: int) -> Sample:
    """Measure the creation of labelled counters."""
    return call(lambda: fill(kind(), size, 0))


def read(kind: Any, size: int) -> Sample:
    """Measure the second page of series, and later ones."""
    render, _ = series_read(kind, "page", partial(mixed_series, size=size, histograms=10))
    return call(render)


def read_beside(kind: Any, size: int) -> Sample:
    """Measure the time for which a page keeps another thread from running."""
    return longest_wait(fill(kind(), size, 10).page, SHORT_INTERVAL)


def tick(size: int) -> Sample:
    """Measure a tick of meters."""
    ticker = ticker_of(size)
    return with_ticker(ticker, call(ticker.tick))


def tick_beside(size: int) -> Sample:
    """Measure the time for which a tick keeps another thread from running."""
    ticker = ticker_of(size)
    return with_ticker(ticker, longest_wait(ticker.tick, SHORT_INTERVAL))


def ticker_of(size: int) -> Ticker:
    """Return a ticker of meters, whose own thread does not tick for an hour."""
    ticker = Ticker(interval=3600.0)
    for _ in range(size):
        ticker.add(Meter(interval=3600.0))
    return ticker


def with_ticker(ticker: Ticker, sample: Sample) -> Sample:
    """Measure while a ticker runs, as it does in a program."""

    def measure() -> float:
        with ticker:
            return sample()

    return measure


def weigh(kind: Any) -> Sample:
    """Measure the memory of a counter as Python's allocators see it, in bytes."""

    def sample() -> float:
        library = kind()
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

    return sample


def weigh_resident(kind: Any) -> Sample:
    """Measure the memory of a counter as the operating system sees it, in bytes.

    It contains memory that allocators reserve, and that of native code.
    """

    def sample() -> float:
        # In a fresh process, because another library may have left free memory in this one.
        with get_context("spawn").Pool(1) as pool:
            return pool.apply(resident_growth, (kind, 100_000))

    return sample


def resident_growth(kind: Any, size: int) -> float:
    """Return the bytes by which a counter lets this process grow."""
    fill(kind(), 10, 0)
    library = kind()
    series = mixed_series(library, size, 0)
    before = resident_bytes()
    touch(series, 1)
    gc.collect()
    return (resident_bytes() - before) / size


def resident_bytes() -> int:
    """Return the resident size of this process."""
    return int(RESIDENT.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def interpreted_loop() -> None:
    """Run code that yields the interpreter at every request."""
    for _ in range(3_000_000):
        pass
