"""Sums over processes of the columns of their files.

Counts, and the counts of buckets, are added as ints. Sums of floats are exact: the sum of ended
processes keeps every bit, as floats that do not overlap, and one rounding follows when all are
added. A total that was rounded at each step could fall by its last bit when a process ends, which
Prometheus would read as a restart of the counter.
"""

from collections.abc import Iterable, Sequence
from logging import getLogger
from math import fsum, isfinite
from operator import add
from typing import Any, NamedTuple, final
from weakref import WeakKeyDictionary

from metrics.integrations._group.files import (
    Columns,
    Schema,
    SeriesRecord,
    SeriesTable,
    Widths,
    dump,
    empty_table,
    schema_of,
    widths_of,
)

logger = getLogger("metrics.integrations")

MOST_DEPARTED = 100_000
"""Most series of ended processes whose totals are kept."""

MOST_REMOVED = 2000
"""Most removed and expired children whose totals are kept, the newest ones."""

Values = tuple[str, ...]


class Contribution(NamedTuple):
    """Values of a process.

    number: the worker number; None for totals of processes that have ended.
    table: the series.
    is_removed: whether the series count only where others have them, who come before.
    """

    number: int | None
    table: SeriesTable
    is_removed: bool = False


class RecordKey(NamedTuple):
    """Properties that two records have in common if their series add up."""

    name: str
    shape: str
    labelnames: Values | None
    extra: str


@final
class Child:
    """Numbers of one series of several processes.

    Args:
        counts: their exact sums.
        sums: floats of all processes, to be added up.
    """

    __slots__ = ("counts", "levels", "numbers", "samples", "sums", "texts", "weights")

    def __init__(self, counts: list[int], sums: list[list[float]]) -> None:
        self.counts = counts
        self.sums = sums
        # Values of living processes, in the order of their worker numbers.
        self.numbers: list[int] = []
        self.levels: list[Sequence[Any]] = []
        self.samples: list[list[float]] = []
        self.texts: list[Any] = []
        # Counts of the processes, which are the weights of their samples.
        self.weights: list[int] = []


class AlikeTables(NamedTuple):
    """Tables with the same series, column by column.

    counts: sums of their counts.
    sums: their floats, to be added up, side by side for each series.
    numbers: worker numbers of the processes; none for totals of processes that have ended.
    columns: the columns of each of these processes.
    """

    counts: list[int]
    sums: list[Sequence[float]]
    numbers: list[int]
    columns: list[Columns]


class TableRecord(NamedTuple):
    """Record of a table, and the positions of its items in the columns."""

    key: "RecordKey"
    record: SeriesRecord
    widths: Widths
    values: list[Values]
    starts: Widths
    ends: Widths


class RecordPart(NamedTuple):
    """Items of one record in tables with the same series.

    place: the position of the tables.
    positions: positions of the children among the merged ones, -1 for a child that is left out;
        None if they are the first ones.
    """

    place: int
    starts: Widths
    ends: Widths
    positions: list[int] | None


@final
class MergedRecord:
    """Series of one instrument or family of several processes.

    Args:
        first: the record of the first table that has the series.
        tables: the tables of all processes, which are replaced at each read.
    """

    __slots__ = ("_first", "_parts", "_places", "_tables", "record", "values", "widths")

    def __init__(self, first: TableRecord, tables: list[AlikeTables]) -> None:
        self.record = first.record
        self.widths = first.widths
        self.values = first.values
        self._first = first.values
        self._tables = tables
        self._parts: list[RecordPart] = []
        self._places: dict[Values, int] | None = None

    def add(self, own: TableRecord, place: int, *, is_removed: bool) -> None:
        """Add the record of more tables.

        Args:
            own: the record.
            place: the position of the tables.
            is_removed: whether only children that are known already are added.
        """
        positions = None
        # Processes of one version have equal series most of the time.
        if own.values is not self._first:
            places = self._places
            if places is None:
                places = self._places = {each: i for i, each in enumerate(self.values)}
                self.values = list(self.values)
            for each in () if is_removed else own.values:
                if each not in places:
                    places[each] = len(places)
                    self.values.append(each)
            positions = [places.get(each, -1) for each in own.values]
        self._parts.append(RecordPart(place, own.starts, own.ends, positions))

    def counts(self) -> list[int]:
        """Return the sums of the counts of all children."""
        width = self.widths.counts
        size = len(self.values) * width
        total: list[int] = []
        for index, starts, ends, positions in self._parts if width else ():
            counts = self._tables[index].counts[starts.counts : ends.counts]
            if positions is None:
                total = list(map(add, total, counts)) if total else counts
                continue
            total += [0] * (size - len(total))
            for i, place in enumerate(positions):
                for offset in range(width) if place >= 0 else ():
                    total[place * width + offset] += counts[i * width + offset]
        return total + [0] * (size - len(total)) if len(total) < size else total

    def sums(self) -> list[list[float]]:
        """Return the floats of all contributions, by child. A shape has one sum, or none."""
        found: list[list[float]] = [[] for _ in self.values] if self.widths.sums else []
        for index, starts, ends, positions in self._parts if found else ():
            sums = self._tables[index].sums[starts.sums : ends.sums]
            for place, floats in zip(positions or range(len(found)), sums, strict=False):
                if place >= 0:
                    found[place] += floats
        return found

    def children(self) -> list[Child]:
        """Return the children, side by side with their label values."""
        width = self.widths.counts
        counts = self.counts()
        sums = self.sums()
        children = [
            Child(counts[i * width : (i + 1) * width], sums[i : i + 1])
            for i in range(len(self.values))
        ]
        _, _, levels, samples, texts = self.widths
        for index, starts, _, positions in self._parts:
            tables = self._tables[index]
            places = range(len(self._first)) if positions is None else positions
            for number, columns in zip(tables.numbers, tables.columns, strict=True):
                for i, place in enumerate(places):
                    child = children[place]
                    child.numbers.append(number)
                    if levels:
                        first = starts.levels + i * levels
                        child.levels.append(columns.levels[first : first + levels])
                    if samples:
                        child.samples.append(columns.samples[starts.samples + i])
                        child.weights.append(columns.counts[starts.counts + i])
                    if texts:
                        child.texts.append(columns.texts[starts.texts + i])
        return children


_parsed: WeakKeyDictionary[Schema, list[TableRecord]] = WeakKeyDictionary()


def table_records(schema: Schema) -> list[TableRecord]:
    """Return the records of tables with the positions of their items, the same list each time."""
    known = _parsed.get(schema)
    if known is not None:
        return known
    found: list[TableRecord] = []
    ends = Widths()
    for record in schema.records:
        names = None if record.labelnames is None else tuple(record.labelnames)
        key = RecordKey(record.name, record.shape, names, repr(record.extra))
        widths = widths_of(record.shape, record.extra)
        size = len(record.children)
        starts, ends = ends, Widths(*[end + size * w for end, w in zip(ends, widths, strict=True)])
        values = [tuple(each) for each in record.children]
        found.append(TableRecord(key, record, widths, values, starts, ends))
    return _parsed.setdefault(schema, found)


class TableKey(NamedTuple):
    """Properties that contributions have in common whose columns add up as a whole."""

    schema: Schema
    is_living: bool
    is_removed: bool


class KnownTables(NamedTuple):
    """Records of tables.

    tables: the tables, in the order of the keys.
    """

    keys: list[TableKey]
    records: dict[RecordKey, MergedRecord]
    tables: list[AlikeTables]


@final
class MergedTables:
    """Series of all processes. As long as they are the same, only their numbers are replaced.

    For one thread at a time.
    """

    __slots__ = ("_known",)

    def __init__(self) -> None:
        # In one object: a signal handler may read while its own thread does.
        self._known = KnownTables([], {}, [])

    def merge(self, contributions: Iterable[Contribution]) -> dict[RecordKey, MergedRecord]:
        """Return the series of all contributions; the first ones decide on the order.

        It is the same dict as before if the series are the same.
        """
        groups: dict[TableKey, list[Contribution]] = {}
        for number, table, is_removed in contributions:
            key = TableKey(table.schema, number is not None, is_removed)
            groups.setdefault(key, []).append(Contribution(number, table, is_removed))
        keys = [*groups]
        known = self._known
        if keys != known.keys:
            known = self._known = known_tables(keys)
        known.tables[:] = map(add_up, groups.values())
        return known.records


def known_tables(keys: list[TableKey]) -> KnownTables:
    """Return the records of tables, to which the tables are added later."""
    records: dict[RecordKey, MergedRecord] = {}
    tables: list[AlikeTables] = []
    for index, (schema, _, is_removed) in enumerate(keys):
        for own in table_records(schema):
            known = records.get(own.key)
            if known is None:
                if is_removed:
                    continue
                known = records[own.key] = MergedRecord(own, tables)
            known.add(own, index, is_removed=is_removed)
    return KnownTables(keys, records, tables)


def merge(contributions: Iterable[Contribution]) -> dict[RecordKey, MergedRecord]:
    """Return the series of all contributions; the first ones decide on the order."""
    return MergedTables().merge(contributions)


def add_up(alike: Sequence[Contribution]) -> AlikeTables:
    """Return contributions with the same series, of living processes or of ended ones."""
    columns = [each.table.columns for each in alike]
    counts = columns[0].counts
    for own in columns[1:]:
        counts = list(map(add, counts, own.counts))
    items = zip(*[own.sums for own in columns], strict=True)
    numbers = [each.number for each in alike if each.number is not None]
    if numbers:
        return AlikeTables(counts, list(items), numbers, columns)
    return AlikeTables(counts, [floats_of(each) for each in items], [], [])


def floats_of(items: Iterable[Any]) -> list[float]:
    """Return the floats of sums, each of which is a float or a list of floats."""
    floats: list[float] = []
    for item in items:
        if type(item) is list:
            floats += item
        else:
            floats.append(item)
    return floats


def sum_up(tables: Iterable[SeriesTable], most: int = MOST_DEPARTED) -> SeriesTable:
    """Return the totals of tables as one table without values of living processes.

    Args:
        tables: the tables; series of the first ones are kept if they are too many.
        most: the largest number of series.
    """
    merged = merge(Contribution(None, table) for table in tables)
    records: list[SeriesRecord] = []
    columns = empty_table().columns
    size = dropped = 0
    for one in merged.values():
        width = one.widths.counts
        if not width and not one.widths.sums:
            continue
        kept = min(len(one.values), most - size)
        size += kept
        dropped += len(one.values) - kept
        if kept:
            records.append(one.record._replace(children=one.values[:kept]))
            columns.counts.extend(one.counts()[: kept * width])
            columns.sums.extend([partials(each) for each in one.sums()[:kept]])
    if dropped and most != MOST_REMOVED:
        logger.warning(
            "%d series of ended processes are dropped: a group keeps %d; bound the label values",
            dropped,
            most,
        )
    return SeriesTable(schema_of(dump(records)), columns)


def partials(values: Iterable[float]) -> list[float]:
    """Return floats that do not overlap and have the same exact sum.

    Shewchuk, "Adaptive Precision Floating-Point Arithmetic", 1997, as `math.fsum` does it.
    """
    found: list[float] = []
    for value in values:
        if not isfinite(value):
            return [value]
        kept = 0
        high = value
        for other in found:
            large, small = (high, other) if abs(high) >= abs(other) else (other, high)
            high = large + small
            low = small - (high - large)
            if low:
                found[kept] = low
                kept += 1
        found[kept:] = [high]
    return found


def exact_sum(values: Sequence[float]) -> float:
    """Return the sum, rounded once; infinity if it is too large for a float."""
    if len(values) == 1:
        return values[0]
    try:
        return fsum(values)
    except (OverflowError, ValueError):
        return sum(values)
