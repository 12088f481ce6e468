"""What a report is made of: chunks of what was read, joined and compressed to payloads."""

import gzip
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

BATCH = 1 << 20
"""Bytes of a payload after which it is full, before compression: 1 MiB."""


class Reading(NamedTuple):
    """Who reads the registry, and when."""

    reader: str
    timestamp_ns: int


Read = Callable[[Reading], Iterable[bytes]]
"""Reads what is to be reported, in chunks."""


def batched(chunks: Iterable[bytes], size: int = BATCH) -> Iterator[bytes]:
    """Yield chunks joined to payloads that end with the chunk that fills them."""
    waiting: list[bytes] = []
    held = 0
    for chunk in chunks:
        waiting.append(chunk)
        held += len(chunk)
        if held >= size:
            yield b"".join(waiting)
            waiting = []
            held = 0
    if held:
        yield b"".join(waiting)


def compressed(read: Read) -> Read:
    """Return what reads the same, gzipped."""
    return lambda reading: (gzip.compress(payload, mtime=0) for payload in read(reading))
