"""Get-or-create short cuts: `registry.counter("requests")` and its like."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypedDict, TypeVar, Unpack, overload

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
from metrics.instruments._snapshot import Instrument
from metrics.instruments._timer import Timer

I = TypeVar("I", bound=Instrument)  # noqa: E741 - the only type variable here


class AboutTimer(TypedDict, total=False):
    """What can be said of a timer."""

    description: str


class AboutTimers(AboutTimer, total=False):
    """What can be said of a family of timers."""

    max_children: int


class About(AboutTimer, total=False):
    """What can be said of an instrument."""

    unit: str


class AboutMany(About, total=False):
    """What can be said of a family of instruments."""

    max_children: int


class Shortcuts(ABC):
    """The part of a registry that makes instruments when they are first asked for.

    Every method returns the instrument with the name, and makes and registers it if there is none;
    all options but `name` and `labels` apply only then. With `labels` it returns a `Family` of
    such instruments, with at most `max_children` children. Each raises:

        MetricTypeError: the name is taken by another type, or has other labels.
        DuplicateMetricError: the name would be exported like one that is taken.
        TypeError, ValueError: the name, a label or an option is malformed.
    """

    @abstractmethod
    def _obtain(
        self,
        kind: type[I],
        name: str,
        make: Callable[[], I],
        labels: Sequence[str] | None,
        max_children: int,
        description: str,
        unit: str,
    ) -> Any:
        """Return the instrument of this kind, or the family of them."""

    @abstractmethod
    def _interval(self) -> float:
        """Return the seconds between two ticks."""

    @abstractmethod
    def _time_source(self) -> Clock:
        """Return the clock for new instruments."""

    @overload
    def counter(self, name: str, *, labels: None = None, **about: Unpack[About]) -> Counter: ...
    @overload
    def counter(
        self, name: str, *, labels: Sequence[str], **about: Unpack[AboutMany]
    ) -> Family[Counter]: ...
    def counter(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Count events."""
        return self._obtain(Counter, name, Counter, labels, max_children, description, unit)

    @overload
    def float_counter(
        self, name: str, *, labels: None = None, **about: Unpack[About]
    ) -> FloatCounter: ...
    @overload
    def float_counter(
        self, name: str, *, labels: Sequence[str], **about: Unpack[AboutMany]
    ) -> Family[FloatCounter]: ...
    def float_counter(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Add up amounts."""
        return self._obtain(
            FloatCounter, name, FloatCounter, labels, max_children, description, unit
        )

    @overload
    def updown_counter(
        self, name: str, *, labels: None = None, **about: Unpack[About]
    ) -> UpDownCounter: ...
    @overload
    def updown_counter(
        self, name: str, *, labels: Sequence[str], **about: Unpack[AboutMany]
    ) -> Family[UpDownCounter]: ...
    def updown_counter(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Count what comes and goes."""
        return self._obtain(
            UpDownCounter, name, UpDownCounter, labels, max_children, description, unit
        )

    @overload
    def gauge(
        self,
        name: str,
        *,
        function: Callable[[], float] | None = None,
        labels: None = None,
        **about: Unpack[About],
    ) -> Gauge: ...
    @overload
    def gauge(
        self, name: str, *, labels: Sequence[str], **about: Unpack[AboutMany]
    ) -> Family[Gauge]: ...
    def gauge(
        self,
        name: str,
        *,
        function: Callable[[], float] | None = None,
        description: str = "",
        unit: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Hold a float, or read it from `function` when asked."""
        return self._obtain(
            Gauge, name, lambda: Gauge(function), labels, max_children, description, unit
        )

    @overload
    def int_gauge(
        self,
        name: str,
        *,
        function: Callable[[], int] | None = None,
        labels: None = None,
        **about: Unpack[About],
    ) -> IntGauge: ...
    @overload
    def int_gauge(
        self, name: str, *, labels: Sequence[str], **about: Unpack[AboutMany]
    ) -> Family[IntGauge]: ...
    def int_gauge(
        self,
        name: str,
        *,
        function: Callable[[], int] | None = None,
        description: str = "",
        unit: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Hold an exact int, or read it from `function` when asked."""
        return self._obtain(
            IntGauge, name, lambda: IntGauge(function), labels, max_children, description, unit
        )

    def info(self, name: str, *, description: str = "") -> Info:
        """Hold facts that are text."""
        found: Info = self._obtain(Info, name, Info, None, MAX_CHILDREN, description, "")
        return found

    @overload
    def meter(self, name: str, *, labels: None = None, **about: Unpack[About]) -> Meter: ...
    @overload
    def meter(
        self, name: str, *, labels: Sequence[str], **about: Unpack[AboutMany]
    ) -> Family[Meter]: ...
    def meter(
        self,
        name: str,
        *,
        description: str = "",
        unit: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Count events and average their rate."""
        return self._obtain(
            Meter,
            name,
            lambda: Meter(self._interval(), self._time_source()),
            labels,
            max_children,
            description,
            unit,
        )

    @overload
    def histogram(
        self,
        name: str,
        *,
        reservoir: Reservoir | None = None,
        labels: None = None,
        **about: Unpack[About],
    ) -> Histogram: ...
    @overload
    def histogram(
        self, name: str, *, labels: Sequence[str], **about: Unpack[AboutMany]
    ) -> Family[BucketHistogram]: ...
    def histogram(
        self,
        name: str,
        *,
        reservoir: Reservoir | None = None,
        description: str = "",
        unit: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Sample a distribution in a reservoir; with labels, count it in default buckets."""
        if labels is not None:
            return self._obtain(
                BucketHistogram, name, BucketHistogram, labels, max_children, description, unit
            )
        return self._obtain(
            Histogram,
            name,
            lambda: Histogram(reservoir or ExpDecayReservoir(clock=self._time_source())),
            None,
            max_children,
            description,
            unit,
        )

    @overload
    def bucket_histogram(
        self,
        name: str,
        *,
        bounds: Iterable[float] = DEFAULT_BOUNDS,
        labels: None = None,
        **about: Unpack[About],
    ) -> BucketHistogram: ...
    @overload
    def bucket_histogram(
        self,
        name: str,
        *,
        bounds: Iterable[float] = DEFAULT_BOUNDS,
        labels: Sequence[str],
        **about: Unpack[AboutMany],
    ) -> Family[BucketHistogram]: ...
    def bucket_histogram(
        self,
        name: str,
        *,
        bounds: Iterable[float] = DEFAULT_BOUNDS,
        description: str = "",
        unit: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Count a distribution in buckets."""
        edges = tuple(bounds)
        return self._obtain(
            BucketHistogram,
            name,
            lambda: BucketHistogram(edges),
            labels,
            max_children,
            description,
            unit,
        )

    @overload
    def timer(
        self,
        name: str,
        *,
        histogram: Histogram | BucketHistogram | None = None,
        labels: None = None,
        **about: Unpack[AboutTimer],
    ) -> Timer: ...
    @overload
    def timer(
        self, name: str, *, labels: Sequence[str], **about: Unpack[AboutTimers]
    ) -> Family[Timer]: ...
    def timer(
        self,
        name: str,
        *,
        histogram: Histogram | BucketHistogram | None = None,
        description: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Measure durations and the rate of events; with labels, in default buckets."""

        def make() -> Timer:
            clock = self._time_source()
            durations = histogram
            if durations is None:
                durations = (
                    Histogram(ExpDecayReservoir(clock=clock))
                    if labels is None
                    else BucketHistogram()
                )
            return Timer(durations, self._interval(), clock)

        return self._obtain(Timer, name, make, labels, max_children, description, "seconds")

    @overload
    def resetting_timer(
        self, name: str, *, labels: None = None, **about: Unpack[AboutTimer]
    ) -> ResettingTimer: ...
    @overload
    def resetting_timer(
        self, name: str, *, labels: Sequence[str], **about: Unpack[AboutTimers]
    ) -> Family[ResettingTimer]: ...
    def resetting_timer(
        self,
        name: str,
        *,
        description: str = "",
        labels: Sequence[str] | None = None,
        max_children: int = MAX_CHILDREN,
    ) -> Any:
        """Measure durations, all of them, afresh for every reader after each of its reads."""

        def make() -> ResettingTimer:
            return ResettingTimer(clock=self._time_source())

        return self._obtain(
            ResettingTimer, name, make, labels, max_children, description, "seconds"
        )

    def healthcheck(
        self, name: str, function: Callable[[], object], *, description: str = ""
    ) -> Healthcheck:
        """Check that something is well with `function`, which raises or returns False if not."""
        found: Healthcheck = self._obtain(
            Healthcheck, name, lambda: Healthcheck(function), None, MAX_CHILDREN, description, ""
        )
        return found
