"""Prometheus' text format, version 0.0.4, and go-ethereum's dialect of it.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Collection, Iterator, Mapping

from metrics.exporters._encoding.framing import render_of
from metrics.exporters._exposition.geth import GethLayout
from metrics.exporters._exposition.layout import TextLayout
from metrics.exporters._exposition.layouts import NewLayout, layouts_of
from metrics.exporters._exposition.page import checked_names, lines_of, page, target_text
from metrics.exporters._exposition.reading import FamilyReader
from metrics.exporters._series.recent import checked_window
from metrics.instruments._inner import Real, checked_labels
from metrics.registry import Registry
from metrics.registry._inner import store_of

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

DIALECTS: dict[str, NewLayout] = {"prometheus": TextLayout, "go-ethereum": GethLayout}

TARGET_HEADING = "# HELP target_info Target metadata\n# TYPE target_info gauge\n"


def stream(
    registry: Registry,
    *,
    dialect: str = "prometheus",
    names: Collection[str] = (),
    target: Mapping[str, str] | None = None,
    window: Real = 0.0,
    reader: str = "prometheus",
) -> Iterator[bytes]:
    """Return the chunks of a page that Prometheus scrapes, each of whole lines.

    Options are checked at the call; instruments are read as the chunks are taken. Other threads get
    their turns meanwhile.

    Counters end in `_total`; a meter is a counter and a gauge of rates, `_per_second`, by `window`;
    timers and histograms are histograms, or summaries if they have a sample; values are in base
    units (`percent` becomes a ratio, `milliseconds` become seconds). Of two instruments that would
    have one name, the one registered later gets a number: `a_b_2`. A family with both summaries and
    histograms exports the kind of the child that was read first. A warning is logged in both cases.

    go-ethereum's dialect suits dashboards that were made for its nodes: no help, no suffixes,
    counters and meters as gauges, durations in nanoseconds, percentiles as summaries with a
    `_count` beside them; a resetting timer without new values is left out.

    Args:
        registry: the registry to read.
        dialect: `prometheus` or `go-ethereum`.
        names: names of metric families or samples: only these families are written, and
            instruments that are known to have none of them are not read. All when empty.
        target: labels of the process, such as `{"version": "1.2"}`, which are written once, as
            `target_info{version="1.2"} 1`, before all other families.
        window: seconds of values of resetting timers to show. 0 shows the values since the last
            read of `reader`: one scraper takes values from another. With a window of more than the
            interval between two scrapes, every scraper of the reader sees every value: a value is
            shown for the window at least, read before or not. Counts and sums never reset.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `names` is a str, or an element is not a str; `target` is not a mapping of str to
            str; `window` is not a number.
        ValueError: there is no such dialect; a name in `target` is malformed or reserved; `window`
            is negative, infinite or NaN.
    """
    new = DIALECTS.get(dialect)
    if new is None:
        raise ValueError(f"unknown dialect {dialect!r}: use one of {', '.join(DIALECTS)}")
    families = FamilyReader(
        registry,
        layouts_of(store_of(registry), dialect, new),
        reader,
        lines_of,
        names=checked_names(names),
        window=checked_window(window),
    )
    return page(families, target_text(families, TARGET_HEADING, checked_labels(target)))


render = render_of(stream)
