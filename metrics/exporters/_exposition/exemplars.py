"""Exemplars of totals and buckets, as OpenMetrics writes them after the number of a sample.

The format: https://prometheus.io/docs/specs/om/open_metrics_spec/#exemplars
"""

from collections.abc import Iterator
from typing import Any

from metrics.exporters._exposition.families import MetricFamily, label_pairs, number
from metrics.instruments import Exemplar
from metrics.instruments._inner import Exemplars, Traceable

TRACED = frozenset({"counter", "histogram"})
"""Types of metric families whose samples may have exemplars: the total, and the buckets."""


def exemplars_of(children: list[Any]) -> list[Exemplars]:
    """Return the exemplars of instruments; an empty list if none has any.

    Read them before the totals: an update counts before its exemplar is kept.
    """
    for child in children:
        if isinstance(child, Traceable) and child._exemplars is not None:  # noqa: SLF001 - no call
            return [latest_of(one) for one in children]
    return []


def latest_of(child: Any) -> Exemplars:
    """Return the exemplars of an instrument; an empty tuple for one that takes none."""
    return child._latest_exemplars() if isinstance(child, Traceable) else ()  # noqa: SLF001


def with_exemplars(family: MetricFamily, text: str, exemplars: Exemplars) -> str:
    """Return the lines of a child with its exemplars: of its only line, or of its buckets."""
    lines = text.split("\n")
    for index, exemplar in by_position(exemplars):
        lines[index] += exemplar_text(family, exemplar)
    return "\n".join(lines)


def exemplar_text(family: MetricFamily, exemplar: Exemplar) -> str:
    """Return an exemplar as it follows the number of a sample."""
    labels = label_pairs(exemplar.labels)
    return f" # {{{labels}}} {family.number(exemplar.value)} {number(exemplar.timestamp)}"


def by_position(exemplars: Exemplars) -> Iterator[tuple[int, Exemplar]]:
    """Yield exemplars with the positions of their samples among the samples of a child."""
    for index, exemplar in enumerate(exemplars):
        if exemplar is not None:
            yield index, exemplar
