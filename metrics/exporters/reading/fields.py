"""The numbers of a series by go-ethereum's names for them.

The names: go-ethereum, `metrics/exp`.
"""

from metrics.exporters.reading.series import Series
from metrics.exporters.reading.single import number_of
from metrics.exporters.writing.decimals import finite
from metrics.exporters.writing.numbers import Number
from metrics.exporters.writing.texts import facts_text
from metrics.instruments._buckets import BucketHistogramSnapshot
from metrics.instruments._counter import CounterSnapshot, UpDownCounterSnapshot
from metrics.instruments._gauge import GaugeSnapshot
from metrics.instruments._healthcheck import HealthcheckSnapshot
from metrics.instruments._info import InfoSnapshot
from metrics.instruments._meter import MeterSnapshot
from metrics.instruments._sample import QUANTILES, HistogramSnapshot
from metrics.instruments._timer import TimerSnapshot

COUNTERS = (CounterSnapshot, UpDownCounterSnapshot)

SINGLE = (*COUNTERS, GaugeSnapshot, HealthcheckSnapshot, InfoSnapshot)
"""What has one number."""

PERCENTILES = ("50", "75", "95", "99", "999")

Fields = dict[str, object]


def fields(one: Series, times: int) -> dict[str, Number]:
    """Return the numbers of a series by name (`count`, `value`, `50-percentile`, ...).

    A health check is 1 when healthy and 0 when not; an info is 1, for its facts are tags. Of an
    empty distribution there is the count but no statistics, for which 0 would be a lie. NaN and
    infinities are left out.

    Args:
        one: the series.
        times: what the durations of a timer are multiplied by.
    """
    values: dict[str, object] = {}
    match one.snapshot:
        case InfoSnapshot():
            values = {"value": 1}
        case HistogramSnapshot(count=0) | BucketHistogramSnapshot(count=0):
            values = {"count": 0}
        case TimerSnapshot(count=0, rates=rates):
            values = {"count": 0, **rates_of(rates), "mean-rate": rates.rate_mean}
        case single if isinstance(single, SINGLE):
            values = {"count" if isinstance(single, COUNTERS) else "value": number_of(single)}
        case _:
            values = values_of(one, times)
    found = {name: finite(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}


def values_of(one: Series, times: int = 1) -> Fields:
    """Return what stands behind the name of a series, by field; nothing behind it is `""`.

    Args:
        one: the series.
        times: what durations are multiplied by.
    """
    match one.snapshot:
        case CounterSnapshot() | UpDownCounterSnapshot() | GaugeSnapshot() as single:
            return {"": number_of(single)}
        case InfoSnapshot(value=facts):
            return {"": facts_text(facts)}
        case MeterSnapshot() as rates:
            return {"count": rates.count, **rates_of(rates), "mean": rates.rate_mean}
        case HistogramSnapshot() | BucketHistogramSnapshot() as sample:
            return distribution(sample, times if one.is_timer else 1)
        case TimerSnapshot(durations=durations, rates=rates):
            return {
                **distribution(durations, times),
                **rates_of(rates),
                "mean-rate": rates.rate_mean,
            }
        case other:
            return other.to_dict()


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


def rates_of(rates: MeterSnapshot) -> Fields:
    """Return the moving averages of a meter or a timer."""
    return {"one-minute": rates.rate1, "five-minute": rates.rate5, "fifteen-minute": rates.rate15}
