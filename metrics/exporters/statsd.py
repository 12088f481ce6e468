"""StatsD, as its first server speaks it, and Datadog's dialect with tags.

The formats: https://github.com/statsd/statsd/blob/master/docs/metric_types.md and
https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import NamedTuple

from metrics.exporters._encoding.framing import chunked, render_of
from metrics.exporters._encoding.names import (
    NO_TAGS,
    checked_prefix,
    checked_tags,
    merged,
    nodes,
    path,
    plain,
    tag_name,
)
from metrics.exporters._encoding.numbers import Number, decimal, finite
from metrics.exporters._encoding.units import per_second
from metrics.exporters._series.deltas import Deltas
from metrics.exporters._series.fields import fields, is_single
from metrics.exporters._series.series import Series, read_series, split_points
from metrics.exporters._series.targets import assign_targets
from metrics.instruments import HistogramSnapshot
from metrics.instruments._inner import size
from metrics.registry import Registry

CONTENT_TYPE = "text/plain; charset=utf-8"

__all__ = ["CONTENT_TYPE", "DIALECTS", "SAMPLES", "Deltas", "lines", "render", "stream"]

DIALECTS = ("statsd", "dogstatsd")

SAMPLES = 1000
"""Durations of one resetting timer written at a time, unless told otherwise."""

MILLISECONDS = per_second("milliseconds")


class Place(NamedTuple):
    """Where the numbers of a series go: what stands before the values and after them."""

    path: str
    tail: str
    has_tags: bool


def stream(
    registry: Registry,
    *,
    deltas: Deltas,
    namespace: str = "",
    tags: Mapping[str, str] = NO_TAGS,
    dialect: str = "statsd",
    samples: int = SAMPLES,
    reader: str = "statsd",
) -> Iterator[bytes]:
    """Yield what has happened in a registry since the last look as lines, in name order.

    StatsD hears of events, so a counter is what it has grown by (`c`, left out when it has not),
    and a resetting timer is each of its durations, in milliseconds (`ms`). What was put together
    already cannot be taken apart again: meters, timers and histograms are what their count has
    grown by, and each of their statistics as a gauge (`g`), durations in milliseconds. All other
    values are gauges. A negative gauge is set to 0 first, because a sign means a change; in
    Datadog's dialect it does not.

    Names and fields are go-ethereum's, with a dot for `/`, and `_` for what is no letter, ASCII
    digit, `-` or `_`; a tag keeps its dots and slashes. A warning is logged when two series are the
    same after that. NaN and infinities are left out.

    Chunks have some tens of KB each, of whole lines.

    Args:
        registry: what to read.
        deltas: what the server has been told so far; the same `Deltas()` at every look. What is
            written counts as told.
        namespace: what names begin with.
        tags: given to every series that has no label of the same name.
        dialect: `statsd` writes labels into the name, as `<name>.<label>.<value>`, and no info;
            `dogstatsd` writes them as tags, and the facts of an info as the tags of a 1.
        samples: durations of one resetting timer to write. Of more than that some are written,
            evenly from the shortest to the longest, with the rate at which they were taken.
        reader: who reads; what resets when it is read resets for this reader alone.

    Raises:
        TypeError: `deltas` is none, `namespace` not a str, `tags` not str to str, or `samples` not
            an int.
        ValueError: a tag's name is empty, `dialect` unknown, or `samples` not positive.
    """
    return chunked(
        lines(
            registry,
            deltas=deltas,
            namespace=namespace,
            tags=tags,
            dialect=dialect,
            samples=samples,
            reader=reader,
        )
    )


render = render_of(stream)


def lines(
    registry: Registry,
    *,
    deltas: Deltas,
    namespace: str = "",
    tags: Mapping[str, str] = NO_TAGS,
    dialect: str = "statsd",
    samples: int = SAMPLES,
    reader: str = "statsd",
) -> Iterator[str]:
    """Return an iterator over what `render` returns line by line, for `datagrams`.

    The two lines of a negative gauge come as one text, so that they travel together.
    """
    if not isinstance(deltas, Deltas):
        raise TypeError(f"deltas takes a Deltas that is kept between reports, got {deltas!r}")
    if dialect not in DIALECTS:
        raise ValueError(f"dialect is one of {', '.join(DIALECTS)}; got {dialect!r}")
    namespace = checked_prefix("namespace", namespace)
    tags = checked_tags(tags)
    samples = size("samples", samples)
    place = tagged if dialect == "dogstatsd" else nested
    return (
        text
        for one, where in assign_targets(
            followed(registry, deltas, reader), partial(place, namespace, tags)
        )
        for text in texts_of(one, where, deltas, samples)
    )


def followed(registry: Registry, deltas: Deltas, reader: str) -> Iterator[Series]:
    """Yield every series, as one pass of `deltas`."""
    deltas.begin(0, 0)  # nobody asks it for times
    yield from split_points(read_series(registry, reader))
    deltas.end()


def tagged(namespace: str, tags: Mapping[str, str], one: Series) -> Place:
    """Return the place of a series whose labels are tags."""
    pairs = merged(tags, one.labels, tag_name, plain)
    tail = ",".join([f"{name}:{value}" for name, value in pairs])
    return Place(path(namespace, one.name), f"|#{tail}" if tail else "", has_tags=True)


def nested(namespace: str, tags: Mapping[str, str], one: Series) -> Place | None:
    """Return the place of a series whose labels are in its name; None for info labels."""
    if one.is_info:
        return None
    return Place(path(namespace, one.name, *nodes(tags, one.labels)), "", has_tags=False)


def texts_of(one: Series, where: Place, deltas: Deltas, samples: int) -> Iterator[str]:
    """Yield the lines of a series."""
    if one.resets and isinstance(one.snapshot, HistogramSnapshot):
        yield from durations_of(one.snapshot, where, samples)
        return
    total = one.snapshot.total
    single = is_single(one)
    for field, value in fields(one, MILLISECONDS).items():
        at = where if single else where._replace(path=path(where.path, field))
        if total is None or field != "count":
            yield gauge(at, value)
        elif grown := finite(deltas.added((one.name, one.labels), (total,))[1][0]):
            yield f"{at.path}:{decimal(grown)}|c{at.tail}\n"


def gauge(at: Place, value: Number) -> str:
    """Return the line of a gauge, or two."""
    text = decimal(value)
    set_first = f"{at.path}:0|g{at.tail}\n" if text[0] == "-" and not at.has_tags else ""
    return f"{set_first}{at.path}:{text}|g{at.tail}\n"


def durations_of(snapshot: HistogramSnapshot, where: Place, samples: int) -> Iterator[str]:
    """Yield a line for each duration of a resetting timer, or for some of very many."""
    values = snapshot.values
    if len(values) > samples:
        step = len(values) / samples
        values = tuple([values[int((index + 0.5) * step)] for index in range(samples)])
    taken = len(values) < snapshot.count
    rate = f"|@{decimal(len(values) / snapshot.count)}" if taken else ""
    for value in values:
        milliseconds = finite(value * MILLISECONDS)
        if milliseconds is not None:
            yield f"{where.path}:{decimal(milliseconds)}|ms{rate}{where.tail}\n"
