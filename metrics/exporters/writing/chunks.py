"""Many short texts put together to pieces that are worth sending, and small enough to hold."""

from collections.abc import Iterable, Iterator

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
