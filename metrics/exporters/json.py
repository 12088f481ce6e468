"""JSON under go-ethereum's keys."""

import json
from math import isfinite

from metrics.registry import Registry

CONTENT_TYPE = "application/json"

LARGEST = 1 << 1023


def render(registry: Registry, *, reader: str = "json") -> bytes:
    """Return the values of a registry as one JSON object, full name to values, in name order.

    The keys are go-ethereum's (`count`, `mean`, `95%`, `1m.rate`, ...); durations are in seconds.
    NaN, infinities and ints beyond the range of a float, which readers of JSON do not have, become
    null.

    Args:
        registry: what to read.
        reader: who reads; what resets when it is read resets for this reader alone.
    """
    values = finite_only(registry.to_dict(reader))
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode(errors="backslashreplace")


def finite_only(value: object) -> object:
    """Return a copy in which every number that is no finite float is None."""
    if isinstance(value, dict):
        return {key: finite_only(item) for key, item in value.items()}
    if isinstance(value, float) and not isfinite(value):
        return None
    if isinstance(value, int) and abs(value) >= LARGEST:
        return None
    return value
