"""Summary of the leaks of all tests, counted by kind and place, for the end of a run."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

LINES = 20
"""Largest number of kinds and places in the summary."""

Blamed = tuple[str, str]
"""The pattern of what was left, and the line that started it, if that is known."""


def summary(tests: Iterable[Iterable[Blamed]]) -> Iterator[str]:
    """Yield the lines about what each test has left, what was left most often first."""
    tests = list(tests)
    counted = Counter((pattern, place) for leaks in tests for pattern, place in leaks)
    yield f"{number(len(tests), 'test')} left objects behind:"
    here = f"{Path.cwd()}/"
    for (pattern, place), count in counted.most_common(LINES):
        started = f", started at {place.removeprefix(here)}" if place else ""
        yield f"{count:5}  {pattern}{started}"
    if (more := len(counted) - LINES) > 0:
        yield f"  and {number(more, 'other kind or place', 'other kinds or places')}"


def number(count: int, one: str, several: str = "") -> str:
    """Return a number and its noun."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"
