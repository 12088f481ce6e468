"""Values of this process' instruments as columns of numbers, which add up over processes."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from logging import getLogger
from operator import attrgetter
from typing import Any, NamedTuple, final

from metrics.clock import Clock
from metrics.exporters._series.recent import Record
from metrics.instruments import (
    BucketHistogram,
    BucketHistogramSnapshot,
    Counter,
    Family,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    Healthcheck,
    Histogram,
    HistogramSnapshot,
    Info,
    Instrument,
    IntGauge,
    Meter,
    MeterSnapshot,
    ResettingTimer,
    StateSet,
    Timer,
    UpDownCounter,
)
from metrics.integrations._group.files import (
    Columns,
    SeriesRecord,
    SeriesTable,
    dump,
    schema_of,
)
from metrics.registry._inner import Entry

logger = getLogger("metrics.integrations")

READER = "processes"
"""Name of the reader that publishes the values of this process."""

RECENT_SECONDS = 60.0
"""Seconds for which the values of a resetting timer are published."""

SAMPLE = 256
"""Most values of a sample that are published; they are spread evenly over the sorted sample."""

Values = tuple[str, ...]


@final
class AlikeChildren:
    """Children of one entry that have the same shape.

    Args:
        shape: their shape.
        extra: the `extra` of their record.
        state: values kept between two reads, by label values.
    """

    __slots__ = ("children", "extra", "shape", "state", "values")

    def __init__(self, shape: "Shape", extra: Any, state: dict[Values, Any]) -> None:
        self.shape = shape
        self.extra = extra
        self.state = state
        self.values: list[Values] = []
        self.children: list[Any] = []


Append = Callable[[AlikeChildren, Columns, Clock], object]
"""Function that appends numbers of children to columns."""


class Shape(NamedTuple):
    """Kind of series in the files: its name, and the function that appends numbers of children."""

    name: str
    append: Append


def appender(column: str, value_of: Callable[[Any], Any]) -> Append:
    """Return a function that appends one value of each child to a column."""

    def append(alike: AlikeChildren, columns: Columns, _clock: Clock) -> None:
        getattr(columns, column).extend(map(value_of, alike.children))

    return append


def append_gauges(alike: AlikeChildren, columns: Columns, clock: Clock) -> None:
    """Append the values of gauges; in the mode "last" with the times of their last changes."""
    if alike.extra != "last":
        columns.levels.extend([child.value for child in alike.children])
        return
    for values, child in zip(alike.values, alike.children, strict=True):
        value = child.value
        known = alike.state.get(values)
        if known is None or known[0] != value:
            # A gauge that was never set is older than any that was.
            changed = clock.time() if known or value else 0.0
            known = alike.state[values] = (value, changed)
        columns.levels.extend(known)


def append_meters(alike: AlikeChildren, columns: Columns, _clock: Clock) -> None:
    """Append the counts and the rates of `Meter`s."""
    for child in alike.children:
        snapshot = child.snapshot(READER)
        columns.counts.append(snapshot.count)
        append_rates(snapshot, columns)


def append_rates(rates: MeterSnapshot, columns: Columns) -> None:
    """Append the rates of a snapshot."""
    columns.levels.extend((rates.rate1, rates.rate5, rates.rate15, rates.rate_mean))


def append_buckets(alike: AlikeChildren, columns: Columns, _clock: Clock) -> None:
    """Append the buckets and the sums of `BucketHistogram`s."""
    for child in alike.children:
        counts, total, estimated = child._read()
        columns.counts.extend(counts)
        columns.counts.append(int(estimated))
        columns.sums.append(total)


def append_bucket_counts(buckets: BucketHistogramSnapshot, columns: Columns) -> None:
    """Append the buckets and the sum of a snapshot, and whether the sum is estimated."""
    columns.counts.extend(buckets.counts)
    columns.counts.append(int(buckets.estimated))
    columns.sums.append(float(buckets.sum))


def append_timers(alike: AlikeChildren, columns: Columns, _clock: Clock) -> None:
    """Append the durations and the rates of `Timer`s, with buckets or without."""
    for child in alike.children:
        snapshot = child.snapshot(READER)
        durations = snapshot.durations
        if isinstance(durations, BucketHistogramSnapshot):
            append_bucket_counts(durations, columns)
        else:
            append_sample(durations, columns)
        append_rates(snapshot.rates, columns)


def append_histograms(alike: AlikeChildren, columns: Columns, _clock: Clock) -> None:
    """Append the totals and the samples of `Histogram`s."""
    for child in alike.children:
        append_sample(child.snapshot(READER), columns)


def append_sample(sample: HistogramSnapshot, columns: Columns) -> None:
    """Append the totals and the sample of a snapshot."""
    columns.counts.append(sample.total_count)
    columns.sums.append(float(sample.total_sum))
    columns.samples.append(thin_out(sample.values, SAMPLE))


def append_recent(alike: AlikeChildren, columns: Columns, clock: Clock) -> None:
    """Append the totals of `ResettingTimer`s, and their values of the last minute."""
    for values, child in zip(alike.values, alike.children, strict=True):
        record = alike.state.get(values)
        if record is None or record.instrument is not child:
            record = alike.state[values] = Record(child)
        recent = record.add(child.snapshot(READER), clock.monotonic(), RECENT_SECONDS)
        append_sample(recent, columns)
        columns.levels.extend((recent.count, float(recent.sum)))


def checked_error(check: Healthcheck) -> list[Any]:
    """Return the result of a check: whether it has run, and the error."""
    snapshot = check.snapshot(READER)
    return [snapshot.checked, snapshot.error]


append_levels = appender("levels", attrgetter("count"))

SHAPES: dict[type, Shape] = {
    Counter: Shape("counter", appender("counts", attrgetter("count"))),
    FloatCounter: Shape("float_counter", appender("sums", attrgetter("count"))),
    UpDownCounter: Shape("updown_counter", append_levels),
    FloatUpDownCounter: Shape("float_updown_counter", append_levels),
    Gauge: Shape("gauge", append_gauges),
    IntGauge: Shape("int_gauge", append_gauges),
    Meter: Shape("meter", append_meters),
    BucketHistogram: Shape("bucket_histogram", append_buckets),
    Histogram: Shape("histogram", append_histograms),
    ResettingTimer: Shape("resetting_timer", append_recent),
    Info: Shape("info", appender("texts", attrgetter("value"))),
    StateSet: Shape(
        "state_set", appender("texts", lambda child: dict(child.snapshot(READER).states))
    ),
    Healthcheck: Shape("healthcheck", appender("texts", checked_error)),
}
"""Shapes by class; a timer has one of two, see `shape_of`."""

BUCKET_TIMER = Shape("bucket_timer", append_timers)
SAMPLED_TIMER = Shape("timer", append_timers)


def shape_of(child: Instrument, mode: str) -> tuple[Shape | None, Any]:
    """Return the shape of an instrument and the `extra` of its record; no shape if unknown.

    Args:
        child: an instrument, not a family.
        mode: the mode of a gauge.
    """
    kind = type(child)
    if isinstance(child, Gauge | IntGauge):
        return SHAPES[kind], mode
    if isinstance(child, BucketHistogram):
        return SHAPES[kind], list(child.snapshot().bounds)
    if isinstance(child, Timer):
        durations = child.snapshot(READER).durations
        if isinstance(durations, BucketHistogramSnapshot):
            return BUCKET_TIMER, list(durations.bounds)
        return SAMPLED_TIMER, None
    return SHAPES.get(kind), None


@final
class EntryPlan:
    """Children of an entry by shape, kept until it has other children.

    Args:
        entry: an instrument or a family.
        values: label values of the children.
        children: the instruments, side by side with their label values.
        mode: the mode of a gauge.
        last: the plan of the entry before, whose state is continued.
    """

    __slots__ = ("alike", "children", "entry", "instrument", "records", "state", "values")

    def __init__(
        self,
        entry: Entry,
        values: list[Values],
        children: list[Any],
        mode: str,
        last: "EntryPlan | None",
    ) -> None:
        self.entry = entry
        self.instrument = entry.instrument
        self.values = values
        self.children = children
        kept = {} if last is None else last.state
        self.state: dict[Values, Any] = {v: kept[v] for v in values if v in kept}
        groups: dict[tuple[str, str], AlikeChildren] = {}
        for own_values, child in zip(values, children, strict=True):
            shape, extra = shape_of(child, mode)
            # A program's own kind of instrument is read in its process alone.
            if shape is not None:
                alike = groups.setdefault(
                    (shape.name, repr(extra)), AlikeChildren(shape, extra, self.state)
                )
                alike.values.append(own_values)
                alike.children.append(child)
        self.alike = list(groups.values())
        labelnames = entry.instrument.labelnames if isinstance(entry.instrument, Family) else None
        self.records = [
            SeriesRecord(
                entry.name,
                alike.shape.name,
                entry.unit,
                entry.description,
                entry.labels,
                labelnames,
                alike.extra,
                alike.values,
            )
            for alike in self.alike
        ]


PLAIN = {
    SHAPES[kind].name
    for kind in (Counter, FloatCounter, UpDownCounter, FloatUpDownCounter, BucketHistogram)
}
"""Names of shapes that are read without any code of the program, so that nothing can fail."""


class ReadStep(NamedTuple):
    """Children that are read together.

    plan: the plan of an entry that may fail; None for entries that cannot.
    alike: their children, by shape.
    """

    plan: EntryPlan | None
    alike: list[AlikeChildren]


ONE: list[Values] = [()]
"""Label values of an instrument that is no family."""


@final
class RegistryColumns:
    """Reader of a registry's own instruments, with the state that it keeps between two reads.

    For one thread at a time.

    Args:
        clock: dates the changes of gauges and the values of resetting timers.
        mode_of: returns the mode of a gauge from its full name.
    """

    def __init__(self, clock: Clock, mode_of: Callable[[str], str]) -> None:
        self._clock = clock
        self._mode_of = mode_of
        self._entries: tuple[Entry, ...] = ()
        self._plans: list[EntryPlan] = []
        self._by_name: dict[str, EntryPlan] = {}
        self._steps: list[ReadStep] = []
        # Text of the records of the last read, and the entries that it left out.
        self._schema = schema_of(b"[]")
        self._left_out: set[str] = set()
        # Children that their families have removed since the last read.
        self._removed: list[EntryPlan] = []
        self._unreadable: set[str] = set()

    def read(self, entries: tuple[Entry, ...]) -> SeriesTable:
        """Return the values of entries; one that cannot be read is left out, and logged once."""
        columns = Columns([], [], [], [], [])
        left_out: set[str] = set()
        plans = self._plans_of(entries, left_out)
        is_changed = plans != self._plans
        if is_changed:
            self._plans = plans
            self._steps = steps_of(plans)
        for plan, alike in self._steps:
            if plan is None:
                for each in alike:
                    each.shape.append(each, columns, self._clock)
            elif not self._read_entry(plan, columns):
                left_out.add(plan.entry.name)
        self._unreadable &= left_out
        if is_changed or left_out != self._left_out:
            self._left_out = left_out
            included = [plan for plan in plans if plan.entry.name not in left_out]
            self._schema = schema_of(dump([r for plan in included for r in plan.records]))
        return SeriesTable(self._schema, columns)

    def _read_entry(self, plan: EntryPlan, columns: Columns) -> bool:
        """Append the values of an entry, all or none of them; return whether it can be read."""
        lengths = [len(column) for column in columns]
        try:
            for alike in plan.alike:
                alike.shape.append(alike, columns, self._clock)
        except Exception as error:  # noqa: BLE001 - one that fails must not hide the others
            for column, length in zip(columns, lengths, strict=True):
                del column[length:]
            self._report(plan.entry, error)
            return False
        return True

    def _plans_of(self, entries: tuple[Entry, ...], left_out: set[str]) -> list[EntryPlan]:
        """Return the plans of entries; one that cannot be read has none."""
        if entries is self._entries and len(self._plans) == len(entries):
            # Families may have other children than at the last read.
            with suppress(Exception):
                return [
                    self._plan(plan.entry) if isinstance(plan.instrument, Family) else plan
                    for plan in self._plans
                ]
        plans: list[EntryPlan] = []
        for entry in entries:
            try:
                plans.append(self._plan(entry))
            except Exception as error:  # noqa: BLE001 - as above
                left_out.add(entry.name)
                self._report(entry, error)
        self._entries = entries
        self._by_name = {plan.entry.name: plan for plan in plans}
        return plans

    def _plan(self, entry: Entry) -> EntryPlan:
        """Return the plan of an entry: the one of the last read, if it has the same children."""
        instrument = entry.instrument
        values = ONE
        children: list[Any] = [instrument]
        if isinstance(instrument, Family):
            values, children = instrument.table
        known = self._by_name.get(entry.name)
        if (
            known is not None
            and known.entry is entry
            and known.children == children
            and known.values == values
        ):
            return known
        mode = self._mode_of(entry.name)
        plan = self._by_name[entry.name] = EntryPlan(entry, values, children, mode, known)
        if known is not None and known.instrument is instrument:
            present = set(map(id, children))
            pairs = zip(known.values, known.children, strict=True)
            removed = [(each, child) for each, child in pairs if id(child) not in present]
            if removed:
                gone_values, gone = map(list, zip(*removed, strict=True))
                self._removed.append(EntryPlan(entry, gone_values, gone, mode, None))
        return plan

    def take_removed(self) -> SeriesTable | None:
        """Return the final totals of children removed since the last time; None without any."""
        plans, self._removed = self._removed, []
        return self._read_plans(plans) if plans else None

    def _read_plans(self, plans: list[EntryPlan]) -> SeriesTable:
        """Return the values of the children of plans."""
        columns = Columns([], [], [], [], [])
        read = [plan for plan in plans if self._read_entry(plan, columns)]
        return SeriesTable(schema_of(dump([r for plan in read for r in plan.records])), columns)

    def children(self) -> dict[str, dict[Values, Any]]:
        """Return the children of the last read by name and label values."""
        return {
            plan.entry.name: dict(zip(plan.values, plan.children, strict=True))
            for plan in self._plans
        }

    def negated(
        self, entries: Iterable[Entry], counted: Mapping[str, Mapping[Values, Any]]
    ) -> SeriesTable:
        """Return the totals of children that were counted before, as numbers that cancel them.

        Args:
            entries: the entries of the registry.
            counted: the counted children by name and label values.
        """
        plans: list[EntryPlan] = []
        for entry in entries:
            before = counted.get(entry.name, {})
            present: dict[Values, Any] = {(): entry.instrument}
            if isinstance(entry.instrument, Family):
                present = entry.instrument.children()
            same = {v: child for v, child in present.items() if before.get(v) is child}
            if same:
                try:
                    mode = self._mode_of(entry.name)
                    plans.append(EntryPlan(entry, [*same], [*same.values()], mode, None))
                except Exception as error:  # noqa: BLE001 - as above
                    self._report(entry, error)
        schema, columns = self._read_plans(plans)
        counts = [-count for count in columns.counts]
        return SeriesTable(schema, Columns(counts, [[-n] for n in columns.sums], [], [], []))

    def _report(self, entry: Entry, error: Exception) -> None:
        if entry.name not in self._unreadable:
            self._unreadable.add(entry.name)
            logger.error(
                "%r cannot be read and is left out of the group until it can be",
                entry.name,
                exc_info=error,
            )


def steps_of(plans: Iterable[EntryPlan]) -> list[ReadStep]:
    """Return steps that read entries in their order; many that cannot fail are one step."""
    steps: list[ReadStep] = []
    together: list[AlikeChildren] = []
    for plan in [plan for plan in plans if plan.alike]:
        if any(alike.shape.name not in PLAIN for alike in plan.alike):
            steps.append(ReadStep(plan, plan.alike))
            together = []
            continue
        if not together:
            steps.append(ReadStep(None, together))
        for alike in plan.alike:
            if not together or together[-1].shape is not alike.shape:
                together.append(AlikeChildren(alike.shape, None, {}))
            together[-1].children += alike.children
    return steps


def thin_out(values: tuple[float, ...], size: int) -> list[float]:
    """Return `size` values that are spread evenly over sorted ones, with the first and the last."""
    if len(values) <= size:
        return list(values)
    step = (len(values) - 1) / (size - 1)
    return [values[round(index * step)] for index in range(size)]
