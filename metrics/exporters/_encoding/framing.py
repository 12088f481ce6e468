"""Lines and texts framed: as one page, as chunks and as datagrams."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CHUNK = 1 << 15
"""Characters after which a chunk ends: 32 KB, more if a character is more than a byte."""

SIZE = 1432
"""Bytes of a datagram that fits into one Ethernet frame, with the largest usual headers."""


def render_of(
    stream: Callable[P, Iterator[bytes]], join: Callable[[Iterator[bytes]], bytes] = b"".join
) -> Callable[P, bytes]:
    """Return the `render` of a format: its `stream` as one `bytes`, with the same options.

    Args:
        stream: the function that yields the chunks.
        join: returns chunks as one page; joined as they are by default.
    """

    def render(*args: P.args, **kwargs: P.kwargs) -> bytes:
        """Return all chunks of `stream` as one page; with the options and errors of `stream`."""
        # A buffer that grows would hold up other threads while it moves; `join` lets them run.
        return join(stream(*args, **kwargs))

    render.__module__ = stream.__module__
    render.__qualname__ = "render"
    signature = inspect.signature(stream).replace(return_annotation=bytes)
    render.__signature__ = signature  # type: ignore[attr-defined] # functions have no such slot
    return render


def one_line(text: str) -> str:
    r"""Return a text in which no character ends a line or moves a terminal's cursor.

    Characters that are not printable (line ends of any kind, escape sequences, marks that turn the
    direction of writing) are written as `\n`, `\x1b` or `\u2028`.
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])


def join_chunks(texts: Iterable[str]) -> Iterator[bytes]:
    r"""Yield texts as UTF-8, joined to chunks of some tens of KB; no text is cut in two.

    Half a surrogate pair, which UTF-8 excludes, is written as `\udcff`.

    Args:
        texts: the texts; none is read ahead of the present chunk.
    """
    for batch in batches(texts, CHUNK, len):
        if chunk := "".join(batch):
            yield encode(chunk)


def encode(text: str) -> bytes:
    """Return a text as UTF-8, as `join_chunks` writes it."""
    return text.encode(errors="backslashreplace")


def batches(items: Iterable[T], size: int, size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """Yield items in groups that end with the item that fills them.

    Args:
        items: the items; none is read before it is part of the current group.
        size: the size at which a group is full.
        size_of: returns the size of an item.
    """
    batch: list[T] = []
    held = 0
    for item in items:
        batch.append(item)
        held += size_of(item)
        if held >= size:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def datagrams(
    texts: Iterable[str], *, dropped: Callable[[str], object], size: int = SIZE
) -> Iterator[bytes]:
    """Yield payloads of one or more texts, in order, none of them cut in two.

    Args:
        texts: lines, or groups of lines that share a datagram. Payloads do not end with a line
            feed.
        dropped: called with each text that is too large for any payload.
        size: the largest payload, in bytes.
    """
    waiting: list[bytes] = []
    held = 0
    for text in texts:
        data = encode(text.removesuffix("\n"))
        if len(data) > size:
            dropped(text)
            continue
        # A line feed stands before each text but the first.
        if waiting and held + 1 + len(data) > size:
            yield b"\n".join(waiting)
            waiting = []
            held = 0
        held += len(data) + (1 if waiting else 0)
        waiting.append(data)
    if waiting:
        yield b"\n".join(waiting)
