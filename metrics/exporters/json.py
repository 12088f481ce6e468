"""JSON under go-ethereum's keys.

The format: RFC 8259.
"""

from collections.abc import Iterator

from metrics.exporters._encoding.framing import join_chunks, render_of
from metrics.exporters._encoding.json import object_text
from metrics.exporters._series.recent import checked_window
from metrics.exporters._series.series import read_series, series_by_key
from metrics.instruments._inner import Real
from metrics.registry import Registry

CONTENT_TYPE = "application/json"


def stream(registry: Registry, *, window: Real = 0.0, reader: str = "json") -> Iterator[bytes]:
    """Return the chunks of one JSON object, full name to values, in name order.

    The keys of values are go-ethereum's (`count`, `mean`, `95%`, `1m.rate`, ...); durations are in
    seconds. A family's children have its name and their labels as key: `requests{method="GET"}`.
    NaN, infinities and ints beyond the range of a float, which readers of JSON do not have, become
    null. Of two instruments with one key the first is kept, and a warning is logged.

    Options are checked at the call; instruments are read as the chunks are taken, of some tens of
    KB each.

    Args:
        registry: the registry to read.
        window: seconds of values of resetting timers to show; see `prometheus.stream`. 0 shows the
            values since the last read of `reader`.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `window` is not a number.
        ValueError: `window` is negative, infinite or NaN.
    """
    all_series = series_by_key(read_series(registry, reader, checked_window(window)))
    return join_chunks(object_text((key, one.snapshot.to_dict()) for key, one in all_series))


render = render_of(stream)
