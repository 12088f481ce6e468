"""Numbers of a series by go-ethereum's names for them.

The names: go-ethereum, `metrics/exp`.
"""

import json
from collections.abc import Mapping
from operator import attrgetter
from typing import final

from metrics.exporters._encoding.numbers import Number, finite
from metrics.exporters._series.series import Series
from metrics.exporters._series.views import number_of, rates_of
from metrics.instruments import BucketHistogramSnapshot, HistogramSnapshot, Snapshot
from metrics.instruments._inner import QUANTILES

Fields = dict[str, object]


@final
class DistributionNames:
    """Names of a format for the statistics of a distribution, in the order of the format.

    Args:
        attributes: names to attributes of a snapshot, two at least.
        quantiles: names to quantiles, which follow the attributes.
    """

    __slots__ = ("_attributes", "_names", "_quantiles")

    def __init__(self, attributes: Mapping[str, str], quantiles: Mapping[str, float]) -> None:
        self._names = (*attributes, *quantiles)
        self._attributes = attrgetter(*attributes.values())
        self._quantiles = tuple(quantiles.values())

    def read(
        self, sample: HistogramSnapshot | BucketHistogramSnapshot, times: int = 1
    ) -> dict[str, float]:
        """Return the statistics of a distribution by name, each multiplied."""
        values = (*self._attributes(sample), *sample.percentiles(self._quantiles))
        if times != 1:
            values = tuple([value * times for value in values])
        return dict(zip(self._names, values, strict=True))


NAMES = DistributionNames(
    {"min": "min", "max": "max", "mean": "mean", "std-dev": "stddev"},
    {
        f"{percentile}-percentile": quantile
        for percentile, quantile in zip((50, 75, 95, 99, 999), QUANTILES, strict=True)
    },
)

AVERAGES = ("one-minute", "five-minute", "fifteen-minute")

RATES = (*AVERAGES, "mean")
"""Names of the rates of a meter."""

TIMER_RATES = (*AVERAGES, "mean-rate")
"""Names of the rates of a timer."""


def fields(one: Series, times: int) -> dict[str, Number]:
    """Return the numbers of a series by name (`count`, `value`, `50-percentile`, ...).

    A health check is 1 when healthy and 0 when not; info labels and states are labels of numbers,
    see `split_points`. An empty distribution has a count but no statistics, for which
    0 would be a lie. NaN and infinities are left out.

    Args:
        one: the series.
        times: the factor of the durations of a timer.
    """
    snapshot = one.snapshot
    values: Fields
    if is_single(one):
        counted = one.kind is not None and one.kind.geth == "counter"
        values = {"count" if counted else "value": number_of(snapshot)}
    else:
        values = named_values(one, times, empty=False)
    found = {name: finite(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}


def is_single(one: Series) -> bool:
    """Return whether a series is one number."""
    return one.snapshot.scalar is not None and one.snapshot.rates is None


def named_values(one: Series, times: int = 1, *, empty: bool = True) -> Fields:
    """Return the values of a series by the field that follows its name, `""` for a single value.

    Args:
        one: the series.
        times: the factor of durations.
        empty: whether an empty distribution has statistics, which are 0.
    """
    snapshot = one.snapshot
    sample, rates = snapshot.distribution, snapshot.rates
    if sample is not None:
        values: Fields = {"count": sample.count}
        if empty or sample.count:
            values |= NAMES.read(sample, times if one.is_timer else 1)
        if rates is not None:
            values |= zip(TIMER_RATES, rates_of(rates), strict=True)
        return values
    if rates is not None:
        return {"count": rates.count, **dict(zip(RATES, rates_of(rates), strict=True))}
    if one.is_info:
        return {"": info_text(snapshot)}
    if snapshot.scalar is not None and "error" not in snapshot.fields:
        return {"": snapshot.scalar}
    return snapshot.to_dict()


def info_text(snapshot: Snapshot, separators: tuple[str, str] = (", ", ": ")) -> str:
    """Return info labels as a JSON object, in the order of their names."""
    labels = {name: text for point in snapshot.points for name, text in point.labels}
    return json.dumps(labels, ensure_ascii=False, separators=separators)
