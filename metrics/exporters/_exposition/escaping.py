"""Escaping schemes: names of a page in the characters that its scraper accepts.

Metric names of the legacy alphabet have ASCII letters, digits, underscores and colons, label names
have no colons, and neither begins with a digit. The schemes `dots` and `values` are `EscapeName` of
https://github.com/prometheus/common/blob/main/model/metric.go, which differs from
https://prometheus.io/docs/instrumenting/escaping_schemes/ in the replacement of characters by
`dots`.
"""

import re
from typing import Final

from metrics.instruments._inner import escape_label
from metrics.registry._inner import Labels, exported_name

UNDERSCORES: Final = "underscores"
"""Legacy names: ASCII letters, digits and underscores, with the code points of other scripts."""

UTF8: Final = "allow-utf-8"
"""The names of the registry, in quotes unless they are legacy names."""

DOTS: Final = "dots"
"""Legacy names: `.` is `_dot_`, `_` is `__`, and so is any other character."""

VALUES: Final = "values"
"""Legacy names: `U__` in front, `__` for `_`, and code points between underscores."""

ESCAPINGS: Final = (UNDERSCORES, UTF8, DOTS, VALUES)

METRIC_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

ESCAPED_IN_METRICS = re.compile(r"^[0-9]|[^a-zA-Z0-9:]")
ESCAPED_IN_LABELS = re.compile(r"^[0-9]|[^a-zA-Z0-9]")

SURROGATE = re.compile(r"[\ud800-\udfff]")
"""Half of a surrogate pair, which UTF-8 cannot encode."""


def checked_escaping(escaping: str) -> str:
    """Return the name of an escaping scheme; raise ValueError if there is no such scheme."""
    if escaping not in ESCAPINGS:
        raise ValueError(f"unknown escaping {escaping!r}: use one of {', '.join(ESCAPINGS)}")
    return escaping


def escape_metric_name(name: str, escaping: str) -> str:
    """Return the name of a metric in a scheme."""
    if escaping == UNDERSCORES:
        return exported_name(name)
    return escape_name(name, escaping, METRIC_NAME, ESCAPED_IN_METRICS)


def escape_label_name(name: str, escaping: str) -> str:
    """Return the name of a label in a scheme.

    Prometheus reserves names with two underscores at their beginning for itself; one is left.
    """
    if escaping == UNDERSCORES:
        label = exported_name(name)
    else:
        label = escape_name(name, escaping, LABEL_NAME, ESCAPED_IN_LABELS)
    return label if label and not label.startswith("__") else "_" + label.lstrip("_")


def escape_name(name: str, escaping: str, legacy: re.Pattern[str], escaped: re.Pattern[str]) -> str:
    """Return a name in one of the schemes that keep more than letters, digits and underscores.

    Args:
        name: the name.
        escaping: the scheme.
        legacy: matches names of the legacy alphabet.
        escaped: finds the characters to escape.
    """
    if escaping == DOTS:
        # Underscores of legacy names as well: `_dot_` stands for dots only.
        return escaped.sub(dots_character, name)
    if escaping == VALUES and not legacy.fullmatch(name):
        return "U__" + escaped.sub(values_character, name)
    return SURROGATE.sub("\ufffd", name)


def dots_character(match: re.Match[str]) -> str:
    """Return a character in the scheme `dots`."""
    return "_dot_" if match[0] == "." else "__"


def values_character(match: re.Match[str]) -> str:
    """Return a character in the scheme `values`."""
    character = match[0]
    if character == "_":
        return "__"
    return "_FFFD_" if SURROGATE.match(character) else f"_{ord(character):x}_"


def escape_labels(labels: Labels, escaping: str) -> Labels:
    """Return labels with their names in a scheme."""
    return tuple([(escape_label_name(name, escaping), value) for name, value in labels])


def quoted_name(name: str) -> str:
    """Return the name of a metric as a page has it: in quotes, unless it is a legacy name."""
    return name if METRIC_NAME.fullmatch(name) else f'"{escape_label(name)}"'


def quoted_prefix(name: str, labels: Labels) -> str:
    """Return the text before the number of a sample whose names may need quotes.

    A metric name in quotes is the first element between the braces.
    """
    pairs: list[str] = []
    for key, value in labels:
        label = key if LABEL_NAME.fullmatch(key) else f'"{escape_label(key)}"'
        pairs.append(f'{label}="{escape_label(value)}"')
    if METRIC_NAME.fullmatch(name):
        return f"{name}{{{','.join(pairs)}}} " if pairs else f"{name} "
    return f"{{{','.join([quoted_name(name), *pairs])}}} "


def content_type_of(media_type: str, version: str, escaping: str = "") -> str:
    """Return the value of a Content-Type header.

    Args:
        media_type: the media type of the format.
        version: the version of the format.
        escaping: the scheme, empty for a header without it.
    """
    parameter = f"; escaping={escaping}" if escaping else ""
    return f"{media_type}; version={version}; charset=utf-8{parameter}"
