"""OpenTSDB: `put` lines of its telnet protocol, and JSON for its HTTP API.

The formats: https://opentsdb.net/docs/build/html/user_guide/writing/index.html and
https://opentsdb.net/docs/build/html/api_http/put.html
"""

import json
from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

from metrics.exporters._encoding.framing import batches, encode, join_chunks, render_of
from metrics.exporters._encoding.json import array_text
from metrics.exporters._encoding.names import (
    NO_TAGS,
    checked_prefix,
    checked_tags,
    merge_tags,
    plain,
    tag_name,
)
from metrics.exporters._encoding.numbers import decimal
from metrics.exporters._encoding.units import checked_seconds, per_second
from metrics.exporters._series.fields import fields
from metrics.exporters._series.series import Labels, Series, read_series, split_points
from metrics.exporters._series.targets import assign_targets
from metrics.instruments._inner import size
from metrics.registry import Registry

CONTENT_TYPE = "text/plain; charset=utf-8"

JSON_CONTENT_TYPE = "application/json"

DIALECTS = ("telnet", "json")

POINTS = 50
"""Points of one JSON array, the number that OpenTSDB recommends."""


class TaggedNumber(NamedTuple):
    """One number: its metric, the text of its value, and its tags."""

    metric: str
    value: str
    tags: Labels


def stream(
    registry: Registry,
    *,
    host: str,
    timestamp_ns: int,
    namespace: str = "",
    tags: Mapping[str, str] = NO_TAGS,
    duration_unit: str = "milliseconds",
    dialect: str = "telnet",
    batch_size: int | None = None,
    reader: str = "opentsdb",
) -> Iterator[bytes]:
    """Yield the values of a registry as points, one for each number, in name order.

    Metrics are `<namespace>.<name>.<field>`, with go-ethereum's names for the fields. Characters of
    names and tags other than letters, ASCII digits, `-`, `_`, `.` and `/` become `_`; a warning is
    logged when two series are the same after that. NaN and infinities are left out; an int beyond
    64 bits is written as a float; numbers have all their digits. Info labels are the tags of a 1. A
    server takes eight tags of a series by default, the host among them.

    Lines come in chunks of some tens of KB each.

    Args:
        registry: the registry to read.
        host: the `host` tag, because every series must have one tag at least.
        timestamp_ns: the time of the values, in nanoseconds since 1970; written in whole seconds.
        namespace: the prefix of all metrics.
        tags: tags of every series that has no label of the same name.
        duration_unit: the unit of timers: `seconds`, `milliseconds`, `microseconds` or
            `nanoseconds`.
        dialect: `telnet` writes `put` lines; `json` writes arrays for the HTTP API, whose content
            type is `JSON_CONTENT_TYPE`.
        batch_size: the largest number of points in an array of `json`, each of which is the body of
            one request. None writes one array, in chunks.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `timestamp_ns` or `batch_size` is not an int, `host` or `namespace` not a str, or
            `tags` not str to str.
        ValueError: `host` or a tag's name is empty, `timestamp_ns` or `duration_unit` is malformed,
            `dialect` unknown, or `batch_size` not positive.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"invalid dialect {dialect!r}: use {' or '.join(DIALECTS)}")
    if not checked_prefix("host", host):
        raise ValueError("invalid host '': use the name of this machine")
    limit = None if batch_size is None else size("batch_size", batch_size)
    seconds = checked_seconds(timestamp_ns)
    namespace = checked_prefix("namespace", namespace).rstrip(".")
    all_tags = {"host": host, **{k: v for k, v in checked_tags(tags).items() if v}}
    times = per_second(duration_unit)
    place = partial(place_of, namespace, all_tags)
    write = put_line if dialect == "telnet" else point_json
    texts = (
        write(TaggedNumber(f"{stem}.{plain(field)}", decimal(value), pairs), seconds)
        for one, (stem, pairs) in assign_targets(split_points(read_series(registry, reader)), place)
        for field, value in fields(one, times).items()
    )
    if dialect == "telnet":
        return join_chunks(texts)
    if limit is None:
        return join_chunks(array_text(texts))
    return (encode("".join(array_text(batch))) for batch in batches(texts, limit, lambda _: 1))


render = render_of(stream)


def place_of(namespace: str, tags: Mapping[str, str], one: Series) -> tuple[str, Labels]:
    """Return the text before the field of a metric, and the tags."""
    pairs = merge_tags(tags, one.labels, tag_name, plain)
    return plain(f"{namespace}.{one.name}" if namespace else one.name), tuple(pairs)


def put_line(point: TaggedNumber, seconds: int) -> str:
    """Return a point as a line of the telnet protocol."""
    tags = " ".join([f"{name}={value}" for name, value in point.tags])
    return f"put {point.metric} {seconds} {point.value} {tags}\n"


def point_json(point: TaggedNumber, seconds: int) -> str:
    """Return a point as a JSON object."""
    metric = json.dumps(point.metric, ensure_ascii=False)
    tags = json.dumps(dict(point.tags), ensure_ascii=False)
    return f'{{"metric":{metric},"timestamp":{seconds},"value":{point.value},"tags":{tags}}}'
