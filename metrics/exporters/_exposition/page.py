"""Page of Prometheus' text format, or of one of its dialects."""

from collections.abc import Collection, Iterator
from typing import Any, Final

from metrics.exporters._exposition.escaping import UNDERSCORES, escape_labels
from metrics.exporters._exposition.families import Children, MetricFamily, prefix
from metrics.exporters._exposition.reading import FamilyReader
from metrics.registry._inner import Labels

CHUNK: Final = 256
"""Texts of a chunk."""

TARGET = "target"

TARGET_INFO = "target_info"


def page(families: FamilyReader, target: str = "", ending: str = "") -> Iterator[bytes]:
    """Yield a page in chunks of whole lines.

    Args:
        families: the read of the registry, which writes children as lines.
        target: the text of the first family.
        ending: the last line.
    """
    lines: list[str] = [target] if target else []
    for family, written in families.blocks():
        lines.append(family.heading)
        lines += written
        if family.ending:
            lines.append(family.ending)
        if len(lines) >= CHUNK:
            waiting = lines
            lines = []
            for start in range(0, len(waiting), CHUNK):
                families.turns.offer()
                yield encode_lines(waiting[start : start + CHUNK])
    if ending:
        lines.append(ending)
    if lines:
        yield encode_lines(lines)


def encode_lines(lines: list[str]) -> bytes:
    """Return lines as UTF-8."""
    # Half a surrogate pair has no place in UTF-8, and the page must not fail for it.
    return "".join(lines).encode(errors="replace")


def lines_of(family: MetricFamily, children: Children) -> list[Any]:
    """Return the lines of each child of a metric family."""
    return family.lines(children)


def target_text(
    families: FamilyReader, heading: str, target: Labels, escaping: str = UNDERSCORES
) -> str:
    """Return the metric family of the target, whose name no instrument has on this page.

    Prometheus knows the name `target_info`, which is the same in all schemes.

    Args:
        families: the read of the registry.
        heading: the lines before the sample.
        target: the labels of the target; no text is returned without one.
        escaping: the scheme of the names of its labels.
    """
    if not target:
        return ""
    labels = escape_labels(target, escaping)
    # Both names are claimed, requested or not.
    requested = [families.claim(TARGET), families.claim(TARGET_INFO)]
    return f"{heading}{prefix(TARGET_INFO, labels)}1\n" if any(requested) else ""


def checked_names(names: Collection[object]) -> frozenset[str]:
    """Return names as a set.

    Raises:
        TypeError: `names` is a str, or an element is not a str.
    """
    if isinstance(names, str):
        raise TypeError(f"invalid names {names!r}: pass a collection of str, such as ({names!r},)")
    checked: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"invalid name {name!r} ({type(name).__name__}): use a str")
        checked.add(name)
    return frozenset(checked)
