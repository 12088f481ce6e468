"""JSON under go-ethereum's keys.

The format: RFC 8259.
"""

import json
from collections.abc import Iterable, Iterator
from math import isfinite

from metrics.exporters.chunks import chunked
from metrics.exporters.clashes import warn_once
from metrics.exporters.quantities import bounded
from metrics.exporters.series import Series, series
from metrics.exporters.texts import key_of
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
    return chunked(written(members))


def keyed(all_series: Iterable[Series]) -> Iterator[tuple[str, Series]]:
    """Yield series with their names and labels as one text, each text once."""
    taken: dict[str, str] = {}
    for one in all_series:
        key = key_of(one)
        # Only a name that looks like one with labels can be taken.
        if "{" in key and taken.setdefault(key, one.name) != one.name:
            warn_once(one.name, key, taken[key])
        else:
            yield key, one


def written(members: Iterable[tuple[str, object]]) -> Iterator[str]:
    """Yield the text of a JSON object, member by member."""
    separator = "{"
    for key, value in members:
        yield f"{separator}{text_of(key)}: {text_of(finite_only(value))}"
        separator = ", "
    yield "{}" if separator == "{" else "}"


def text_of(value: object) -> str:
    """Return a value as JSON; as a string if it has no other form, for a page must not fail."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)


def finite_only(value: object) -> object:
    """Return a copy in which every number that is no finite float is None."""
    if isinstance(value, dict):
        return {key: finite_only(item) for key, item in value.items()}
    if isinstance(value, int | float) and not isfinite(bounded(value)):
        return None
    return value
