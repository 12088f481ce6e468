"""Hooks of instruments, one for each kind: it registers an instrument, and unregisters that one.

Instruments that measure time use the clock of the registry, unless the hook is given another one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar, cast

from metrics._fork import survives_fork
from metrics.clock import Clock
from metrics.instruments._buckets import DEFAULT_BOUNDS, BucketHistogram
from metrics.instruments._counter import Counter, FloatCounter, UpDownCounter
from metrics.instruments._expdecay import ExpDecayReservoir
from metrics.instruments._family import MAX_CHILDREN, Family
from metrics.instruments._gauge import Gauge, IntGauge
from metrics.instruments._healthcheck import Healthcheck
from metrics.instruments._histogram import Histogram
from metrics.instruments._info import Info
from metrics.instruments._meter import Meter
from metrics.instruments._reservoir import Reservoir
from metrics.instruments._resetting_timer import ResettingTimer
from metrics.instruments._snapshot import Instrument, Tickable, TickSource
from metrics.instruments._timer import Timer
from metrics.registry import Registry

I = TypeVar("I", bound=Instrument)  # noqa: E741 - an instrument


@survives_fork
@contextmanager
def counter(
    registry: Registry, name: str, *, description: str = "", unit: str = ""
) -> Iterator[Counter]:
    """Register a `Counter`."""
    with registered(registry, None, name, Counter(), description, unit) as instrument:
        yield instrument


@survives_fork
@contextmanager
def float_counter(
    registry: Registry, name: str, *, description: str = "", unit: str = ""
) -> Iterator[FloatCounter]:
    """Register a `FloatCounter`."""
    with registered(registry, None, name, FloatCounter(), description, unit) as instrument:
        yield instrument


@survives_fork
@contextmanager
def updown_counter(
    registry: Registry, name: str, *, description: str = "", unit: str = ""
) -> Iterator[UpDownCounter]:
    """Register an `UpDownCounter`."""
    with registered(registry, None, name, UpDownCounter(), description, unit) as instrument:
        yield instrument


@survives_fork
@contextmanager
def gauge(
    registry: Registry,
    name: str,
    function: Callable[[], float] | None = None,
    *,
    description: str = "",
    unit: str = "",
) -> Iterator[Gauge]:
    """Register a `Gauge`, read from `function` if one is given."""
    with registered(registry, None, name, Gauge(function), description, unit) as instrument:
        yield instrument


@survives_fork
@contextmanager
def int_gauge(
    registry: Registry,
    name: str,
    function: Callable[[], int] | None = None,
    *,
    description: str = "",
    unit: str = "",
) -> Iterator[IntGauge]:
    """Register an `IntGauge`, read from `function` if one is given."""
    with registered(registry, None, name, IntGauge(function), description, unit) as instrument:
        yield instrument


@survives_fork
@contextmanager
def info(registry: Registry, name: str, *, description: str = "") -> Iterator[Info]:
    """Register an `Info`."""
    with registered(registry, None, name, Info(), description, "") as instrument:
        yield instrument


@survives_fork
@contextmanager
def meter(
    registry: Registry,
    ticker: TickSource,
    name: str,
    *,
    clock: Clock | None = None,
    description: str = "",
    unit: str = "",
) -> Iterator[Meter]:
    """Register a `Meter` and let the ticker tick it."""
    made = Meter(ticker.interval, clock or registry.clock)
    with registered(registry, ticker, name, made, description, unit) as instrument:
        yield instrument


@survives_fork
@contextmanager
def histogram(
    registry: Registry,
    ticker: TickSource,
    name: str,
    reservoir: Reservoir | None = None,
    *,
    clock: Clock | None = None,
    description: str = "",
    unit: str = "",
) -> Iterator[Histogram]:
    """Register a `Histogram` and let the ticker age its sample."""
    decaying = ExpDecayReservoir(clock=clock or registry.clock)
    made = Histogram(decaying if reservoir is None else reservoir)
    with registered(registry, ticker, name, made, description, unit) as instrument:
        yield instrument


@survives_fork
@contextmanager
def bucket_histogram(
    registry: Registry,
    name: str,
    bounds: Iterable[float] = DEFAULT_BOUNDS,
    *,
    description: str = "",
    unit: str = "",
) -> Iterator[BucketHistogram]:
    """Register a `BucketHistogram`."""
    made = BucketHistogram(bounds)
    with registered(registry, None, name, made, description, unit) as instrument:
        yield instrument


@survives_fork
@contextmanager
def timer(
    registry: Registry,
    ticker: TickSource,
    name: str,
    histogram: Histogram | BucketHistogram | None = None,
    *,
    clock: Clock | None = None,
    description: str = "",
) -> Iterator[Timer]:
    """Register a `Timer` and let the ticker tick it."""
    clock = clock or registry.clock
    durations = Histogram(ExpDecayReservoir(clock=clock)) if histogram is None else histogram
    made = Timer(durations, ticker.interval, clock)
    with registered(registry, ticker, name, made, description, "seconds") as instrument:
        yield instrument


@survives_fork
@contextmanager
def resetting_timer(
    registry: Registry, name: str, *, clock: Clock | None = None, description: str = ""
) -> Iterator[ResettingTimer]:
    """Register a `ResettingTimer`."""
    made = ResettingTimer(clock=clock or registry.clock)
    with registered(registry, None, name, made, description, "seconds") as instrument:
        yield instrument


@survives_fork
@contextmanager
def healthcheck(
    registry: Registry, name: str, function: Callable[[], object], *, description: str = ""
) -> Iterator[Healthcheck]:
    """Register a `Healthcheck`."""
    with registered(registry, None, name, Healthcheck(function), description, "") as instrument:
        yield instrument


@survives_fork
@contextmanager
def family(
    registry: Registry,
    ticker: TickSource,
    name: str,
    kind: type[I],
    labels: Sequence[str],
    factory: Callable[[], I] | None = None,
    *,
    max_children: int = MAX_CHILDREN,
    description: str = "",
    unit: str = "",
) -> Iterator[Family[I]]:
    """Register a `Family` of instruments of one kind, and let the ticker tick its children.

    Args:
        registry: the registry of the family.
        ticker: ticks the children, if their kind needs it.
        name: the name of the family.
        kind: the children's type, `Counter` for example.
        labels: the names of the labels.
        factory: creates a child. By default, children are as in a family of the registry: they use
            its clock and the ticker's interval, and timers count their durations in buckets.
        max_children: the largest number of children.
        description: one line about the measured value.
        unit: the unit of the measured value.
    """
    factory = child_of(kind, ticker, registry.clock) if factory is None else factory
    made = Family(kind, labels, factory, max_children)
    worker = ticker if hasattr(kind, "tick") else None
    with registered(registry, worker, name, made, description, unit) as instrument:
        yield instrument


def child_of(kind: type[I], ticker: TickSource, clock: Clock) -> Callable[[], I]:
    """Return the factory of a family's children, with the interval and clock that they need."""
    makers: dict[type, Callable[[], Instrument]] = {
        Meter: lambda: Meter(ticker.interval, clock),
        Histogram: lambda: Histogram(ExpDecayReservoir(clock=clock)),
        Timer: lambda: Timer(BucketHistogram(), ticker.interval, clock),
        ResettingTimer: lambda: ResettingTimer(clock=clock),
    }
    return cast("Callable[[], I]", makers.get(kind, kind))


@survives_fork
@contextmanager
def registered(
    registry: Registry,
    ticker: TickSource | None,
    name: str,
    instrument: I,
    description: str,
    unit: str,
) -> Iterator[I]:
    """Register an instrument of your own, and let a ticker, if any, tick it.

    Only this instrument is unregistered at the stop, even if another one has its name by then.
    """
    used = registry.register(name, instrument, description=description, unit=unit)
    tickable = cast("Tickable", used)
    try:
        if ticker is not None and registry.enabled:
            ticker.add(tickable)
        yield used
    finally:
        if ticker is not None:
            ticker.discard(tickable)
        registry.unregister(name, used)
