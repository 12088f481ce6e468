"""Texts in formats that people read, each on one line."""

import json

from metrics.instruments import Snapshot


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
