"""A registry to the requests of remote write, compressed with snappy."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING

from metrics.exporters._encoding.numbers import bounded
from metrics.exporters._encoding.units import MILLISECOND, checked_ns
from metrics.exporters._exposition.families import Sample
from metrics.exporters._exposition.reading import read_samples
from metrics.exporters._series.series import Labels
from metrics.exporters._series.staleness import Staleness
from metrics.exporters.remote_write._messages import STALE, double, time_series
from metrics.instruments._inner import Whole, checked_labels, size
from metrics.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

CONTENT_TYPE = "application/x-protobuf"

MAX_SAMPLES = 2000
"""Samples of one request, unless told otherwise."""

NO_LABELS: Mapping[str, str] = {}


def render(
    registry: Registry,
    *,
    timestamp_ns: Whole,
    labels: Mapping[str, str] = NO_LABELS,
    staleness: Staleness | None = None,
    reader: str = "remote-write",
) -> bytes:
    """Return the values of a registry as one `WriteRequest`, compressed with snappy.

    The samples are those of Prometheus' text format, with its names, labels and base units.

    Args:
        registry: what to read.
        timestamp_ns: the time of the values, in nanoseconds since 1970; they are written in
            milliseconds.
        labels: given to every series that has no label of the same name.
        staleness: what the server has been told of; the same `Staleness()` at every look. With it
            a series that is no more ends with a marker that says so.
        reader: who reads; what resets when it is read resets for this reader alone.

    Raises:
        ImportError: `cramjam` is not installed.
        TypeError: `timestamp_ns` is not an int, or `labels` not a mapping of str to str.
        ValueError: `timestamp_ns` is negative or has more than 63 bits, or a label is malformed.
    """
    compress = compressor()
    return compress(b"".join(encoded(registry, timestamp_ns, labels, staleness, reader)))


def stream(
    registry: Registry,
    *,
    timestamp_ns: Whole,
    labels: Mapping[str, str] = NO_LABELS,
    staleness: Staleness | None = None,
    batch_size: Whole = MAX_SAMPLES,
    reader: str = "remote-write",
) -> Iterator[bytes]:
    """Return an iterator over whole requests of at most `batch_size` samples; else as `render`.

    Options are checked at once.
    """
    series = encoded(registry, timestamp_ns, labels, staleness, reader)
    return requests(series, size("batch_size", batch_size), compressor())


def requests(
    series: Iterator[bytes], limit: int, compress: "Callable[[bytes], bytes]"
) -> Iterator[bytes]:
    """Yield requests of at most `limit` series."""
    while request := b"".join(islice(series, limit)):
        yield compress(request)


def encoded(
    registry: Registry,
    timestamp_ns: Whole,
    labels: Mapping[str, str],
    staleness: Staleness | None,
    reader: str,
) -> Iterator[bytes]:
    """Return an iterator over series with one sample each, encoded; options are checked at once."""
    at = checked_ns(timestamp_ns) // MILLISECOND
    given = dict(checked_labels(labels))
    return written(registry, at, given, Staleness() if staleness is None else staleness, reader)


def written(
    registry: Registry, at: int, given: Mapping[str, str], staleness: Staleness, reader: str
) -> Iterator[bytes]:
    """Yield series with a sample at a time in milliseconds, and markers of those that ended."""
    staleness.begin()
    for sample in read_samples(registry, reader):
        labels = labels_of(sample, given)
        staleness.add(labels)
        yield time_series(labels, double(bounded(sample.value)), at)
    for labels in staleness.ended():
        yield time_series(labels, STALE, at)


def labels_of(sample: Sample, given: Mapping[str, str]) -> Labels:
    """Return the labels of a series in the order of names; an empty one is as good as none."""
    held = {**given, "__name__": sample.name}
    held.update(sample.labels)
    return tuple([pair for pair in sorted(held.items()) if pair[1]])


def compressor() -> "Callable[[bytes], bytes]":
    """Return what compresses a request; raise ImportError if it is not installed."""
    try:
        from cramjam import snappy  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ImportError(
            "remote write needs cramjam: pip install 'wired-metrics[remote-write]'"
        ) from error
    # The format has no frames: a block alone.
    return lambda request: bytes(snappy.compress_raw(request))
