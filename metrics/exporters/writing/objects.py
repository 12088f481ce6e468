"""JSON objects, member by member, of values that JSON has a place for.

The format: RFC 8259.
"""

import json
from collections.abc import Iterable, Iterator
from math import isfinite

from metrics.exporters.writing.numbers import bounded


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
