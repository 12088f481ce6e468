"""JSON under go-ethereum's keys.

The format: RFC 8259.
"""

from collections.abc import Iterator

from metrics.exporters._encoding.framing import join_chunks
from metrics.exporters._encoding.json import object_text
from metrics.exporters._series.series import keyed, series
from metrics.registry import Registry

CONTENT_TYPE = "application/json"


def render(registry: Registry, *, reader: str = "json") -> bytes:
    """Return the values of a registry as one JSON object, full name to values, in name order.

    The keys are go-ethereum's (`count`, `mean`, `95%`, `1m.rate`, ...); durations are in seconds.
    A family's children stand under its name and their labels: `requests{method="GET"}`. NaN,
    infinities and ints beyond the range of a float, which readers of JSON do not have, become
    null. Of two instruments with one key the first is kept, and a warning is logged.

    Args:
        registry: what to read.
        reader: who reads; what resets when it is read resets for this reader alone.
    """
    return b"".join(stream(registry, reader=reader))


def stream(registry: Registry, *, reader: str = "json") -> Iterator[bytes]:
    """Yield what `render` returns in chunks of some tens of KB."""
    members = ((key, one.snapshot.to_dict()) for key, one in keyed(series(registry, reader)))
    return join_chunks(object_text(members))
