"""Format of the files in which processes publish their values.

A header of fixed size has a magic number, the version, three lengths, the time of writing and a
checksum: a file whose header has not changed is read once. Facts about
the file, in JSON, have the lengths of all that follows: the series of each table in JSON, and the
numbers of each column, as 64-bit numbers of this machine or in JSON. Series change seldom, so that
their text is parsed once. Ints of any size and floats are read as they were written. Such a file
runs no code whatever its origin; every length and type is checked before it is used.
"""

import json
import struct
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, final
from weakref import WeakValueDictionary
from zlib import crc32

MAGIC = b"wiredmtr"
VERSION = 1
HEADER = struct.Struct(">8sHIQQQQ")

LARGEST = 64 << 20
"""Most bytes of a file."""

TABLES = 3

INTS = "q"
FLOATS = "d"
TEXT = "j"

TYPES: dict[object, type] = {INTS: int, FLOATS: float}
"""Types of the items of a column by its code; a column in JSON has several."""


class Columns(NamedTuple):
    """Numbers of series, side by side.

    counts: ints that only grow.
    sums: floats whose exact sum over processes is wanted; lists of floats in a sum of processes.
    levels: numbers of living processes: values of gauges, rates.
    samples: lists of values.
    texts: JSON of info labels, states and results of health checks.
    """

    counts: list[Any]
    sums: list[Any]
    levels: list[Any]
    samples: list[Any]
    texts: list[Any]


class Widths(NamedTuple):
    """Items of one series in each of the columns."""

    counts: int = 0
    sums: int = 0
    levels: int = 0
    samples: int = 0
    texts: int = 0


class SeriesRecord(NamedTuple):
    """An instrument or a family: its description, and the label values of its children.

    name: the full name.
    shape: the name of a row of `reading.SHAPES`.
    unit, description: as they were registered.
    labels: the constant labels, pairs of name and value.
    labelnames: the labels of a family; None for an instrument.
    extra: the bounds of buckets, or the mode of a gauge.
    children: label values of the children; one empty list for an instrument.
    """

    name: str
    shape: str
    unit: str
    description: str
    labels: Sequence[Sequence[str]]
    labelnames: Sequence[str] | None
    extra: Any
    children: Sequence[Sequence[str]]


@final
class Schema:
    """Series of tables: the text of their records, which is parsed once for all tables.

    Args:
        text: the records in JSON.

    Raises:
        ValueError: the text is malformed.
    """

    __slots__ = ("__weakref__", "records", "text", "widths")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.records = parsed_records(text)
        totals = [0] * len(Widths._fields)
        for record in self.records:
            for index, width in enumerate(widths_of(record.shape, record.extra)):
                totals[index] += width * len(record.children)
        # Items of all series.
        self.widths = Widths(*totals)

    def __repr__(self) -> str:
        return f"Schema({self.text!r})"


_schemas: WeakValueDictionary[bytes, Schema] = WeakValueDictionary()


def schema_of(text: bytes) -> Schema:
    """Return the series with this text, the same object as long as a table has it.

    Raises:
        ValueError: the text is malformed.
    """
    found = _schemas.get(text)
    return _schemas.setdefault(text, Schema(text)) if found is None else found


class SeriesTable(NamedTuple):
    """Series, and their numbers."""

    schema: Schema
    columns: Columns


class MemberFile(NamedTuple):
    """Contents of a file.

    facts: `created`, `identity` and `absorbed` of a sum; nothing else so far.
    living: the registered instruments.
    departed: the totals of unregistered instruments and of processes that have ended.
    removed: the totals of removed and expired children, which count in series that exist elsewhere.
    """

    facts: dict[str, Any]
    living: SeriesTable
    departed: SeriesTable
    removed: SeriesTable


def empty_table() -> SeriesTable:
    """Return a table without series."""
    return SeriesTable(schema_of(b"[]"), Columns([], [], [], [], []))


def encode(file: MemberFile, written: int = 0) -> bytes:
    """Return the bytes of a file.

    Args:
        file: the contents.
        written: distinguishes the file from earlier ones of its name.

    Raises:
        ValueError: they are too many.
    """
    tables = (file.living, file.departed, file.removed)
    columns = [[encode_column(column) for column in table.columns] for table in tables]
    facts = [
        file.facts,
        [len(table.schema.text) for table in tables],
        [[(code, len(data)) for code, data in each] for each in columns],
    ]
    texts = (
        dump(facts),
        b"".join([table.schema.text for table in tables]),
        b"".join([data for each in columns for _, data in each]),
    )
    body = b"".join(texts)
    if len(body) > LARGEST:
        raise ValueError(f"{len(body)} bytes of values: a process shares at most {LARGEST}")
    return HEADER.pack(MAGIC, VERSION, crc32(body), *map(len, texts), written) + body


def decode(data: bytes) -> MemberFile:
    """Return the contents of a file.

    Raises:
        ValueError: it is foreign, truncated, or of another version.
    """
    if len(data) > LARGEST + HEADER.size:
        raise ValueError(f"invalid size: a process shares at most {LARGEST} bytes")
    if len(data) < HEADER.size:
        raise ValueError(f"invalid length {len(data)}: a header has {HEADER.size} bytes")
    magic, version, checksum, *lengths, _ = HEADER.unpack_from(data)
    if magic != MAGIC:
        raise ValueError(f"invalid beginning {magic!r}: files of a group begin with {MAGIC!r}")
    if version != VERSION:
        raise ValueError(f"unknown version {version}: this process reads version {VERSION}")
    body = data[HEADER.size :]
    if len(body) != sum(lengths) or crc32(body) != checksum:
        raise ValueError("wrong length or checksum: the file is truncated or was changed")
    ends = lengths[0], lengths[0] + lengths[1]
    try:
        facts, sizes, codes = json.loads(body[: ends[0]])
        if not isinstance(facts, dict) or len(codes) != TABLES:
            raise ValueError("the texts are not those of a group")
        tables: list[SeriesTable] = []
        start, position = ends
        for size, each in zip(sizes, codes, strict=True):
            text = body[start : start + int(size)]
            start += len(text)
            columns: list[list[Any]] = []
            for code, length in each:
                columns.append(decode_column(code, body[position : position + int(length)]))
                position += int(length)
            table = SeriesTable(schema_of(text), Columns(*columns))
            types = [TYPES.get(code) for code, _ in each]
            check_table(table, types, is_living=not tables)
            tables.append(table)
    except (TypeError, LookupError, RecursionError) as error:
        raise ValueError(f"malformed texts: {error}") from error
    return MemberFile(facts, *tables)


def encode_column(column: list[Any]) -> tuple[str, bytes]:
    """Return the code of a column and its bytes: 64-bit numbers if all are, and JSON if not.

    JSON keeps larger ints, and columns of ints and floats.
    """
    try:
        # It takes ints alone, and is faster than looking at their types.
        return INTS, array(INTS, column).tobytes()
    except (TypeError, OverflowError):
        pass
    if set(map(type, column)) == {float}:
        return FLOATS, array(FLOATS, column).tobytes()
    return TEXT, dump(column)


def decode_column(code: str, data: bytes) -> list[Any]:
    """Return a column.

    Raises:
        TypeError, ValueError: it is malformed.
    """
    if code in {INTS, FLOATS}:
        numbers: array[Any] = array(code)
        numbers.frombytes(data)
        return numbers.tolist()
    found = json.loads(data)
    if not isinstance(found, list):
        raise TypeError(f"invalid column {found!r}")
    return found


def dump(value: object) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def check_table(table: SeriesTable, types: Sequence[type | None], *, is_living: bool) -> None:
    """Raise ValueError unless the columns of a table fit its series.

    Args:
        table: the table.
        types: the type of all items of each column; None for a column of any items.
        is_living: whether it has the values of a process, and not only totals.
    """
    widths = table.schema.widths
    if not is_living:
        widths = Widths(widths.counts, widths.sums)
    columns: tuple[list[Any], ...] = table.columns
    allowed = ALLOWED if is_living else ALLOWED_TOTALS
    for column, width, known, own in zip(columns, widths, types, allowed, strict=True):
        if len(column) != width:
            raise ValueError(f"a column of {width} items is required")
        if known is None:
            check_types(column, own)
        elif column and known not in own:
            raise ValueError(f"an item is of type {known.__name__}")
    for item in (*table.columns.samples, *([] if is_living else table.columns.sums)):
        if type(item) is list:
            check_types(item, {float, int})
    check_texts(table.schema, table.columns.texts)


ALLOWED: list[set[type]] = [{int}, {float}, {int, float}, {list}, {list, dict}]
"""Types of the items of each column of a process."""

ALLOWED_TOTALS: list[set[type]] = [{int}, {float, list}, {int, float}, {list}, {list, dict}]
"""Types of the items of each column of totals."""


def check_texts(schema: Schema, texts: list[Any]) -> None:
    """Raise ValueError unless texts are info labels, states and results of checks."""
    position = 0
    for record in schema.records if texts else ():
        expected = TEXT_TYPES.get(record.shape)
        if expected is None:
            continue
        for text in texts[position : position + len(record.children)]:
            is_result = isinstance(text, list) and list(map(type, text)) in RESULTS
            is_mapping = isinstance(text, dict) and {*map(type, text.values())} <= {expected}
            if not (is_result if expected is list else is_mapping):
                raise ValueError(f"malformed value of {record.name!r}: {text!r}")
        position += len(record.children)


TEXT_TYPES = {"info": str, "state_set": bool, "healthcheck": list}
"""Types of the values of mappings; a list for the results of health checks."""

RESULTS = ([bool, str], [bool, type(None)])
"""Types of the result of a health check: whether there is one, and its error."""


def check_types(items: Iterable[object], allowed: set[type]) -> None:
    """Raise ValueError for an item of another type; True and False are no ints."""
    for found in set(map(type, items)) - allowed:
        raise ValueError(f"an item is of type {found.__name__}")


def parsed_records(text: bytes) -> tuple[SeriesRecord, ...]:
    """Return the records of a table.

    Raises:
        ValueError: the text is malformed.
    """
    try:
        found = tuple([SeriesRecord(*each) for each in json.loads(text)])
    except (TypeError, RecursionError) as error:
        raise ValueError(f"malformed series: {error}") from error
    for record in found:
        check_record(record)
    return found


def check_record(record: SeriesRecord) -> None:
    """Raise ValueError unless the items of a record are of their types."""
    texts: list[object] = [record.name, record.shape, record.unit, record.description]
    names = record.labelnames
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"malformed series {record.name!r}")
    if names is not None and not is_texts(names):
        raise ValueError(f"malformed labels of {record.name!r}")
    size = 0 if names is None else len(names)
    children = record.children
    if not isinstance(children, list) or not all(is_texts(c) and len(c) == size for c in children):
        raise ValueError(f"malformed label values of {record.name!r}")
    pairs = record.labels
    if not isinstance(pairs, list) or not all(is_texts(p) and len(p) == len("kv") for p in pairs):
        raise ValueError(f"malformed constant labels of {record.name!r}")
    widths_of(record.shape, record.extra)


def is_texts(value: object) -> bool:
    """Return whether a value is a list of texts."""
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


WIDTHS = {
    "counter": Widths(counts=1),
    "float_counter": Widths(sums=1),
    "updown_counter": Widths(levels=1),
    "float_updown_counter": Widths(levels=1),
    "gauge": Widths(levels=1),
    "int_gauge": Widths(levels=1),
    "meter": Widths(counts=1, levels=4),
    "bucket_histogram": Widths(counts=2, sums=1),
    "bucket_timer": Widths(counts=2, sums=1, levels=4),
    "histogram": Widths(counts=1, sums=1, samples=1),
    "timer": Widths(counts=1, sums=1, levels=4, samples=1),
    "resetting_timer": Widths(counts=1, sums=1, levels=2, samples=1),
    "info": Widths(texts=1),
    "state_set": Widths(texts=1),
    "healthcheck": Widths(texts=1),
}
"""Items of a series by its shape. Buckets have a count for each of their bounds in addition.

Their last two counts are the bucket without a bound, and the processes with an estimated sum.
A gauge of the mode "last" has the time of its last change as well.
"""

MODES = ("sum", "min", "max", "last", "worker")
"""Modes of a gauge, which are the `extra` of its record."""


def widths_of(shape: str, extra: Any) -> Widths:
    """Return the items of a series.

    Raises:
        ValueError: the shape is unknown, or `extra` is not that of the shape.
    """
    widths = WIDTHS.get(shape)
    if widths is None:
        raise ValueError(f"unknown shape {shape!r}")
    if shape.startswith("bucket"):
        if not isinstance(extra, list | tuple) or not extra:
            raise ValueError(f"invalid bounds {extra!r}")
        check_types(extra, {float})
        return widths._replace(counts=widths.counts + len(extra))
    if shape.endswith("gauge"):
        if extra not in MODES:
            raise ValueError(f"unknown mode {extra!r}")
        return widths._replace(levels=2 if extra == "last" else 1)
    return widths
