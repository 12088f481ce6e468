"""JSON of values of any kind, without the numbers that JSON excludes."""

import json
from collections.abc import Iterable, Iterator
from math import isfinite

from metrics.exporters._encoding.numbers import clamp


def object_text(members: Iterable[tuple[str, object]]) -> Iterator[str]:
    """Return the text of a JSON object, member by member."""
    texts = (f"{text_of(key)}: {text_of(finite_only(value))}" for key, value in members)
    return join_texts("{", texts, ", ", "}")


def array_text(elements: Iterable[str]) -> Iterator[str]:
    """Return the text of a JSON array, element by element, which are texts of JSON."""
    return join_texts("[", elements, ",", "]")


def join_texts(start: str, texts: Iterable[str], separator: str, end: str) -> Iterator[str]:
    """Yield texts between a start and an end, with separators."""
    before = start
    for text in texts:
        yield before + text
        before = separator
    yield end if before is separator else start + end


def text_of(value: object) -> str:
    """Return a value as JSON; one without a JSON form as a string, so that a page never fails."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=str)


def finite_only(value: object) -> object:
    """Return a copy in which NaN and infinities, large ints included, are None."""
    if isinstance(value, dict):
        return {key: finite_only(item) for key, item in value.items()}
    if isinstance(value, int | float) and not isfinite(clamp(value)):
        return None
    return value
