"""Requests of remote write split by series.

The encoding: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator, Sequence

from metrics.exporters._series.series import labels_text
from metrics.exporters.remote_write._compression import compressor, decompress
from metrics.exporters.remote_write._messages import MORE, SEVEN_BITS

TIME_SERIES = 1 << 3 | 2
"""Tag of the field of a `WriteRequest` that holds a series."""


def split(payload: bytes) -> list[bytes]:
    """Return the series of a compressed `WriteRequest`, each after the metadata of its family."""
    request = decompress(payload)
    ends = [end for tag, _, end in fields(request) if tag == TIME_SERIES]
    if request and ends[-1:] != [len(request)]:
        ends.append(len(request))
    return [request[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def join(series: Sequence[bytes]) -> bytes:
    """Return series as a compressed `WriteRequest`; the inverse of `split`."""
    return compressor()(b"".join(series))


def describe(series: bytes) -> str:
    """Return the name and the labels of a series."""
    *_, (tag, start, end) = fields(series)
    if tag != TIME_SERIES:
        return "metadata"
    content = series[start:end]
    labels = {}
    for label_tag, label_start, label_end in fields(content):
        if label_tag == TIME_SERIES:
            label = content[label_start:label_end]
            name, value = [label[at:to].decode() for _, at, to in fields(label)]
            labels[name] = value
    return labels.pop("__name__", "") + labels_text(tuple(labels.items()))


def fields(message: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the tags of fields that have a length, and the start and end of their contents."""
    end = 0
    while end < len(message):
        tag, start = varint_at(message, end)
        length, start = varint_at(message, start)
        end = start + length
        yield tag, start, end


def varint_at(message: bytes, start: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the lowest first, and the position after it."""
    number = shift = 0
    while True:
        byte = message[start]
        number |= (byte & SEVEN_BITS) << shift
        start += 1
        if byte < MORE:
            return number, start
        shift += 7
