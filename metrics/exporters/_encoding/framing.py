"""Lines and texts framed: as one page, as chunks and as datagrams."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec

from metrics.instruments._inner import size as checked_size

P = ParamSpec("P")

CHUNK = 1 << 15
"""Characters after which a chunk ends: 32 KB, more if a character is more than a byte."""

SIZE = 1432
"""Bytes of a datagram that fits into one Ethernet frame, with the largest usual headers."""


def render_of(stream: Callable[P, Iterator[bytes]]) -> Callable[P, bytes]:
    """Return the `render` of a format: its `stream` as one `bytes`, with the same options."""

    def render(*args: P.args, **kwargs: P.kwargs) -> bytes:
        """Return all chunks of `stream` as one page; with the options and errors of `stream`."""
        # A buffer that grows would hold up other threads while it moves; `join` lets them run.
        return b"".join(stream(*args, **kwargs))

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
    waiting: list[str] = []
    held = 0
    for text in texts:
        waiting.append(text)
        held += len(text)
        if held >= CHUNK:
            yield encode("".join(waiting))
            waiting = []
            held = 0
    if held:
        yield encode("".join(waiting))


def encode(text: str) -> bytes:
    """Return a text as UTF-8, as `join_chunks` writes it."""
    return text.encode(errors="backslashreplace")


def datagrams(
    texts: Iterable[str], *, dropped: Callable[[str], object], size: int = SIZE
) -> Iterator[bytes]:
    """Return an iterator over payloads of one or more texts, in order, none of them cut in two.

    Args:
        texts: lines, or groups of lines that share a datagram. Payloads do not end with a line
            feed.
        dropped: called with each text that is too large for any payload.
        size: the largest payload, in bytes.

    Raises:
        TypeError: `size` is not an int.
        ValueError: `size` is not positive.
    """
    return pack(texts, dropped, checked_size("size", size))


def pack(texts: Iterable[str], dropped: Callable[[str], object], size: int) -> Iterator[bytes]:
    """Yield the payloads of `datagrams`."""
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
