"""Texts in formats that people read, each on one line."""

import json
from collections.abc import Mapping


def facts_text(facts: Mapping[str, str]) -> str:
    """Return facts as a JSON object, by name."""
    return json.dumps(dict(sorted(facts.items())), ensure_ascii=False)


def one_line(text: str) -> str:
    r"""Return a text in which nothing ends a line or moves a terminal's cursor.

    What is not printable (line ends of any kind, escape sequences, marks that turn the direction
    of writing) is written as `\n`, `\x1b` or `\u2028`.
    """
    if text.isprintable():
        return text
    return "".join([c if c.isprintable() else c.encode("unicode_escape").decode() for c in text])
