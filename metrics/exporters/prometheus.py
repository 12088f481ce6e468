"""Prometheus' text format, version 0.0.4, and go-ethereum's dialect of it.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Collection, Iterator

from metrics.exporters._exposition.page import DIALECTS, Page, checked_names
from metrics.registry import Registry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def render(
    registry: Registry,
    *,
    dialect: str = "prometheus",
    names: Collection[str] = (),
    reader: str = "prometheus",
) -> bytes:
    """Return the values of a registry as a page that Prometheus scrapes.

    Counters end in `_total`; a meter is a counter and a gauge of rates, `_per_second`, by `window`;
    timers and histograms are histograms, or summaries when they have a sample; values come in base
    units (`percent` becomes a ratio, `milliseconds` become seconds). Of two instruments that would
    have one name, the one registered later gets a number: `a_b_2`. A family with both summaries and
    histograms exports the kind of the child that was read first. A warning is logged in both cases.
    Other threads get their turns while a large page is made.

    go-ethereum's dialect suits dashboards that were made for its nodes: no help, no suffixes,
    counters and meters as gauges, durations in nanoseconds, percentiles as summaries with a
    `_count` beside them; a resetting timer without new values is left out.

    Args:
        registry: what to read.
        dialect: `prometheus` or `go-ethereum`.
        names: of metric families or samples; those families alone are written, and what is known
            not to be among them is not read. Everything when empty.
        reader: who reads; what resets when it is read resets for this reader alone.

    Raises:
        TypeError: `names` is a str, or holds something else than str.
        ValueError: there is no such dialect.
    """
    return b"".join(stream(registry, dialect=dialect, names=names, reader=reader))


def stream(
    registry: Registry,
    *,
    dialect: str = "prometheus",
    names: Collection[str] = (),
    reader: str = "prometheus",
) -> Iterator[bytes]:
    """Yield what `render` returns in chunks that end with a line; instruments are read meanwhile.

    Raises:
        TypeError, ValueError: as `render`, and at once.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"dialect takes one of {', '.join(DIALECTS)}, got {dialect!r}")
    return Page(reader, dialect, checked_names(names)).chunks(registry)
