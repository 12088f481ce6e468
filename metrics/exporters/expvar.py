"""One flat JSON object under the keys of go-ethereum's expvar page.

The keys: go-ethereum, `metrics/exp`, and https://pkg.go.dev/expvar.
"""

from collections.abc import Iterable, Iterator

from metrics.exporters._encoding.framing import join_chunks
from metrics.exporters._encoding.json import object_text
from metrics.exporters._encoding.units import per_second
from metrics.exporters._series.clashes import warn_once
from metrics.exporters._series.fields import Fields, named_values
from metrics.exporters._series.series import Series, keyed, series
from metrics.registry import Registry

CONTENT_TYPE = "application/json; charset=utf-8"


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
    """Yield the page that `render` returns in chunks of some tens of KB."""
    times = per_second(duration_unit)
    stems = {name.rpartition(".")[0] for name in registry.names()}
    return join_chunks(object_text(members(keyed(series(registry, reader)), times, stems)))


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
