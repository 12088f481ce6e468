"""Summary of the leaks of all tests, counted by kind and place, for the end of a run."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

LINES = 20
"""Largest number of kinds and places in the summary."""

Blamed = tuple[str, str]
"""The pattern of a leak, and the line that started it, if that is known."""


def summary(tests: Iterable[Iterable[Blamed]], warned: int = 0) -> Iterator[str]:
    """Yield the lines about the leaks of each test, the most frequent leaks first.

    Args:
        tests: the leaks of each test that has some.
        warned: the number of tests that would fail, but for the mode "warn".
    """
    tests = list(tests)
    counted = Counter((pattern, place) for leaks in tests for pattern, place in leaks)
    if tests:
        yield f"{number(len(tests), 'test')} left objects behind:"
    here = f"{Path.cwd()}/"
    for (pattern, place), count in counted.most_common(LINES):
        started = f", started at {place.removeprefix(here)}" if place else ""
        yield f"{count:5}  {pattern}{started}"
    if (more := len(counted) - LINES) > 0:
        yield f"  and {number(more, 'other kind or place', 'other kinds or places')}"
    if warned:
        yield (
            f"{number(warned, 'test')} would fail: set `leakcheck = true`, or pass --leakcheck, to "
            "fail on leaks"
        )
    if warned and tests:
        yield "allow the rest with `leakcheck_ignore`, a pattern a line:"
        for pattern in dict.fromkeys(pattern for (pattern, _), _ in counted.most_common(LINES)):
            yield f"    {pattern}"


def number(count: int, one: str, several: str = "") -> str:
    """Return a number and its noun."""
    return f"{count} {one if count == 1 else several or f'{one}s'}"
