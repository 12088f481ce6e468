"""The messages of Prometheus' remote write, as binary protobuf.

The format: `WriteRequest`, `TimeSeries`, `Label` and `Sample` of
https://prometheus.io/docs/specs/prw/remote_write_spec/#protocol; the encoding:
https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterable
from functools import lru_cache
from struct import pack

STALE = (0x7FF0000000000002).to_bytes(8, "little")
"""The one NaN that says that a series has ended."""

LABELS = 4096
"""Labels that are kept as they are written: most series have most of theirs in common."""

SEVEN_BITS = 0x7F

MORE = 0x80

SHORT = tuple([bytes([number]) for number in range(MORE)])
"""The numbers that take one byte, which nearly all lengths are."""


def time_series(labels: Iterable[tuple[str, str]], number: bytes, timestamp_ms: int) -> bytes:
    """Return a series with one sample, as the field of a `WriteRequest` that holds it.

    Args:
        labels: name and value, in the order of names, `__name__` among them.
        number: the sample's value, as `double` writes it, or `STALE`.
        timestamp_ms: its time, in milliseconds since 1970.
    """
    held = [label(name, value) for name, value in labels]
    # A double is 64 bits as they are, an int64 a varint.
    sample = b"\x09" + number + b"\x10" + varint(timestamp_ms)
    return field(1, b"".join([*held, field(2, sample)]))


@lru_cache(maxsize=LABELS)
def label(name: str, value: str) -> bytes:
    """Return a label, as the field of a series that holds it."""
    return field(1, field(1, text(name)) + field(2, text(value)))


def double(value: float) -> bytes:
    """Return a number in 64 bits."""
    return pack("<d", value)


def field(number: int, content: bytes) -> bytes:
    """Return a field that holds a text or a message: its number, its length, and what it holds."""
    return SHORT[number << 3 | 2] + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Return a number that is not negative, seven bits a byte, the lowest first."""
    if number < MORE:
        return SHORT[number]
    digits = bytearray()
    while number > SEVEN_BITS:
        digits.append(number & SEVEN_BITS | MORE)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def text(value: str) -> bytes:
    """Return a text as UTF-8; half a surrogate pair, which has no place in it, becomes `?`."""
    return value.encode(errors="replace")
