"""OpenMetrics 1.0.

The format: https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from collections.abc import Collection, Iterator, Mapping
from typing import final

from metrics.exporters._encoding.framing import render_of
from metrics.exporters._exposition.escaping import (
    UNDERSCORES,
    checked_escaping,
    content_type_of,
)
from metrics.exporters._exposition.families import MetricFamily
from metrics.exporters._exposition.layout import (
    OPENMETRICS_SUFFIXES,
    SAMPLE_SUFFIXES,
    Suffixes,
    TextLayout,
    escape_help,
)
from metrics.exporters._exposition.layouts import escaped_layouts_of
from metrics.exporters._exposition.page import Page, checked_names
from metrics.exporters._exposition.reading import FamilyReader, texts_of
from metrics.exporters._exposition.writing import encode
from metrics.exporters._series.recent import checked_window
from metrics.instruments._inner import Real, checked_labels
from metrics.registry import Registry
from metrics.registry._inner import exported_name, store_of

MEDIA_TYPE = "application/openmetrics-text"

VERSION = "1.0.0"

CONTENT_TYPE = content_type_of(MEDIA_TYPE, VERSION)
"""Content type of pages with underscores, without the parameter, which is newer than 1.0.0."""

EOF = b"# EOF\n"

TARGET_HEADING = "# HELP target Target metadata\n# TYPE target info\n"


def stream(
    registry: Registry,
    *,
    names: Collection[str] = (),
    target: Mapping[str, str] | None = None,
    created: bool = False,
    escaping: str = UNDERSCORES,
    window: Real = 0.0,
    reader: str = "openmetrics",
) -> Iterator[bytes]:
    """Return the chunks of a page of OpenMetrics, each of whole lines.

    Options are checked at the call; instruments are read as the chunks are taken.

    The samples are the same as in Prometheus' text format. Values that the format does not allow
    are left out: quantiles and sums below 0, and the sum and the count of buckets that begin
    below 0. Totals and buckets have their latest exemplars, such as
    `requests_total 5 # {trace_id="0af7651916cd43dd8448eb211c80319c"} 1 1520879607.789`; the text
    format has none.

    Args:
        registry: the registry to read.
        names: names of metric families or samples in the scheme `escaping`, without quotes: only
            these families are written, and instruments that are known to have none of them are not
            read. All when empty.
        target: labels of the process, such as `{"version": "1.2"}`, which are written once, as
            `target_info{version="1.2"} 1`, before all other families.
        created: whether each total has a sample `_created` beside it: the time of the registration,
            of the creation of a family's child, or of the last `clear`. Prometheus stores it as a
            further series, unless it is configured to use it as a time of creation.
        escaping: the scheme of names; see `prometheus.stream`.
        window: seconds of values of resetting timers to show; see `prometheus.stream`. 0 shows the
            values since the last read of `reader`.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `names` is a str, or an element is not a str; `target` is not a mapping of str to
            str; `window` is not a number.
        ValueError: there is no such `escaping`; a name in `target` is malformed or reserved;
            `window` is negative, infinite or NaN.
    """
    escaping = checked_escaping(escaping)
    families = FamilyReader(
        registry,
        escaped_layouts_of(store_of(registry), "openmetrics", OpenMetricsLayout, escaping),
        reader,
        texts_of,
        names=checked_names(names),
        window=checked_window(window),
        created=created,
        exemplars=True,
    )
    page = Page(families, EOF)
    page.add_target(TARGET_HEADING, checked_labels(target), escaping)
    return page.chunks()


render = render_of(stream)


def content_type(escaping: str = UNDERSCORES) -> str:
    """Return the content type of pages with an escaping; raise ValueError for an unknown one."""
    if checked_escaping(escaping) == UNDERSCORES:
        return CONTENT_TYPE
    return content_type_of(MEDIA_TYPE, VERSION, escaping)


@final
class OpenMetricsLayout(TextLayout):
    """Metric families of an entry in OpenMetrics."""

    __slots__ = ()

    def _suffixes(self) -> Suffixes:
        return OPENMETRICS_SUFFIXES

    def _text_family(self, family: type[MetricFamily], base: str, kind: str) -> MetricFamily:
        head = self._heading_name(base)
        heading = f"# HELP {head} {escape_help_text(self.help)}\n# TYPE {head} {kind}\n"
        unit = written_unit(base, kind, self._scale.base)
        if unit:
            heading += f"# UNIT {head} {unit}\n"
        name = base + SAMPLE_SUFFIXES.get(kind, "")
        new = self._family(family, name, kind, encode(heading), base, OPENMETRICS_SUFFIXES[kind])
        new.unsigned = True
        return new


def written_unit(name: str, kind: str, unit: str) -> str:
    """Return the unit of a metric family as the format has it; an empty str for none.

    Args:
        name: the name of the family.
        kind: its type.
        unit: the base unit of its values, or its exported name.
    """
    unit = exported_name(unit).strip("_")
    # Info labels and states have no unit, and a unit has to be the last word of the name.
    return unit if unit and kind not in {"info", "stateset"} and name.endswith(f"_{unit}") else ""


def escape_help_text(text: str) -> str:
    r"""Return a help text with `\`, `"` and line feeds escaped."""
    return escape_help(text).replace('"', '\\"')
