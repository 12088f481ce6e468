"""Series of an exposition page: numbers, histograms and summaries, by their families."""

from collections.abc import Iterable, Iterator
from math import inf, nan
from typing import Final, NamedTuple, TypeAlias

from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from app.endpoint import EndpointError, ScrapedPage
from app.text import label_text, printable, real

QUANTILES: Final = (0.5, 0.95, 0.99)

Labels: TypeAlias = tuple[tuple[str, str], ...]
Buckets: TypeAlias = tuple[tuple[float, float], ...]
"""Upper bounds, in ascending order, and the number of observations up to each of them."""

UNITS = ("seconds", "bytes", "ratio")


class ScrapedFamily(NamedTuple):
    """Metric family; `kind` is the type as the page has it, in lower case."""

    name: str
    kind: str
    help: str
    unit: str


class ScrapedSeries(NamedTuple):
    """Value with its name and labels.

    Of a histogram or summary, `value` is the number of observations and `total` their sum. The
    labels are without `le` and `quantile`.
    """

    family: ScrapedFamily
    name: str
    labels: Labels
    value: float
    total: float = nan
    buckets: Buckets = ()
    summary: Buckets = ()

    @property
    def is_distribution(self) -> bool:
        """Whether this is a histogram or a summary."""
        return self.family.kind in {"histogram", "gaugehistogram", "summary"}

    @property
    def is_cumulative(self) -> bool:
        """Whether the value only grows, except when its program starts again."""
        return self.family.kind in {"counter", "histogram", "summary"}

    @property
    def mean(self) -> float:
        """Mean of the observations; NaN without any."""
        return self.total / self.value if self.value else nan

    @property
    def title(self) -> str:
        """Name and labels, printable."""
        return printable(self.name) + label_text(self.labels)

    def quantiles(self, since: "ScrapedSeries | None" = None) -> list[float]:
        """Return the quantiles of all observations, or of a histogram's `since` another reading.

        A summary has quantiles of its own; a histogram's are estimated from its buckets. NaN stands
        for an unknown one.
        """
        if not self.buckets:
            own = dict(self.summary)
            return [own.get(quantile, nan) for quantile in QUANTILES]
        buckets = self.buckets if since is None else difference(self.buckets, since.buckets)
        return [histogram_quantile(quantile, buckets) for quantile in QUANTILES]


def parse(page: ScrapedPage) -> list[ScrapedSeries]:
    """Return the series of a page, in its order.

    Raises:
        EndpointError: the page is in no exposition format.
    """
    families = (
        openmetrics.text_string_to_metric_families
        if page.openmetrics
        else text_string_to_metric_families
    )
    try:
        return [series for metric in families(page.text) for series in series_of(metric)]
    except Exception as error:
        # Malformed lines make the parsers raise more than ValueError.
        line = " ".join(printable(str(error)).split())[:200]
        kind = "OpenMetrics" if page.openmetrics else "Prometheus' text format"
        raise EndpointError(f"the page is not in {kind}: {line or 'malformed'}") from error


def series_of(metric: Metric) -> Iterator[ScrapedSeries]:
    """Yield the series of a metric family."""
    family = ScrapedFamily(metric.name, metric.type, metric.documentation, unit_of(metric))
    if metric.type in {"histogram", "gaugehistogram", "summary"}:
        yield from distributions(family, metric.samples)
        return
    for sample in metric.samples:
        # OpenMetrics has the times of the start of each counter among its samples.
        if family.kind != "counter" or not sample.name.endswith("_created"):
            yield ScrapedSeries(family, sample.name, tuple(sample.labels.items()), sample.value)


def distributions(family: ScrapedFamily, samples: Iterable[Sample]) -> Iterator[ScrapedSeries]:
    """Yield the histograms or summaries of a family, one for each set of labels."""
    groups: dict[Labels, list[tuple[str, str, float]]] = {}
    for name, labels, value, *_ in samples:
        bound = labels.get("le", labels.get("quantile", ""))
        key = tuple(pair for pair in labels.items() if pair[0] not in {"le", "quantile"})
        groups.setdefault(key, []).append((name.removeprefix(family.name), bound, value))
    for key, parts in groups.items():
        edges = sorted((float(bound), real(value)) for _, bound, value in parts if bound)
        values = {suffix: value for suffix, bound, value in parts if not bound}
        yield ScrapedSeries(
            family,
            family.name,
            key,
            values.get("_count", values.get("_gcount", edges[-1][1] if edges else nan)),
            values.get("_sum", values.get("_gsum", nan)),
            () if family.kind == "summary" else tuple(edges),
            tuple(edges) if family.kind == "summary" else (),
        )


def unit_of(metric: Metric) -> str:
    """Return the unit of a family, which Prometheus' text format has only in its name."""
    name = metric.name.removesuffix("_total").removesuffix("_created")
    found = metric.unit or next((unit for unit in UNITS if name.endswith(f"_{unit}")), "")
    return "seconds" if metric.name.endswith("_created") else found


def histogram_quantile(quantile: float, buckets: Buckets) -> float:
    """Return a quantile of a histogram as PromQL's `histogram_quantile` estimates it.

    Observations are taken to be spread evenly within a bucket, of which the first one begins at 0
    unless its bound is negative. A quantile beyond the last finite bound is that bound. NaN stands
    for a histogram without observations or without a bucket for all of them.
    """
    if len(buckets) < 2 or buckets[-1][0] != inf or not buckets[-1][1] > 0:  # noqa: PLR2004
        return nan
    rank = quantile * buckets[-1][1]
    lower, below = 0.0, 0.0
    for position, (upper, count) in enumerate(buckets):
        if count >= rank:
            if upper == inf:
                return buckets[-2][0]
            if position == 0 and upper <= 0:
                return upper
            return lower + (upper - lower) * ((rank - below) / (count - below))
        lower, below = upper, max(count, below)
    return nan


def difference(newer: Buckets, older: Buckets) -> Buckets:
    """Return the observations between two readings; all newer ones if the bounds differ."""
    if [bound for bound, _ in newer] != [bound for bound, _ in older]:
        return newer
    return tuple(
        (bound, count - before) for (bound, count), (_, before) in zip(newer, older, strict=True)
    )


def matches(series: ScrapedSeries, text: str) -> bool:
    """Return whether the name and labels contain every word of a text, in any case."""
    title = series.title.lower()
    return all(word in title for word in text.lower().split())
