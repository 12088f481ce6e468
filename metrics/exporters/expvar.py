"""One flat JSON object under the keys of go-ethereum's expvar page.

The keys: go-ethereum, `metrics/exp`, and https://pkg.go.dev/expvar.
"""

from collections.abc import Iterable, Iterator

from metrics.exporters._encoding.framing import join_chunks, render_of
from metrics.exporters._encoding.json import object_text
from metrics.exporters._encoding.units import per_second
from metrics.exporters._series.clashes import warn_once
from metrics.exporters._series.fields import Fields, named_values
from metrics.exporters._series.recent import checked_window
from metrics.exporters._series.series import Series, read_series, series_by_key
from metrics.instruments._inner import Real
from metrics.registry import Registry

CONTENT_TYPE = "application/json; charset=utf-8"


def stream(
    registry: Registry,
    *,
    duration_unit: str = "nanoseconds",
    window: Real = 0.0,
    reader: str = "expvar",
) -> Iterator[bytes]:
    """Return the chunks of one flat JSON object, in name order.

    Counters, gauges and infos have their names as keys, an info as JSON in a string; meters and
    distributions have a key for each number: `name.count`, `name.one-minute`, `name.50-percentile`.
    Labels come before that: `name{method="GET"}.count`. NaN, infinities and ints beyond the range
    of a float become null. Of two instruments with one key the first is kept, and a warning is
    logged.

    Options are checked at the call; instruments are read as the chunks are taken, of some tens of
    KB each.

    Args:
        registry: the registry to read.
        duration_unit: the unit of timers: `seconds`, `milliseconds`, `microseconds` or
            `nanoseconds`, which is go-ethereum's.
        window: seconds of values of resetting timers to show; see `prometheus.stream`. 0 shows the
            values since the last read of `reader`.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `window` is not a number.
        ValueError: `duration_unit` is another unit, or `window` is negative, infinite or NaN.
    """
    times = per_second(duration_unit)
    stems = {name.rpartition(".")[0] for name in registry.names()}
    all_series = series_by_key(read_series(registry, reader, checked_window(window)))
    return join_chunks(object_text(members(all_series, times, stems)))


render = render_of(stream)


def members(
    all_series: Iterable[tuple[str, Series]], times: int, stems: set[str]
) -> Iterator[tuple[str, object]]:
    """Yield keys and values, each key once.

    Args:
        all_series: keys and series.
        times: the factor of durations.
        stems: the texts before the last dot of the names in the registry.
    """
    taken: dict[str, tuple[str, Fields]] = {}
    for key, one in all_series:
        values = named_values(one, times)
        for field, value in values.items():
            if field:
                yield f"{key}.{field}", value
                continue
            # A counter may have the key of a number of a meter, which comes before it.
            stem, _, last = key.rpartition(".")
            name, fields = taken.get(stem, ("", {}))
            if last in fields:
                warn_once(one.name, key, name)
            else:
                yield key, value
        if key in stems:
            taken[key] = (one.name, values)
