"""Registry as requests of remote write, compressed with snappy."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from metrics.exporters._encoding.framing import render_of
from metrics.exporters._encoding.numbers import clamp
from metrics.exporters._encoding.units import MILLISECOND, checked_ns
from metrics.exporters._exposition.families import Sample
from metrics.exporters._exposition.reading import read_samples
from metrics.exporters._series.series import Labels
from metrics.exporters._series.staleness import Staleness
from metrics.exporters.remote_write._compression import compressor, decompress
from metrics.exporters.remote_write._messages import STALE, double, exemplar_field, time_series
from metrics.exporters.remote_write._metadata import Metadata
from metrics.instruments import Exemplar
from metrics.instruments._inner import Whole, checked_labels, size
from metrics.registry import Registry

CONTENT_TYPE = "application/x-protobuf"

MAX_SAMPLES = 2000
"""Default limit of the samples of one request."""

NO_LABELS: Mapping[str, str] = {}


def stream(
    registry: Registry,
    *,
    timestamp_ns: Whole,
    labels: Mapping[str, str] = NO_LABELS,
    staleness: Staleness | None = None,
    metadata: Metadata | None = None,
    batch_size: Whole = MAX_SAMPLES,
    reader: str = "remote-write",
) -> Iterator[bytes]:
    """Yield the values of a registry as `WriteRequest`s, each compressed with snappy.

    Samples are the same as in Prometheus' text format, with its names, labels and base units, and
    so are the types and help texts of the metadata. Totals and buckets have their latest exemplars.
    Errors are raised by the call itself.

    Args:
        registry: the registry to read.
        timestamp_ns: the time of the values, in nanoseconds since 1970; written in milliseconds.
        labels: labels of every series that has no label of the same name.
        staleness: series that the server has; the same `Staleness()` for each report. With it, a
            series that is not there any more ends with a stale marker.
        metadata: metadata that the server has; the same `Metadata()` for each report. With it, each
            metric family has its metadata in the first request, and once a minute; without it,
            no request has any.
        batch_size: the limit of samples in one request.
        reader: the reader's name; values that reset at a read reset for this reader alone.

    Raises:
        ImportError: `cramjam` is not installed.
        TypeError: `timestamp_ns` is not an int, or `labels` not a mapping of str to str.
        ValueError: `timestamp_ns` is negative or has more than 63 bits, or a label is malformed.
    """
    series = fields(registry, timestamp_ns, labels, staleness, metadata, reader)
    return requests(series, size("batch_size", batch_size), compressor())


def join(requests: Iterable[bytes]) -> bytes:
    """Return compressed requests as one."""
    return compressor()(b"".join(map(decompress, requests)))


render = render_of(stream, join)


def stream_end(
    staleness: Staleness, *, timestamp_ns: Whole, batch_size: Whole = MAX_SAMPLES
) -> Iterator[bytes]:
    """Yield requests of at most `batch_size` stale markers, which end all series of a server.

    A server has one sample of a series at a time: the markers need a later time than the values,
    by a millisecond at least.

    Args:
        staleness: the series that the server has; none after the last request.
        timestamp_ns: the time of the markers, in nanoseconds since 1970.
        batch_size: the limit of markers in one request.

    Raises:
        ImportError, TypeError, ValueError: as `render`, from the call itself.
    """
    at = checked_ns(timestamp_ns) // MILLISECOND
    return requests(markers(staleness, at), size("batch_size", batch_size), compressor())


def requests(
    series: Iterator[bytes], limit: int, compress: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    """Yield requests of at most `limit` series."""
    while request := b"".join(islice(series, limit)):
        yield compress(request)


def fields(
    registry: Registry,
    timestamp_ns: Whole,
    labels: Mapping[str, str],
    staleness: Staleness | None,
    metadata: Metadata | None,
    reader: str,
) -> Iterator[bytes]:
    """Check the options; return an iterator over encoded series with one sample each."""
    ns = checked_ns(timestamp_ns)
    constant = dict(checked_labels(labels, dots=False))
    kept = Staleness() if staleness is None else staleness
    return encode(registry, ns, constant, kept, metadata, reader)


def encode(
    registry: Registry,
    ns: int,
    constant: Mapping[str, str],
    staleness: Staleness,
    metadata: Metadata | None,
    reader: str,
) -> Iterator[bytes]:
    """Yield series with one sample each, and the markers of series that have ended.

    A series follows the metadata of its family, if that is due.
    """
    at = ns // MILLISECOND
    staleness.begin()
    if metadata is not None:
        metadata.begin(ns)
    for family, sample in read_samples(registry, reader):
        labels = series_labels(sample, constant)
        staleness.add(labels)
        exemplar = b"" if sample.exemplar is None else field_of(sample.exemplar)
        series = time_series(labels, double(clamp(sample.value)), at, exemplar)
        yield series if metadata is None else metadata.due(family) + series
    if metadata is not None:
        metadata.end()
    for labels in staleness.end():
        yield time_series(labels, STALE, at)


def field_of(exemplar: Exemplar) -> bytes:
    """Return an exemplar as a field of its series."""
    labels = [pair for pair in sorted(exemplar.labels) if pair[1]]
    # The clock of an instrument may be set before 1970.
    at = max(int(exemplar.timestamp * 1000.0), 0)
    return exemplar_field(labels, double(clamp(exemplar.value)), at)


def markers(staleness: Staleness, at: int) -> Iterator[bytes]:
    """Yield the stale markers of all series, at a time in milliseconds since 1970."""
    staleness.begin()
    for labels in staleness.end():
        yield time_series(labels, STALE, at)


def series_labels(sample: Sample, constant: Mapping[str, str]) -> Labels:
    """Return the labels of a series in the order of names; an empty label is as good as none."""
    labels = {**constant, "__name__": sample.name}
    labels.update(sample.labels)
    return tuple([pair for pair in sorted(labels.items()) if pair[1]])
