"""Messages of Prometheus' remote write, as binary protobuf.

The format: `WriteRequest`, `TimeSeries`, `Label` and `Sample` of
https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol, and `Exemplar` and
`MetricMetadata` of https://github.com/prometheus/prometheus/blob/main/prompb/types.proto; the
encoding: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterable
from functools import lru_cache
from struct import pack

STALE = (0x7FF0000000000002).to_bytes(8, "little")
"""NaN that marks the end of a series."""

LABELS = 4096
"""Number of encoded labels that are cached: most series have most of their labels in common."""

METRIC_TYPES = {"counter": 1, "gauge": 2, "histogram": 3, "summary": 5}
"""Types of metric families; any other is unknown, 0."""

SEVEN_BITS = 0x7F

MORE = 0x80

SHORT = tuple([bytes([number]) for number in range(MORE)])
"""Numbers that take one byte, as nearly all lengths do."""


def time_series(
    labels: Iterable[tuple[str, str]], number: bytes, timestamp_ms: int, exemplar: bytes = b""
) -> bytes:
    """Return a series with one sample, as a field of a `WriteRequest`.

    Args:
        labels: names and values in the order of names, `__name__` among them.
        number: the value of the sample, as `double` encodes it, or `STALE`.
        timestamp_ms: the time of the sample, in milliseconds since 1970.
        exemplar: the exemplar of the sample, as `exemplar_field` encodes it, if it has one.
    """
    fields = [label(name, value) for name, value in labels]
    # A double is 64 bits without a length, an int64 a varint.
    sample = b"\x09" + number + b"\x10" + varint(timestamp_ms)
    return field(1, b"".join([*fields, field(2, sample), exemplar]))


def exemplar_field(labels: Iterable[tuple[str, str]], number: bytes, timestamp_ms: int) -> bytes:
    """Return an exemplar, as a field of a series.

    Args:
        labels: names and values in the order of names.
        number: the value, as `double` encodes it.
        timestamp_ms: the time of the update, in milliseconds since 1970.
    """
    # Not cached as labels of series are: the trace is another one each time.
    fields = [field(1, field(1, text(name)) + field(2, text(value))) for name, value in labels]
    return field(3, b"".join([*fields, b"\x11", number, b"\x18", varint(timestamp_ms)]))


def metric_metadata(family: str, kind: str, help_text: str, unit: str) -> bytes:
    """Return the metadata of a metric family, as a field of a `WriteRequest`."""
    texts = {2: family, 4: help_text, 5: unit}
    fields = [field(number, text(value)) for number, value in texts.items() if value]
    return field(3, b"".join([b"\x08", varint(METRIC_TYPES.get(kind, 0)), *fields]))


@lru_cache(maxsize=LABELS)
def label(name: str, value: str) -> bytes:
    """Return a label, as a field of a series."""
    return field(1, field(1, text(name)) + field(2, text(value)))


def double(value: float) -> bytes:
    """Return a number in 64 bits."""
    return pack("<d", value)


def field(number: int, content: bytes) -> bytes:
    """Return a field with a text or a message: its number, its length and its content."""
    return SHORT[number << 3 | 2] + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Return a number that is not negative in seven bits a byte, the lowest first."""
    if number < MORE:
        return SHORT[number]
    digits = bytearray()
    while number > SEVEN_BITS:
        digits.append(number & SEVEN_BITS | MORE)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def text(value: str) -> bytes:
    """Return a text as UTF-8; half a surrogate pair, which UTF-8 cannot encode, becomes `?`."""
    return value.encode(errors="replace")
