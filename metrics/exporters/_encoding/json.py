"""Values as JSON."""

import json
from collections.abc import Iterable, Iterator
from math import isfinite

from metrics.exporters._encoding.numbers import bounded
from metrics.instruments import Snapshot


def written(members: Iterable[tuple[str, object]]) -> Iterator[str]:
    """Yield the text of a JSON object, member by member."""
    separator = "{"
    for key, value in members:
        yield f"{separator}{text_of(key)}: {text_of(finite_only(value))}"
        separator = ", "
    yield "{}" if separator == "{" else "}"


def text_of(value: object) -> str:
    """Return a value as JSON; as a string if it has no other form, for a page must not fail."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)


def finite_only(value: object) -> object:
    """Return a copy in which every number that is no finite float is None."""
    if isinstance(value, dict):
        return {key: finite_only(item) for key, item in value.items()}
    if isinstance(value, int | float) and not isfinite(bounded(value)):
        return None
    return value


def info_text(snapshot: Snapshot, separators: tuple[str, str] = (", ", ": ")) -> str:
    """Return info labels as a JSON object, in the order of their names."""
    labels = {name: text for point in snapshot.points for name, text in point.labels}
    return json.dumps(labels, ensure_ascii=False, separators=separators)


def one_line(text: str) -> str:
    r"""Return a text in which no character ends a line or moves a terminal's cursor.

    Characters that are not printable (line ends of any kind, escape sequences, marks that turn the
    direction of writing) are written as `\n`, `\x1b` or `\u2028`.
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])
