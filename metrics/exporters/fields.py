"""The numbers of a series by go-ethereum's names for them, for formats that write one a line."""

from metrics.exporters.decimals import Number, number
from metrics.exporters.expvar import rates_of, values_of
from metrics.exporters.forms import reading
from metrics.exporters.series import Series
from metrics.instruments.buckets import BucketHistogramSnapshot
from metrics.instruments.counter import CounterSnapshot, UpDownCounterSnapshot
from metrics.instruments.gauge import GaugeSnapshot
from metrics.instruments.healthcheck import HealthcheckSnapshot
from metrics.instruments.info import InfoSnapshot
from metrics.instruments.sample import HistogramSnapshot
from metrics.instruments.timer import TimerSnapshot

COUNTERS = (CounterSnapshot, UpDownCounterSnapshot)

SINGLE = (*COUNTERS, GaugeSnapshot, HealthcheckSnapshot, InfoSnapshot)
"""What has one number."""


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
            values = {"count" if isinstance(single, COUNTERS) else "value": reading(single)}
        case _:
            values = values_of(one, times)
    found = {name: number(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}
