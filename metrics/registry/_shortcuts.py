"""Kinds of instruments: a row of `TABLE` and two methods of `Shortcuts` for each.

The row has all facts about a kind for the rest of the library: registry, hooks, no-ops, formats and
the test kit read it there. A new kind is a module of `metrics.instruments` with its names in the
package's face, a row and two shortcuts here, and two hooks in `metrics.resources`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar, Unpack

from metrics.instruments import (
    BucketHistogram,
    BucketHistogramSnapshot,
    Counter,
    CounterSnapshot,
    ExpDecayReservoir,
    Family,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    GaugeSnapshot,
    Healthcheck,
    HealthcheckSnapshot,
    Histogram,
    HistogramSnapshot,
    Info,
    InfoSnapshot,
    Instrument,
    IntGauge,
    Meter,
    MeterSnapshot,
    ResettingTimer,
    StateSet,
    StateSetSnapshot,
    Timer,
    TimerSnapshot,
    UpDownCounter,
    UpDownCounterSnapshot,
)
from metrics.instruments._inner import (
    TIMEOUT,
    Real,
    Reservoir,
    TickSource,
    Whole,
    checked_labelnames,
    checked_states,
    default_bounds,
)
from metrics.registry._kinds import (
    COUNT,
    DISTRIBUTION,
    EVENT_RATES,
    HEALTH,
    INFO,
    RATES,
    VALUE,
    Defaults,
    Exported,
    FamilyOptions,
    Kind,
    TimerFamilyOptions,
    timer_factory,
    with_bounds,
    with_size,
)
from metrics.registry._names import measure_name

I = TypeVar("I", bound=Instrument)  # noqa: E741 - the only type variable here

UP_DOWN = ("inc", "dec", "clear")
SET = ("set", "set_max", "inc", "dec")
UPDATE = ("update", "tick", "clear")
DURATION = ("update", "update_ns", "update_since")

TABLE = (
    Kind(Counter, CounterSnapshot, "counter", (COUNT,), ("inc", "clear")),
    Kind(FloatCounter, CounterSnapshot, "counter", (COUNT,), ("inc", "clear")),
    Kind(UpDownCounter, UpDownCounterSnapshot, "counter", (VALUE,), UP_DOWN),
    Kind(FloatUpDownCounter, UpDownCounterSnapshot, "counter", (VALUE,), UP_DOWN),
    Kind(Gauge, GaugeSnapshot, "gauge", (VALUE,), (*SET, "set_to_current_time")),
    Kind(IntGauge, GaugeSnapshot, "gauge", (VALUE,), SET),
    Kind(Info, InfoSnapshot, "gauge", (INFO,), ("set",)),
    Kind(
        StateSet, StateSetSnapshot, "gauge",
        (Exported(measure_name, "stateset", "points"),), ("set",),
        lambda _: StateSet(()),  # which is an error: every set has states of its own
    ),
    Kind(
        Healthcheck, HealthcheckSnapshot, "healthcheck", (HEALTH,), ("healthy", "unhealthy"),
        lambda defaults: Healthcheck(clock=defaults.clock),
    ),
    Kind(
        Meter, MeterSnapshot, "meter", (COUNT, RATES), ("mark", "tick"),
        lambda defaults: Meter(defaults.interval, defaults.clock),
    ),
    Kind(
        Histogram, HistogramSnapshot, "histogram", (DISTRIBUTION,), UPDATE,
        lambda defaults: Histogram(ExpDecayReservoir(clock=defaults.clock)),
    ),
    Kind(
        BucketHistogram, BucketHistogramSnapshot, "histogram", (DISTRIBUTION,),
        ("update", "set_counts"),
        lambda defaults: BucketHistogram(default_bounds(defaults.unit)),
    ),
    Kind(
        Timer, TimerSnapshot, "timer", (DISTRIBUTION, EVENT_RATES), (*DURATION, "tick"),
        lambda defaults: Timer(None, defaults.interval, defaults.clock),
        unit="seconds",
    ),
    Kind(
        ResettingTimer, HistogramSnapshot, "timer", (DISTRIBUTION,), DURATION,
        lambda defaults: ResettingTimer(clock=defaults.clock),
        unit="seconds", resets=True,
    ),
)  # fmt: skip
"""All kinds of instruments."""

KINDS: dict[type, Kind] = {kind.instrument: kind for kind in TABLE}
"""Kinds by the class of the instrument."""

# A snapshot class that two kinds share is that of the first.
SNAPSHOT_KINDS: dict[type, Kind] = {kind.snapshot: kind for kind in reversed(TABLE)}
"""Kinds by the class of the snapshot, for instruments of a program's own."""


class Shortcuts(ABC):
    """Methods that create instruments: singular creates one, plural a family by label values.

    A registry returns the instrument that has the name already, and creates and registers it
    otherwise; all options but `name` and `labels` apply only then. Every method raises:

        MetricTypeError: the name belongs to another type, or to other labels.
        TypeError, ValueError: the name, a label or an option is malformed.

    `unit` is the unit of the values in the plural: `seconds`, `bytes`, `percent`. `ticker` ticks
    the instrument in place of the registry's ticker. Options of families are in `FamilyOptions`.
    """

    @abstractmethod
    def register(
        self,
        name: str,
        instrument: I,
        *,
        description: str = "",
        unit: str = "",
        ticker: TickSource | None = None,
    ) -> I:
        """Register an instrument of your own; return the object to update."""

    @abstractmethod
    def _obtain(
        self,
        name: str,
        kind: type[Instrument],
        labels: tuple[str, ...] | None,
        new: Callable[[Defaults], Instrument],
        description: str,
        unit: str,
        ticker: TickSource | None,
    ) -> Any:
        """Return an instrument of this kind, or a family of them when there are `labels`."""

    def _one(
        self,
        kind: type[I],
        name: str,
        description: str,
        unit: str = "",
        new: Callable[[Defaults], I] | None = None,
        ticker: TickSource | None = None,
    ) -> I:
        found: I = self._obtain(
            name, kind, None, KINDS[kind].new if new is None else new, description, unit, ticker
        )
        return found

    def _many(
        self,
        kind: type[I],
        name: str,
        labels: Iterable[str],
        options: FamilyOptions | TimerFamilyOptions,
        new: Callable[[Defaults], I] | None = None,
        *,
        trial: bool = True,
    ) -> Family[I]:
        names = checked_labelnames(labels)
        about: dict[str, Any] = {**options}
        refuse_unknown_options(about)
        description, unit = about.pop("description", ""), about.pop("unit", "")
        ticker = about.pop("ticker", None)

        def family(defaults: Defaults) -> Family[I]:
            factory: Callable[[], Any] = (
                KINDS[kind].factory(defaults) if new is None else partial(new, defaults)
            )
            if trial:
                # A wrong option is an error now, and not at the first child.
                factory()
            return Family(kind, names, factory, clock=defaults.clock, **about)

        found: Family[I] = self._obtain(name, kind, names, family, description, unit, ticker)
        return found

    def counter(self, name: str, *, description: str = "", unit: str = "") -> Counter:
        """Count events."""
        return self._one(Counter, name, description, unit)

    def counters(
        self, name: str, labels: Iterable[str], **options: Unpack[FamilyOptions]
    ) -> Family[Counter]:
        """Count events by label values."""
        return self._many(Counter, name, labels, options)

    def float_counter(self, name: str, *, description: str = "", unit: str = "") -> FloatCounter:
        """Add up amounts."""
        return self._one(FloatCounter, name, description, unit)

    def float_counters(
        self, name: str, labels: Iterable[str], **options: Unpack[FamilyOptions]
    ) -> Family[FloatCounter]:
        """Add up amounts by label values."""
        return self._many(FloatCounter, name, labels, options)

    def updown_counter(self, name: str, *, description: str = "", unit: str = "") -> UpDownCounter:
        """Count arrivals and departures."""
        return self._one(UpDownCounter, name, description, unit)

    def updown_counters(
        self, name: str, labels: Iterable[str], **options: Unpack[FamilyOptions]
    ) -> Family[UpDownCounter]:
        """Count arrivals and departures by label values."""
        return self._many(UpDownCounter, name, labels, options)

    def float_updown_counter(
        self, name: str, *, description: str = "", unit: str = ""
    ) -> FloatUpDownCounter:
        """Add up amounts that come and go."""
        return self._one(FloatUpDownCounter, name, description, unit)

    def float_updown_counters(
        self, name: str, labels: Iterable[str], **options: Unpack[FamilyOptions]
    ) -> Family[FloatUpDownCounter]:
        """Add up amounts that come and go, by label values."""
        return self._many(FloatUpDownCounter, name, labels, options)

    def gauge(
        self,
        name: str,
        function: Callable[[], float] | None = None,
        *,
        description: str = "",
        unit: str = "",
    ) -> Gauge:
        """Hold a float, or read it from `function` at every collection."""
        return self._one(Gauge, name, description, unit, lambda _: Gauge(function))

    def gauges(
        self, name: str, labels: Iterable[str], **options: Unpack[FamilyOptions]
    ) -> Family[Gauge]:
        """Hold a float for each combination of label values."""
        return self._many(Gauge, name, labels, options)

    def int_gauge(
        self,
        name: str,
        function: Callable[[], int] | None = None,
        *,
        description: str = "",
        unit: str = "",
    ) -> IntGauge:
        """Hold an exact int, or read it from `function` at every collection."""
        return self._one(IntGauge, name, description, unit, lambda _: IntGauge(function))

    def int_gauges(
        self, name: str, labels: Iterable[str], **options: Unpack[FamilyOptions]
    ) -> Family[IntGauge]:
        """Hold an exact int for each combination of label values."""
        return self._many(IntGauge, name, labels, options)

    def info(self, name: str, *, description: str = "") -> Info:
        """Hold info labels: facts that are text."""
        return self._one(Info, name, description)

    def infos(
        self, name: str, labels: Iterable[str], **options: Unpack[FamilyOptions]
    ) -> Family[Info]:
        """Hold info labels for each combination of label values."""
        return self._many(Info, name, labels, options)

    def state_set(self, name: str, states: Iterable[str], *, description: str = "") -> StateSet:
        """Hold named states, each of which is on or off."""
        declared = checked_states(states)
        return self._one(StateSet, name, description, "", lambda _: StateSet(declared))

    def state_sets(
        self,
        name: str,
        labels: Iterable[str],
        states: Iterable[str],
        **options: Unpack[FamilyOptions],
    ) -> Family[StateSet]:
        """Hold named states for each combination of label values."""
        declared = checked_states(states)
        return self._many(StateSet, name, labels, options, lambda _: StateSet(declared))

    def meter(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        ticker: TickSource | None = None,
    ) -> Meter:
        """Count events and average their rate."""
        return self._one(Meter, name, description, unit, ticker=ticker)

    def meters(
        self, name: str, labels: Iterable[str], **options: Unpack[FamilyOptions]
    ) -> Family[Meter]:
        """Count events and average their rate, by label values."""
        return self._many(Meter, name, labels, options)

    def histogram(
        self,
        name: str,
        reservoir: Reservoir | None = None,
        *,
        description: str = "",
        unit: str = "",
        ticker: TickSource | None = None,
    ) -> Histogram:
        """Sample a distribution in a reservoir, by default one of the last five minutes."""
        new = None if reservoir is None else lambda _: Histogram(reservoir)
        return self._one(Histogram, name, description, unit, new, ticker)

    def histograms(
        self,
        name: str,
        labels: Iterable[str],
        reservoir: Callable[[], Reservoir] | None = None,
        **options: Unpack[FamilyOptions],
    ) -> Family[Histogram]:
        """Sample a distribution for each combination of label values.

        `reservoir` creates the reservoir of a child. The default takes 19 KB when it is full;
        `bucket_histograms` needs less, and can be summed over workers.
        """
        new = None if reservoir is None else lambda _: Histogram(reservoir())
        return self._many(Histogram, name, labels, options, new, trial=reservoir is None)

    def bucket_histogram(
        self,
        name: str,
        bounds: Iterable[Real] | None = None,
        *,
        description: str = "",
        unit: str = "",
    ) -> BucketHistogram:
        """Count a distribution in buckets; `bounds` has defaults for `seconds` and `bytes`."""
        return self._one(BucketHistogram, name, description, unit, with_bounds(bounds))

    def bucket_histograms(
        self,
        name: str,
        labels: Iterable[str],
        bounds: Iterable[Real] | None = None,
        **options: Unpack[FamilyOptions],
    ) -> Family[BucketHistogram]:
        """Count a distribution in buckets by label values; `bounds` as in `bucket_histogram`."""
        return self._many(BucketHistogram, name, labels, options, with_bounds(bounds))

    def timer(
        self,
        name: str,
        histogram: Histogram | BucketHistogram | None = None,
        *,
        bounds: Iterable[Real] | None = None,
        sampled: bool = False,
        description: str = "",
        ticker: TickSource | None = None,
    ) -> Timer:
        """Measure durations and the rate of events.

        Durations are counted in buckets, which can be summed over workers, with these `bounds`
        in seconds. With `sampled=True` they are sampled in a reservoir and exported as a summary.
        `histogram` is a histogram of your own, used by this timer alone.

        Raises:
            ValueError: more than one of `histogram`, `bounds` and `sampled` is used.
        """
        new = timer_factory(None if histogram is None else lambda: histogram, bounds, sampled)
        return self._one(Timer, name, description, "", new, ticker)

    def timers(
        self,
        name: str,
        labels: Iterable[str],
        histogram: Callable[[], Histogram | BucketHistogram] | None = None,
        *,
        bounds: Iterable[Real] | None = None,
        sampled: bool = False,
        **options: Unpack[TimerFamilyOptions],
    ) -> Family[Timer]:
        """Measure durations and the rate of events by label values, with options as in `timer`.

        `histogram` creates the histogram of a child.
        """
        new = timer_factory(histogram, bounds, sampled)
        return self._many(Timer, name, labels, options, new, trial=histogram is None)

    def resetting_timer(
        self, name: str, *, size: Whole | None = None, description: str = ""
    ) -> ResettingTimer:
        """Measure durations, and give each reader all since its last snapshot."""
        return self._one(ResettingTimer, name, description, "", with_size(size))

    def resetting_timers(
        self,
        name: str,
        labels: Iterable[str],
        *,
        size: Whole | None = None,
        **options: Unpack[TimerFamilyOptions],
    ) -> Family[ResettingTimer]:
        """Measure durations by label values, and give each reader all since its last snapshot."""
        return self._many(ResettingTimer, name, labels, options, with_size(size))

    def healthcheck(
        self,
        name: str,
        function: Callable[[], object] | None = None,
        *,
        timeout: Real = TIMEOUT,
        description: str = "",
    ) -> Healthcheck:
        """Check health with `function`, which raises or returns False when unhealthy.

        Readers wait at most `timeout` seconds for it. Without a function, the program sets the
        state with `healthy()` and `unhealthy()`.
        """

        def new(defaults: Defaults) -> Healthcheck:
            return Healthcheck(function, timeout=timeout, clock=defaults.clock)

        return self._one(Healthcheck, name, description, "", new)

    def healthchecks(
        self, name: str, labels: Iterable[str], **options: Unpack[FamilyOptions]
    ) -> Family[Healthcheck]:
        """Hold a state for each combination of label values, which the program sets."""
        return self._many(Healthcheck, name, labels, options)

    def family(
        self,
        name: str,
        kind: type[I],
        labels: Iterable[str],
        factory: Callable[[], I] | None = None,
        **options: Unpack[FamilyOptions],
    ) -> Family[I]:
        """Create instruments of any kind by label values.

        Args:
            name: the name of the family.
            kind: the class of the children.
            labels: the names of the labels.
            factory: creates a child; by default the registry's defaults of the kind, or `kind`
                itself for a class of your own.
            options: see `FamilyOptions`.
        """
        new: Callable[[Defaults], I] | None = None
        if factory is not None:
            new = lambda _: factory()  # noqa: E731 - beside its alternative
        elif kind not in KINDS:
            new = lambda _: kind()  # noqa: E731 - as above
        trial = factory is None and kind in KINDS
        return self._many(kind, name, labels, options, new, trial=trial)


def refuse_unknown_options(options: dict[str, Any]) -> None:
    """Raise TypeError for an option that families do not have."""
    known = FamilyOptions.__annotations__.keys()
    for name in options.keys() - known:
        raise TypeError(f"unknown option {name!r} of a family; use {', '.join(sorted(known))}")
