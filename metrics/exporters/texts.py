"""How names, labels and facts stand in formats that people read, each on one line."""

import json
from collections.abc import Mapping

from metrics.exporters.series import Series
from metrics.instruments.labels import label_text


def labels_of(one: Series) -> str:
    """Return the labels as `{method="GET",status="200"}`; nothing when there are none."""
    if not one.labels:
        return ""
    return label_text([name for name, _ in one.labels], [value for _, value in one.labels])


def key_of(one: Series) -> str:
    """Return the full name and the labels."""
    return one.name + labels_of(one)


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
