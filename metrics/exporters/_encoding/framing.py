"""Formats framed: texts joined to pages, chunks and datagrams."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec

from metrics.instruments._inner import size as checked_size

P = ParamSpec("P")


def render_of(stream: Callable[P, Iterator[bytes]]) -> Callable[P, bytes]:
    """Return the `render` of a format: its `stream` as one `bytes`, with the same options."""

    def render(*args: P.args, **kwargs: P.kwargs) -> bytes:
        """Return all chunks of `stream` as one page; options and errors are those of `stream`."""
        return b"".join(stream(*args, **kwargs))

    render.__module__ = stream.__module__
    render.__qualname__ = "render"
    signature = inspect.signature(stream).replace(return_annotation=bytes)
    render.__signature__ = signature  # type: ignore[attr-defined] # functions have no such slot
    return render


CHUNK = 1 << 15
"""Characters after which a chunk ends: 32 KB, more where a character takes more than a byte."""


def chunked(texts: Iterable[str]) -> Iterator[bytes]:
    r"""Yield texts as UTF-8, joined to chunks of some tens of KB; no text is cut in two.

    Half a surrogate pair, which has no place in UTF-8, is written as `\udcff`.

    Args:
        texts: what to write; nothing is read ahead of the chunk that is made.
    """
    waiting: list[str] = []
    held = 0
    for text in texts:
        waiting.append(text)
        held += len(text)
        if held >= CHUNK:
            yield encoded("".join(waiting))
            waiting = []
            held = 0
    if held:
        yield encoded("".join(waiting))


def encoded(text: str) -> bytes:
    """Return a text as UTF-8."""
    return text.encode(errors="backslashreplace")


SIZE = 1432
"""Bytes that go through an Ethernet in one piece, whatever headers there are."""


def datagrams(
    texts: Iterable[str], *, dropped: Callable[[str], object], size: int = SIZE
) -> Iterator[bytes]:
    """Return an iterator over payloads of one or more texts, in order, none cut in two.

    Args:
        texts: lines, or lines that belong together; the line feed at the end of a payload is left
            out.
        dropped: called with each text that is too large for any payload.
        size: bytes a payload may have.

    Raises:
        TypeError: `size` is not an int.
        ValueError: `size` is not positive.
    """
    return packed(texts, dropped, checked_size("size", size))


def packed(texts: Iterable[str], dropped: Callable[[str], object], size: int) -> Iterator[bytes]:
    """Yield payloads; see `datagrams`."""
    waiting: list[bytes] = []
    held = 0
    for text in texts:
        data = encoded(text.removesuffix("\n"))
        if len(data) > size:
            dropped(text)
            continue
        # A line feed goes before each but the first.
        if waiting and held + 1 + len(data) > size:
            yield b"\n".join(waiting)
            waiting = []
            held = 0
        held += len(data) + (1 if waiting else 0)
        waiting.append(data)
    if waiting:
        yield b"\n".join(waiting)
