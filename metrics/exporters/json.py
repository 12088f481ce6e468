"""JSON under go-ethereum's keys."""

import json
from math import isfinite

from metrics.registry import Registry

CONTENT_TYPE = "application/json"


def render(registry: Registry, *, reader: str = "json") -> bytes:
    """Return the values of a registry as one JSON object, full name to values, in name order.

    The keys are go-ethereum's (`count`, `mean`, `95%`, `1m.rate`, ...); durations are in seconds.
    NaN and infinities, which JSON does not have, become null.

    Args:
        registry: what to read.
        reader: who reads; what resets when it is read resets for this reader alone.
    """
    values = finite_only(registry.to_dict(reader))
    return json.dumps(values, ensure_ascii=False, allow_nan=False).encode()


def finite_only(value: object) -> object:
    """Return a copy in which every NaN and infinity is None."""
    if isinstance(value, dict):
        return {key: finite_only(item) for key, item in value.items()}
    if isinstance(value, float) and not isfinite(value):
        return None
    return value
