"""One flat JSON object under the keys of go-ethereum's expvar page.

The keys: go-ethereum, `metrics/exp`, and https://pkg.go.dev/expvar.
"""

from collections.abc import Iterable, Iterator

from metrics.exporters.chunks import chunked
from metrics.exporters.clashes import warn_once
from metrics.exporters.durations import per_second
from metrics.exporters.forms import reading
from metrics.exporters.json import keyed, written
from metrics.exporters.series import Series, series
from metrics.exporters.texts import facts_text
from metrics.instruments.buckets import BucketHistogramSnapshot
from metrics.instruments.counter import CounterSnapshot, UpDownCounterSnapshot
from metrics.instruments.gauge import GaugeSnapshot
from metrics.instruments.info import InfoSnapshot
from metrics.instruments.meter import MeterSnapshot
from metrics.instruments.sample import QUANTILES, HistogramSnapshot
from metrics.instruments.timer import TimerSnapshot
from metrics.registry import Registry

CONTENT_TYPE = "application/json; charset=utf-8"

PERCENTILES = ("50", "75", "95", "99", "999")

Values = dict[str, object]


def render(
    registry: Registry, *, duration_unit: str = "nanoseconds", reader: str = "expvar"
) -> bytes:
    """Return the values of a registry as one flat JSON object, in name order.

    Counters, gauges and infos stand under their names alone, an info as JSON in a string; meters
    and distributions have a key for each number: `name.count`, `name.one-minute`,
    `name.50-percentile`. Labels come before that: `name{method="GET"}.count`. NaN, infinities and
    ints beyond the range of a float become null. Of two instruments with one key the first is
    kept, and a warning is logged.

    Args:
        registry: what to read.
        duration_unit: what timers are written in: `seconds`, `milliseconds`, `microseconds` or
            `nanoseconds`, which go-ethereum's are in.
        reader: who reads; what resets when it is read resets for this reader alone.

    Raises:
        ValueError: `duration_unit` is none of these.
    """
    return b"".join(stream(registry, duration_unit=duration_unit, reader=reader))


def stream(
    registry: Registry, *, duration_unit: str = "nanoseconds", reader: str = "expvar"
) -> Iterator[bytes]:
    """Yield what `render` returns in chunks of some tens of KB."""
    times = per_second(duration_unit)
    stems = {name.rpartition(".")[0] for name in registry.names()}
    return chunked(written(members(keyed(series(registry, reader)), times, stems)))


def members(
    all_series: Iterable[tuple[str, Series]], times: int, stems: set[str]
) -> Iterator[tuple[str, object]]:
    """Yield keys and values, each key once.

    Args:
        all_series: what to write, with keys.
        times: what durations are multiplied by.
        stems: what stands before the last dot of a name.
    """
    taken: dict[str, tuple[str, Values]] = {}
    for key, one in all_series:
        values = values_of(one, times)
        for field, value in values.items():
            if field:
                yield f"{key}.{field}", value
                continue
            # A counter may be called what one number of a meter is; the meter comes before it.
            stem, _, last = key.rpartition(".")
            name, fields = taken.get(stem, ("", {}))
            if last in fields:
                warn_once(one.name, key, name)
            else:
                yield key, value
        if key in stems:
            taken[key] = (one.name, values)


def values_of(one: Series, times: int = 1) -> Values:
    """Return what stands behind the name of a series, by field; nothing behind it is `""`.

    Args:
        one: the series.
        times: what durations are multiplied by.
    """
    match one.snapshot:
        case CounterSnapshot() | UpDownCounterSnapshot() | GaugeSnapshot() as single:
            return {"": reading(single)}
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


def distribution(sample: HistogramSnapshot | BucketHistogramSnapshot, times: int) -> Values:
    """Return the numbers of a distribution, each but the count multiplied."""
    values: Values = {
        "count": sample.count,
        "min": sample.min * times,
        "max": sample.max * times,
        "mean": sample.mean * times,
        "std-dev": sample.stddev * times,
    }
    for name, value in zip(PERCENTILES, sample.percentiles(QUANTILES), strict=True):
        values[f"{name}-percentile"] = value * times
    return values


def rates_of(rates: MeterSnapshot) -> Values:
    """Return the moving averages of a meter or a timer."""
    return {"one-minute": rates.rate1, "five-minute": rates.rate5, "fifteen-minute": rates.rate15}
