"""Numbers of a series by go-ethereum's names for them.

The names: go-ethereum, `metrics/exp`.
"""

import json

from metrics.exporters._encoding.numbers import Number, finite
from metrics.exporters._series.scalar import number_of
from metrics.exporters._series.series import Series
from metrics.instruments import (
    BucketHistogramSnapshot,
    HistogramSnapshot,
    MeterSnapshot,
    Snapshot,
)
from metrics.instruments._inner import QUANTILES

PERCENTILES = ("50", "75", "95", "99", "999")

Fields = dict[str, object]


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
    sample, rates = snapshot.distribution, snapshot.rates
    if sample is not None and not sample.count:
        values = {"count": 0, **(timer_rates(rates) if rates else {})}
    elif is_single(one):
        counted = one.kind is not None and one.kind.geth == "counter"
        values = {"count" if counted else "value": number_of(snapshot)}
    else:
        values = named_values(one, times)
    found = {name: finite(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}


def is_single(one: Series) -> bool:
    """Return whether a series is one number."""
    return one.snapshot.scalar is not None and one.snapshot.rates is None


def named_values(one: Series, times: int = 1) -> Fields:
    """Return the values of a series by the field that follows its name, `""` for a single value.

    Args:
        one: the series.
        times: the factor of durations.
    """
    snapshot = one.snapshot
    sample, rates = snapshot.distribution, snapshot.rates
    if sample is not None:
        values = distribution(sample, times if one.is_timer else 1)
        return {**values, **(timer_rates(rates) if rates else {})}
    if rates is not None:
        return {"count": rates.count, **averages(rates), "mean": rates.rate_mean}
    if one.is_info:
        return {"": info_text(snapshot)}
    if snapshot.scalar is not None and "error" not in snapshot.fields:
        return {"": snapshot.scalar}
    return snapshot.to_dict()


def distribution(sample: HistogramSnapshot | BucketHistogramSnapshot, times: int) -> Fields:
    """Return the numbers of a distribution, each but the count multiplied."""
    values: Fields = {
        "count": sample.count,
        "min": sample.min * times,
        "max": sample.max * times,
        "mean": sample.mean * times,
        "std-dev": sample.stddev * times,
    }
    for name, value in zip(PERCENTILES, sample.percentiles(QUANTILES), strict=True):
        values[f"{name}-percentile"] = value * times
    return values


def timer_rates(rates: MeterSnapshot) -> Fields:
    """Return the rates of a timer."""
    return {**averages(rates), "mean-rate": rates.rate_mean}


def averages(rates: MeterSnapshot) -> Fields:
    """Return the moving averages of a meter or a timer."""
    return {"one-minute": rates.rate1, "five-minute": rates.rate5, "fifteen-minute": rates.rate15}


def info_text(snapshot: Snapshot, separators: tuple[str, str] = (", ", ": ")) -> str:
    """Return info labels as a JSON object, in the order of their names."""
    labels = {name: text for point in snapshot.points for name, text in point.labels}
    return json.dumps(labels, ensure_ascii=False, separators=separators)
