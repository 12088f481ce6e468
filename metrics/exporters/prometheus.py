"""Prometheus' text format, versions 0.0.4 and 1.0.0, and go-ethereum's dialect of it.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Collection, Iterator, Mapping

from metrics.exporters._encoding.framing import render_of
from metrics.exporters._exposition.escaping import (
    UNDERSCORES,
    checked_escaping,
    content_type_of,
)
from metrics.exporters._exposition.geth import GethLayout
from metrics.exporters._exposition.layout import TextLayout
from metrics.exporters._exposition.layouts import Layouts, NewLayout, escaped_layouts_of, layouts_of
from metrics.exporters._exposition.page import Page, checked_names
from metrics.exporters._exposition.reading import FamilyReader, texts_of
from metrics.exporters._series.recent import checked_window
from metrics.instruments._inner import Real, checked_labels
from metrics.registry import Registry
from metrics.registry._inner import Store, store_of

MEDIA_TYPE = "text/plain"

CONTENT_TYPE = content_type_of(MEDIA_TYPE, "0.0.4")
"""Content type of pages with underscores, which every version of Prometheus reads."""

DIALECTS: dict[str, NewLayout] = {"prometheus": TextLayout, "go-ethereum": GethLayout}

TARGET_HEADING = "# HELP target_info Target metadata\n# TYPE target_info gauge\n"


def stream(
    registry: Registry,
    *,
    dialect: str = "prometheus",
    names: Collection[str] = (),
    target: Mapping[str, str] | None = None,
    escaping: str = UNDERSCORES,
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
        names: names of metric families or samples in the scheme `escaping`, without quotes: only
            these families are written, and instruments that are known to have none of them are not
            read. All when empty.
        target: labels of the process, such as `{"version": "1.2"}`, which are written once, as
            `target_info{version="1.2"} 1`, before all other families.
        escaping: the scheme of names, of which Prometheus 3 requests one. An instrument
            `http.requests`, a counter, is exported as

            - `http_requests_total` with `underscores`: in ASCII letters, digits and underscores;
            - `{"http.requests_total"}` with `allow-utf-8`: each character of the registry's name is
              kept, and names of other characters than letters, digits, underscores and colons are
              in quotes. Prometheus 2 cannot read them;
            - `http_dot_requests__total` with `dots`;
            - `U__http_2e_requests__total` with `values`: Prometheus can restore the name.

            Suffixes and units are added in all of them by the same rules: a gauge
            `db.wait.milliseconds` in milliseconds is `{"db.wait_seconds"}` with `allow-utf-8`. An
            instrument whose name another one has already in a scheme is numbered in this scheme.
            Label names follow the same rules, with no more than one underscore at the beginning.
            `content_type` returns the header for a scheme.
        window: seconds of values of resetting timers to show. 0 shows the values since the last
            read of `reader`: one scraper takes values from another. With a window of more than the
            interval between two scrapes, every scraper of the reader sees every value: a value is
            shown for the window at least, read before or not. Counts and sums never reset.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `names` is a str, or an element is not a str; `target` is not a mapping of str to
            str; `window` is not a number.
        ValueError: there is no such dialect or `escaping`; `escaping` is not `underscores` in
            go-ethereum's dialect; a name in `target` is malformed or reserved; `window` is
            negative, infinite or NaN.
    """
    families = FamilyReader(
        registry,
        checked_layouts(store_of(registry), dialect, checked_escaping(escaping)),
        reader,
        texts_of,
        names=checked_names(names),
        window=checked_window(window),
    )
    page = Page(families)
    page.add_target(TARGET_HEADING, checked_labels(target), escaping)
    return page.chunks()


render = render_of(stream)


def content_type(escaping: str = UNDERSCORES) -> str:
    """Return the content type of pages with an escaping; raise ValueError for an unknown one."""
    if checked_escaping(escaping) == UNDERSCORES:
        return CONTENT_TYPE
    # Version 1.0.0 is 0.0.4 with quoted names and the parameter.
    return content_type_of(MEDIA_TYPE, "1.0.0", escaping)


def checked_layouts(store: Store, dialect: str, escaping: str) -> Layouts:
    """Return the layouts of a registry.

    Raises:
        ValueError: there is no such dialect, or it does not have the escaping.
    """
    if dialect == "prometheus":
        return escaped_layouts_of(store, dialect, TextLayout, escaping)
    new = DIALECTS.get(dialect)
    if new is None:
        raise ValueError(f"unknown dialect {dialect!r}: use one of {', '.join(DIALECTS)}")
    if escaping != UNDERSCORES:
        raise ValueError(
            f"escaping {escaping!r} is not one of dialect {dialect!r}, which has {UNDERSCORES!r} "
            "only: leave the option out, or use dialect 'prometheus'"
        )
    return layouts_of(store, dialect, new)
