"""Lines of StatsD: the dialect of its first server, and Datadog's dialect with tags.

The formats: https://github.com/statsd/statsd/blob/master/docs/metric_types.md and
https://docs.datadoghq.com/developers/dogstatsd/datagram_shell/
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from logging import getLogger
from typing import NamedTuple, TypeVar

from metrics.exporters._encoding.framing import datagrams, join_chunks, render_of
from metrics.exporters._encoding.names import (
    NO_TAGS,
    checked_prefix,
    checked_tags,
    merge_tags,
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

__all__ = ["CONTENT_TYPE", "DIALECTS", "SAMPLES", "Deltas", "merge", "render", "stream"]

DIALECTS = ("statsd", "dogstatsd")

SAMPLES = 1000
"""Default number of durations of one resetting timer in one report."""

MILLISECONDS = per_second("milliseconds")

T = TypeVar("T")

logger = getLogger(__name__)


class SeriesFrame(NamedTuple):
    """Texts before and after the values of a series, and whether its labels are tags."""

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
    datagram_bytes: int | None = None,
    reader: str = "statsd",
) -> Iterator[bytes]:
    """Yield the updates of a registry since the last export as lines, in name order.

    StatsD counts events: the value of a counter is its increment (`c`, left out if it is 0), and
    that of a resetting timer each of its durations, in milliseconds (`ms`). Meters, timers and
    histograms are the increment of their count, and a gauge (`g`) for each of their statistics,
    durations in milliseconds. All other values are gauges. A negative gauge is set to 0 first,
    because a sign means a change; in Datadog's dialect it does not.

    Names and fields are go-ethereum's, with a dot for `/`, and `_` for characters other than
    letters, ASCII digits, `-` and `_`; a tag keeps its dots and slashes, and its value its colons.
    A warning is logged if two series have the same path and tags after that. NaN and infinities
    are left out.

    Chunks have some tens of KB each, of whole lines.

    Args:
        registry: the registry to read.
        deltas: the totals that the server has; the same `Deltas()` at every export. Written
            increments count as delivered.
        namespace: the prefix of all names.
        tags: tags of every series that has no label of the same name.
        dialect: `statsd` writes labels into the name, as `<name>.<label>.<value>`, and leaves out
            info instruments; `dogstatsd` writes labels as tags, and info labels as the tags of a 1.
        samples: durations of one resetting timer to write. If there are more, some are written,
            evenly from the shortest to the longest, with their sampling rate.
        datagram_bytes: the largest payload, for UDP: payloads do not end with a line feed, and a
            line that is longer is left out, which is logged. None yields chunks.
        reader: the reader's name; values that reset at a read reset for this reader alone.

    Raises:
        TypeError: `deltas` is no `Deltas`, `namespace` no str, `tags` no mapping of str to str, or
            `samples` or `datagram_bytes` no int.
        ValueError: the name of a tag is empty, `dialect` unknown, or `samples` or `datagram_bytes`
            not positive.
    """
    if not isinstance(deltas, Deltas):
        raise TypeError(f"invalid deltas {deltas!r}: pass the same Deltas() at every export")
    if dialect not in DIALECTS:
        raise ValueError(f"invalid dialect {dialect!r}: use one of {', '.join(DIALECTS)}")
    namespace = checked_prefix("namespace", namespace)
    tags = checked_tags(tags)
    most = size("samples", samples)
    frame = frame_by_tags if dialect == "dogstatsd" else frame_by_path
    all_series = series_in_pass(registry, deltas, reader)
    texts = (
        text
        for one, where in assign_targets(all_series, partial(frame, namespace, tags))
        for text in texts_of(one, where, deltas, most)
    )
    return payloads(texts, datagram_bytes)


def join(payloads: Iterable[bytes]) -> bytes:
    """Return chunks or datagrams as one page of lines."""
    return b"".join([payload.removesuffix(b"\n") + b"\n" for payload in payloads])


render = render_of(stream, join)


def payloads(texts: Iterable[str], datagram_bytes: int | None) -> Iterator[bytes]:
    """Return an iterator over texts as datagrams, or as chunks if `datagram_bytes` is None."""
    if datagram_bytes is None:
        return join_chunks(texts)
    return datagrams(texts, dropped=drop, size=size("datagram_bytes", datagram_bytes))


def drop(line: str) -> None:
    """Log that a line is too long for a datagram, once for each series."""
    warn_once(line.partition(":")[0])


@lru_cache(maxsize=1024)
def warn_once(path: str) -> None:
    """Log that a series is left out, the first time only."""
    logger.warning(
        "%.100s... is left out: with its tags it is too long for a datagram; give it shorter "
        "labels, or raise datagram_bytes",
        path,
    )


def series_in_pass(registry: Registry, deltas: Deltas, reader: str) -> Iterator[Series]:
    """Yield every series, within one pass of `deltas`."""
    deltas.begin(0, 0)  # StatsD has no start times
    yield from split_points(read_series(registry, reader))
    deltas.end()


def frame_by_tags(namespace: str, tags: Mapping[str, str], one: Series) -> SeriesFrame:
    """Return the frame of a series whose labels are tags."""
    pairs = merge_tags(tags, one.labels, tag_name, tag_value)
    tail = ",".join([f"{name}:{value}" for name, value in pairs])
    return SeriesFrame(path(namespace, one.name), f"|#{tail}" if tail else "", has_tags=True)


def tag_value(text: str) -> str:
    """Return the value of a tag as `plain` does; it keeps colons too, as in `url:http://x:80/`.

    Servers separate name and value at the first colon.
    """
    return ":".join(map(plain, text.split(":")))


def frame_by_path(namespace: str, tags: Mapping[str, str], one: Series) -> SeriesFrame | None:
    """Return the frame of a series whose labels are in its name; None for info labels."""
    if one.is_info:
        return None
    return SeriesFrame(path(namespace, one.name, *nodes(tags, one.labels)), "", has_tags=False)


def texts_of(one: Series, where: SeriesFrame, deltas: Deltas, samples: int) -> Iterator[str]:
    """Yield the lines of a series; the two of a negative gauge as one text, for one datagram."""
    if one.resets and isinstance(one.snapshot, HistogramSnapshot):
        yield from durations_of(one.snapshot, where, samples)
        return
    total = one.snapshot.total
    single = is_single(one)
    for field, value in fields(one, MILLISECONDS).items():
        at = where if single else where._replace(path=path(where.path, field))
        if total is None or field != "count":
            yield gauge(at, value)
        elif grown := finite(deltas.added(one.identity, (total,))[1][0]):
            yield f"{at.path}:{decimal(grown)}|c{at.tail}\n"


def gauge(at: SeriesFrame, value: Number) -> str:
    """Return the line of a gauge; two lines if it is negative in a dialect with signs."""
    text = decimal(value)
    set_first = f"{at.path}:0|g{at.tail}\n" if text[0] == "-" and not at.has_tags else ""
    return f"{set_first}{at.path}:{text}|g{at.tail}\n"


def durations_of(snapshot: HistogramSnapshot, where: SeriesFrame, samples: int) -> Iterator[str]:
    """Yield a line for each duration of a resetting timer, or for `samples` of them."""
    values = evenly(snapshot.values, samples)
    taken = len(values) < snapshot.count
    rate = f"|@{decimal(len(values) / snapshot.count)}" if taken else ""
    for value in values:
        milliseconds = finite(value * MILLISECONDS)
        if milliseconds is not None:
            yield f"{where.path}:{decimal(milliseconds)}|ms{rate}{where.tail}\n"


def evenly(values: Sequence[T], samples: int) -> Sequence[T]:
    """Return at most as many of some values as `samples`, evenly from the first to the last."""
    if len(values) <= samples:
        return values
    step = len(values) / samples
    return [values[int((index + 0.5) * step)] for index in range(samples)]


INCREMENT = re.compile(
    r"(?P<path>[^:]*):(?P<value>[^|]*)\|(?P<type>c|ms)(?:\|@(?P<rate>[^|]*))?(?P<tail>\|#.*)?"
)
"""Line of a counter, or of one duration of a resetting timer."""


def merge(
    lines: Iterable[str], samples: int = SAMPLES, datagram_bytes: int | None = None
) -> Iterator[bytes]:
    """Return payloads that have the same effect as lines that a server did not take; no gauges.

    Counters are added up by name and tags. The durations of a resetting timer stay as they are; of
    more than `samples` some are written, evenly from the shortest to the longest, with the rate at
    which they were taken.

    Args:
        lines: lines without line feeds.
        samples: durations of one resetting timer to write.
        datagram_bytes: the largest payload, for UDP; None returns chunks.
    """
    return payloads((f"{line}\n" for line in merged_lines(lines, samples)), datagram_bytes)


def merged_lines(lines: Iterable[str], samples: int) -> Iterator[str]:
    """Yield the lines of `merge`."""
    counters: dict[tuple[str, str], Number] = {}
    durations: defaultdict[tuple[str, str], list[tuple[Number, float, str]]] = defaultdict(list)
    for line in lines:
        if increment := INCREMENT.fullmatch(line):
            path, value, type_, rate, tail = increment.groups(default="")
            if type_ == "c":
                counters[path, tail] = counters.get((path, tail), 0) + number(value)
            else:
                durations[path, tail].append((number(value), float(rate or 1), line))
    for (path, tail), total in counters.items():
        written = finite(total)
        if written:
            yield f"{path}:{decimal(written)}|c{tail}"
    for (path, tail), found in durations.items():
        if len(found) <= samples:
            yield from [line for _, _, line in found]
            continue
        share = samples / sum([1 / rate for _, rate, _ in found])
        for duration, _, _ in evenly(sorted(found), samples):
            yield f"{path}:{decimal(duration)}|ms|@{decimal(share)}{tail}"


def number(text: str) -> Number:
    """Return the number that `decimal` has written."""
    return float(text) if "." in text else int(text)
