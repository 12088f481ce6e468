"""Payloads: chunks of a report joined and compressed, and split again by series."""

import gzip
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from metrics.exporters._encoding.framing import batches
from metrics.registry import Registry

BATCH = 1 << 20
"""Bytes after which a payload is full, before compression: 1 MiB."""


class Report(NamedTuple):
    """Name of the reader of a registry, and the time of the read."""

    reader: str
    timestamp_ns: int


Read = Callable[[Report], Iterable[bytes]]
"""Function that reads a registry and returns the payloads of a report."""

Merge = Callable[[Sequence[bytes]], Iterable[Sequence[bytes]]]
"""Function that adds up the increments of series, and returns the sums in groups, each of them the
series of one payload. Series without increments, such as gauges, are left out."""


class Codec(NamedTuple):
    """Encoding of payloads, each of which is a sequence of encoded series.

    Payloads are kept encoded, and decoded only when a server has refused them or when they are
    merged.
    """

    decode: Callable[[bytes], Sequence[bytes]]
    """Returns the series of a payload."""

    encode: Callable[[Sequence[bytes]], bytes]
    """Returns the payload of series; the inverse of `decode`."""

    describe: Callable[[bytes], str] = bytes.decode
    """Returns a series as the log shows it."""

    merge: Merge | None = None
    """Merges undelivered series; None for formats whose values replace each other."""


def join_chunks(chunks: Iterable[bytes], size: int = BATCH) -> Iterator[bytes]:
    """Yield payloads of whole chunks, each of which ends with the chunk that fills it."""
    for batch in batches(chunks, size, len):
        if payload := b"".join(batch):
            yield payload


def format_reader(
    registry: Registry, stream: Callable[..., Iterator[bytes]], **options: Any
) -> Read:
    """Return the function that reads a registry in a format.

    Args:
        registry: the registry.
        stream: the `stream` of a format with timestamps.
        options: its further options.

    Raises:
        TypeError, ValueError: an option is malformed.
    """
    stream(Registry(), timestamp_ns=0, **options)

    def read(report: Report) -> Iterable[bytes]:
        time, reader = report.timestamp_ns, report.reader
        return stream(registry, timestamp_ns=time, reader=reader, **options)

    return read


def compress_payloads(read: Read) -> Read:
    """Return a function that reads the same, gzipped."""
    return lambda report: (gzip.compress(payload, mtime=0) for payload in read(report))


def gzip_codec(codec: Codec) -> Codec:
    """Return the codec of the same payloads, gzipped."""
    return codec._replace(
        decode=lambda payload: codec.decode(gzip.decompress(payload)),
        encode=lambda series: gzip.compress(codec.encode(series), mtime=0),
    )


def split_lines(payload: bytes) -> list[bytes]:
    """Return the lines of a payload without their line feeds."""
    return payload.removesuffix(b"\n").split(b"\n")


def join_lines(lines: Sequence[bytes]) -> bytes:
    """Return lines, each with a line feed at its end."""
    return b"".join([line + b"\n" for line in lines])


LINES = Codec(split_lines, join_lines)
"""Formats with one series in a line."""

DECODER = json.JSONDecoder()


def split_array(payload: bytes) -> list[bytes]:
    """Return the elements of a JSON array without white space, each as it was written."""
    text = payload.decode()
    elements = []
    start = 1
    while start < len(text) - 1:
        _, end = DECODER.raw_decode(text, start)
        elements.append(text[start:end].encode())
        # A comma, or the bracket at the end.
        start = end + 1
    return elements


def join_array(elements: Sequence[bytes]) -> bytes:
    """Return JSON texts as an array."""
    return b"[%b]" % b",".join(elements)


JSON_ARRAY = Codec(split_array, join_array)
"""Formats that are one JSON array of series."""
