"""Properties of a kind of instrument, and options and defaults for creating one.

The kinds themselves are the rows of `metrics.registry._shortcuts.TABLE`.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple, TypedDict

from metrics.clock import Clock
from metrics.instruments import (
    BucketHistogram,
    ExpDecayReservoir,
    Histogram,
    Instrument,
    ResettingTimer,
    Snapshot,
    Timer,
)
from metrics.instruments._inner import Real, TickSource, Whole
from metrics.registry._names import (
    counter_name,
    event_rate_name,
    health_name,
    info_name,
    measure_name,
    rate_name,
)


class Defaults(NamedTuple):
    """Properties of a registry that the defaults of a new instrument depend on."""

    interval: float
    clock: Clock
    unit: str


class Exported(NamedTuple):
    """A metric family that the instruments of a kind are exported as.

    name: returns its name from the stem and the base unit of the instrument.
    type: its type in OpenMetrics; a histogram is a summary when its snapshot has no buckets.
    view: the view of the snapshot that its values come from.
    """

    name: Callable[[str, str], str]
    type: str
    view: str


class Kind(NamedTuple):
    """Kind of instrument.

    instrument: its class.
    snapshot: the class of its snapshots.
    geth: go-ethereum's word for it.
    families: the metric families that it is exported as.
    updates: its methods that a no-op ignores.
    constructor: creates one with the registry's defaults; None for a class that takes none of them.
    unit: the unit of every instrument of this kind; empty when it differs.
    resets: whether a snapshot has the values since the reader's last snapshot only.
    """

    instrument: type[Instrument]
    snapshot: type[Snapshot]
    geth: str
    families: tuple[Exported, ...]
    updates: tuple[str, ...]
    constructor: Callable[[Defaults], Instrument] | None = None
    unit: str = ""
    resets: bool = False

    def new(self, defaults: Defaults) -> Instrument:
        """Create an instrument with the registry's defaults."""
        return self.factory(defaults)()

    def factory(self, defaults: Defaults) -> Callable[[], Instrument]:
        """Return the factory for a family; the class itself if possible, which is faster."""
        return self.instrument if self.constructor is None else partial(self.constructor, defaults)

    @property
    def measures_time(self) -> bool:
        """Whether the values are durations in seconds."""
        return self.geth == "timer"

    @property
    def is_info(self) -> bool:
        """Whether the value is a set of info labels."""
        return self.families[0].type == "info"

    @property
    def counts(self) -> bool:
        """Whether the instrument counts updates, and reading it calls no code of the program."""
        return self.geth in {"counter", "meter", "histogram", "timer"}


COUNT = Exported(counter_name, "counter", "scalar")
VALUE = Exported(measure_name, "gauge", "scalar")
DISTRIBUTION = Exported(measure_name, "histogram", "distribution")
RATES = Exported(rate_name, "gauge", "rates")
EVENT_RATES = Exported(event_rate_name, "gauge", "rates")
HEALTH = Exported(health_name, "gauge", "scalar")
INFO = Exported(info_name, "info", "points")


class TimerFamilyOptions(TypedDict, total=False):
    """Options of a family of timers.

    description: one line that says what is measured.
    ticker: ticks the family instead of the registry's ticker.
    max_children: the largest number of children, the overflow child not counted.
    expire_after: seconds after which an idle child is dropped; None keeps all children.
    max_label_length: the largest length of a label value, in characters; None for no limit.
    """

    description: str
    ticker: TickSource | None
    max_children: Whole
    expire_after: Real | None
    max_label_length: Whole | None


class FamilyOptions(TimerFamilyOptions, total=False):
    """Options of a family of instruments.

    unit: the unit of the values, plural: `seconds`, `bytes`, `percent`.
    """

    unit: str


def with_bounds(bounds: Iterable[Real] | None) -> Callable[[Defaults], BucketHistogram] | None:
    """Return a factory of histograms with these bounds; None for default bounds."""
    if bounds is None:
        return None
    edges = tuple(bounds)
    return lambda _: BucketHistogram(edges)


def with_size(size: Whole | None) -> Callable[[Defaults], ResettingTimer] | None:
    """Return a factory of resetting timers that keep so many durations; None for the default."""
    if size is None:
        return None
    return lambda defaults: ResettingTimer(size, defaults.clock)


def timer_factory(
    histogram: Callable[[], Histogram | BucketHistogram] | None,
    bounds: Iterable[Real] | None,
    sampled: bool,
) -> Callable[[Defaults], Timer] | None:
    """Return a factory of timers with one of these options; None for the default."""
    if (histogram is not None) + (bounds is not None) + sampled > 1:
        raise ValueError("a timer takes only one of `histogram`, `bounds` and `sampled`")
    buckets = with_bounds(bounds)

    def new(defaults: Defaults) -> Timer:
        if buckets is not None:
            durations: Histogram | BucketHistogram = buckets(defaults)
        elif histogram is not None:
            durations = histogram()
        else:
            durations = Histogram(ExpDecayReservoir(clock=defaults.clock))
        return Timer(durations, defaults.interval, defaults.clock)

    return new if sampled or histogram is not None or bounds is not None else None
