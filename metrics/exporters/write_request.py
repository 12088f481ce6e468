"""The messages of Prometheus' remote write, as binary protobuf.

The format: `WriteRequest`, `TimeSeries`, `Label` and `Sample` of
https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol; the encoding:
https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterable
from struct import pack

SEVEN_BITS = 0x7F

MORE = 0x80


def time_series(labels: Iterable[tuple[str, str]], value: float, timestamp_ms: int) -> bytes:
    """Return a series with one sample, as the field of a `WriteRequest` that holds it.

    Args:
        labels: name and value, in the order of names, `__name__` among them.
        value: that of the sample.
        timestamp_ms: its time, in milliseconds since 1970.
    """
    held = [field(1, field(1, text(name)) + field(2, text(label))) for name, label in labels]
    # A double is 64 bits as they are, an int64 a varint.
    sample = b"\x09" + pack("<d", value) + b"\x10" + varint(timestamp_ms)
    return field(1, b"".join([*held, field(2, sample)]))


def field(number: int, content: bytes) -> bytes:
    """Return a field that holds a text or a message: its number, its length, and what it holds."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Return a number that is not negative, seven bits a byte, the lowest first."""
    digits = bytearray()
    while number > SEVEN_BITS:
        digits.append(number & SEVEN_BITS | MORE)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def text(value: str) -> bytes:
    """Return a text as UTF-8; half a surrogate pair, which has no place in it, becomes `?`."""
    return value.encode(errors="replace")
