"""Samples of prometheus_client's metric families as snapshots of instruments."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from math import inf, nan
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.core import Sample as TheirSample

from metrics.instruments import (
    BucketHistogram,
    BucketHistogramSnapshot,
    CounterSnapshot,
    Exemplar,
    FloatCounter,
    Gauge,
    GaugeSnapshot,
    Histogram,
    HistogramSnapshot,
    Info,
    InfoSnapshot,
    Instrument,
    Snapshot,
    StateSet,
    StateSetSnapshot,
)

Labels = tuple[tuple[str, str], ...]

KINDS: dict[str, type[Instrument]] = {
    "counter": FloatCounter,
    "gauge": Gauge,
    "unknown": Gauge,
    "summary": Histogram,
    "histogram": BucketHistogram,
    "gaugehistogram": BucketHistogram,
    "info": Info,
    "stateset": StateSet,
}
"""Types of prometheus_client to the instruments that show them."""


class Part(NamedTuple):
    """A sample of a child.

    suffix: its name after the name of the family.
    label: the value of the label that the type has itself: `le`, `quantile`, a state.
    sample: the sample.
    """

    suffix: str
    label: str
    sample: TheirSample


def snapshots_of(metric: Metric) -> dict[Labels, tuple[Snapshot, float]]:
    """Return the labels of each child to its snapshot and its time of creation, 0 if unknown.

    Raises:
        Exception: a sample is malformed.
    """
    own = {"histogram": "le", "gaugehistogram": "le", "summary": "quantile"}
    label = metric.name if metric.type == "stateset" else own.get(metric.type)
    # The same labels in another order are the same child.
    children: dict[frozenset[tuple[str, str]], tuple[Labels, list[Part]]] = {}
    for sample in metric.samples:
        labels = tuple([pair for pair in sample.labels.items() if pair[0] != label])
        part = Part(
            sample.name.removeprefix(metric.name),
            "" if label is None else sample.labels.get(label, ""),
            sample,
        )
        children.setdefault(frozenset(labels), (labels, []))[1].append(part)
    if metric.type == "info":
        return info_snapshots([labels for labels, _ in children.values()])
    read = READS[metric.type]
    return {labels: (read(parts), created_time(parts)) for labels, parts in children.values()}


def info_snapshots(children: list[Labels]) -> dict[Labels, tuple[Snapshot, float]]:
    """Return info labels: the text of an only child, and labels of several children."""
    if len(children) == 1:
        return {(): (InfoSnapshot(dict(children[0])), 0.0)}
    return {labels: (InfoSnapshot({}), 0.0) for labels in children}


def created_time(parts: Iterable[Part]) -> float:
    """Return the time of the creation of a child, in seconds since the Unix epoch; 0 if unknown."""
    return next((float(part.sample.value) for part in parts if part.suffix == "_created"), 0.0)


def sample_of(parts: Iterable[Part], *suffixes: str) -> TheirSample:
    """Return the first sample with one of these suffixes.

    Raises:
        ValueError: there is none.
    """
    for part in parts:
        if part.suffix in suffixes:
            return part.sample
    raise ValueError(f"a child has no sample with the suffix {suffixes[0]!r}")


def counter_snapshot(parts: Iterable[Part]) -> Snapshot:
    """Return the total of a counter."""
    sample = sample_of(parts, "_total", "")
    exemplar = own_exemplar(sample)
    return CounterSnapshot(float(sample.value), () if exemplar is None else (exemplar,))


def gauge_snapshot(parts: Iterable[Part]) -> Snapshot:
    """Return the value of a gauge."""
    return GaugeSnapshot(float(sample_of(parts, "").value))


def summary_snapshot(parts: Iterable[Part]) -> Snapshot:
    """Return count and sum of a summary."""
    total = sample_of(parts, "_count").value
    return HistogramSnapshot(int(total), float(sample_of(parts, "_sum").value), ())


def histogram_snapshot(parts: Iterable[Part]) -> Snapshot:
    """Return the buckets and the sum of a histogram."""
    values = {part.suffix: part.sample.value for part in parts}
    buckets = {float(part.label): part.sample for part in parts if part.suffix == "_bucket"}
    bounds = sorted(buckets)
    totals = [int(buckets[bound].value) for bound in bounds]
    exemplars = tuple([own_exemplar(buckets[bound]) for bound in bounds])
    if inf not in buckets:
        bounds.append(inf)
        totals.append(int(values.get("_count", values.get("_gcount", totals[-1]))))
        exemplars = (*exemplars, None)
    if len(bounds) == 1:
        raise ValueError("a histogram has no bucket but that of all values")
    # The format has no sum of buckets below 0.
    total = values.get("_sum", values.get("_gsum", nan))
    return BucketHistogramSnapshot(
        tuple(bounds[:-1]),
        [above - below for below, above in pairwise([0, *totals])],
        float(total),
        exemplars=exemplars if any(exemplars) else (),
    )


def states_snapshot(parts: Iterable[Part]) -> Snapshot:
    """Return the states of a state set."""
    return StateSetSnapshot({part.label: part.sample.value != 0 for part in parts})


READS: dict[str, Callable[[list[Part]], Snapshot]] = {
    "counter": counter_snapshot,
    "gauge": gauge_snapshot,
    "unknown": gauge_snapshot,
    "summary": summary_snapshot,
    "histogram": histogram_snapshot,
    "gaugehistogram": histogram_snapshot,
    "stateset": states_snapshot,
}
"""Types of prometheus_client to the functions that read a child."""


def own_exemplar(sample: TheirSample) -> Exemplar | None:
    """Return the exemplar of a sample; None without one, or for one without a time."""
    exemplar = sample.exemplar
    if exemplar is None or exemplar.timestamp is None:
        return None
    labels = tuple(exemplar.labels.items())
    return Exemplar(labels, float(exemplar.value), float(exemplar.timestamp))
