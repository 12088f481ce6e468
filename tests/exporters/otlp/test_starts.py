"""A series starts where its total was 0."""

from collections.abc import Callable

import pytest

from metrics import BucketHistogram, Registry, Timer
from metrics.exporters import otlp
from metrics.exporters._series.deltas import Deltas
from metrics.exporters.otlp._starts import Starts
from metrics.testing import ManualClock
from tests.exporters.otlp.reading import labels, points_in
from tests.exporters.page_reading import Custom

SECOND = 10**9
BEGIN = 1_700_000_000


class Reports:
    """Reports of a registry to one destination, ten seconds apart on a clock of their own."""

    def __init__(self, registry: Registry, clock: ManualClock, **options: object) -> None:
        self._registry = registry
        self._clock = clock
        self._options = {"starts": Starts(), **options}

    def next(self) -> dict[str, int]:
        """Return the starts of all points but gauges, in seconds after the begin, by name."""
        self._clock.advance(10)
        page = otlp.render(self._registry, timestamp_ns=self._clock.time_ns(), **self._options)
        found = {}
        for name, point in points_in(page):
            assert point.time_unix_nano == self._clock.time_ns()
            if point.start_time_unix_nano:
                key = "/".join([name, *labels(point).values()])
                found[key] = point.start_time_unix_nano / SECOND - BEGIN
        return found


def start_at(registry: Registry, timestamp_ns: int, starts: Starts) -> float:
    """Return the start of the only total in a report, in seconds after the begin."""
    page = otlp.render(registry, timestamp_ns=timestamp_ns, starts=starts)
    (point,) = [point for _, point in points_in(page) if point.start_time_unix_nano]
    assert point.start_time_unix_nano <= point.time_unix_nano
    return point.start_time_unix_nano / SECOND - BEGIN


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(epoch=BEGIN)


@pytest.fixture
def registry(clock: ManualClock) -> Registry:
    return Registry(clock=clock)


def test_a_total_starts_when_its_instrument_is_created(registry: Registry, clock: ManualClock):
    reports = Reports(registry, clock)
    hits = registry.counters("hits", labels=("shop",))
    hits.labels("a").inc()
    assert reports.next() == {"hits/a": 0}
    hits.labels("b").inc()
    registry.timer("call").update(1)
    registry.meter("sent").mark()
    registry.updown_counter("open").inc()
    later = {"call": 10, "hits/a": 0, "hits/b": 10, "open": 10, "sent": 10}
    assert reports.next() == later
    assert reports.next() == later


CREATE: dict[str, Callable[[Registry], object]] = {
    "counter": lambda registry: registry.counter("a"),
    "float counter": lambda registry: registry.float_counter("a"),
    "histogram": lambda registry: registry.histogram("a"),
}


def update(instrument: object) -> None:
    change = instrument.update if hasattr(instrument, "update") else instrument.inc
    change(1)


@pytest.mark.parametrize("create", CREATE.values(), ids=CREATE)
@pytest.mark.parametrize("updates", [0, 1, 5])
@pytest.mark.parametrize("temporality", ["cumulative", "delta"])
@pytest.mark.parametrize("distributions", ["histogram", "summary"])
def test_a_total_that_is_cleared_starts_again(
    registry: Registry,
    clock: ManualClock,
    create: Callable[[Registry], object],
    updates: int,
    temporality: str,
    distributions: str,
):
    deltas = Deltas() if temporality == "delta" else None
    reports = Reports(registry, clock, deltas=deltas, distributions=distributions)
    instrument = create(registry)
    update(instrument)
    assert reports.next() == {"a": 0}
    clock.advance(5)
    instrument.clear()
    for _ in range(updates):
        update(instrument)
    assert reports.next() == {"a": 15}


@pytest.mark.parametrize("updates", [1, 5])
def test_an_instrument_that_is_registered_again_starts_again(
    registry: Registry, clock: ManualClock, updates: int
):
    reports = Reports(registry, clock)
    registry.counter("a").inc(3)
    assert reports.next() == {"a": 0}
    registry.unregister("a")
    clock.advance(2)
    registry.counter("a").inc(updates)
    assert reports.next() == {"a": 12}
    assert reports.next() == {"a": 12}


def test_a_total_that_falls_starts_with_the_report_before(registry: Registry, clock: ManualClock):
    reports = Reports(registry, clock)
    histogram = BucketHistogram((1, 2))
    registry.register("a", histogram)
    found = []
    for counts in ((3, 0, 0), (4, 0, 0), (1, 0, 0), (2, 0, 0), (5, 1, 1), (0, 0, 0)):
        histogram.set_counts(counts)
        found.append(reports.next()["a"])
    assert found == [0, 0, 20, 20, 20, 50]


def test_each_destination_has_starts_of_its_own(registry: Registry, clock: ManualClock):
    often, seldom = Reports(registry, clock), Reports(registry, clock)
    histogram = BucketHistogram((1, 2))
    registry.register("a", histogram)
    histogram.set_counts((3, 0, 0))
    often.next()
    seldom.next()
    histogram.set_counts((4, 0, 0))
    often.next()
    histogram.set_counts((2, 0, 0))
    assert often.next() == {"a": 30}
    assert seldom.next() == {"a": 20}


def test_without_starts_a_total_that_falls_has_the_start_of_its_creation(
    registry: Registry, clock: ManualClock
):
    reports = Reports(registry, clock, starts=None)
    histogram = BucketHistogram((1, 2))
    registry.register("a", histogram)
    for counts in ((3, 0, 0), (1, 0, 0)):
        histogram.set_counts(counts)
        assert reports.next() == {"a": 0}


def test_no_start_is_after_its_time(registry: Registry, clock: ManualClock):
    reports = Reports(registry, clock)
    registry.counter("a").inc()
    reports.next()
    clock.set_time(BEGIN - 3600)
    registry.counter("b").inc()
    assert reports.next() == {"a": -3590, "b": -3600}
    clock.set_time(BEGIN - 7200)
    assert reports.next() == {"a": -7190, "b": -7190}


@pytest.mark.parametrize("create", CREATE.values(), ids=CREATE)
def test_a_total_that_is_created_while_it_is_reported_starts_once(
    registry: Registry, clock: ManualClock, create: Callable[[Registry], object]
):
    starts = Starts()
    began = clock.time_ns()
    clock.advance(1)
    update(create(registry))
    # By the clock of the instrument it is created after the time of the report.
    assert start_at(registry, began, starts) == 0
    clock.advance(9)
    assert start_at(registry, clock.time_ns(), starts) == 0
    clock.set_time(BEGIN - 5)
    assert start_at(registry, clock.time_ns(), starts) == -5
    clock.set_time(BEGIN + 20)
    assert start_at(registry, clock.time_ns(), starts) == -5


def test_a_total_that_is_cleared_while_it_is_reported_falls_or_has_not_started_again(
    registry: Registry, clock: ManualClock
):
    starts = Starts()
    hits = registry.counter("hits")
    hits.inc(3)
    clock.advance(10)
    began = clock.time_ns()
    assert start_at(registry, began, starts) == 0
    clock.advance(10)
    hits.clear()
    hits.inc(3)
    # By the clock of the instrument it is cleared after the time of the report.
    assert start_at(registry, began, starts) == 0
    hits.clear()
    hits.inc()
    assert start_at(registry, began, starts) == 10
    # The total since then is reported, and starts once.
    hits.inc()
    clock.advance(10)
    assert start_at(registry, clock.time_ns(), starts) == 10
    hits.clear()
    assert start_at(registry, clock.time_ns(), starts) == 30


def test_memory_is_bounded_by_the_series_of_the_last_report(registry: Registry):
    starts = Starts()
    hits = registry.counters("hits", labels=("n",))
    for number in range(100):
        hits.labels(number).inc()
        otlp.render(registry, timestamp_ns=BEGIN * SECOND, starts=starts)
        hits.remove(number)
    assert len(starts._records.known) == 1
    assert not starts._records.present


def test_a_report_that_was_sent_in_part_counts(registry: Registry, clock: ManualClock):
    starts = Starts()
    histogram = BucketHistogram((1, 2))
    registry.register("a", histogram)
    registry.gauge("b").set(1)
    histogram.set_counts((3, 0, 0))
    first = otlp.stream(registry, timestamp_ns=clock.time_ns(), starts=starts, batch_size=1)
    next(first)
    first.close()
    clock.advance(10)
    histogram.set_counts((1, 0, 0))
    page = otlp.render(registry, timestamp_ns=clock.time_ns(), starts=starts)
    start = dict(points_in(page))["a"].start_time_unix_nano
    assert start == BEGIN * SECOND


@pytest.mark.parametrize("labelled", [True, False])
def test_an_instrument_that_does_not_know_its_creation_starts_when_it_is_registered(
    registry: Registry, clock: ManualClock, labelled: bool
):
    other = Registry()
    other.counters("a", labels=("x",)).labels("y").inc() if labelled else other.counter("a").inc()
    snapshot = other.get("a").snapshot()
    clock.advance(5)
    registry.register("a", Custom(snapshot))
    assert Reports(registry, clock).next() == {"a/y" if labelled else "a": 5}


def test_constant_labels_do_not_hide_the_creation_of_a_child(clock: ManualClock):
    registry = Registry(clock=clock, labels={"zone": "eu"})
    calls = registry.timers("call", labels=("shop",))
    clock.advance(5)
    calls.labels("a").update(1)
    assert Reports(registry, clock).next() == {"call/eu/a": 5}


def test_a_timer_starts_with_its_histogram(registry: Registry, clock: ManualClock):
    registry.register("call", Timer(clock=clock)).update(1)
    assert Reports(registry, clock).next() == {"call": 0}
