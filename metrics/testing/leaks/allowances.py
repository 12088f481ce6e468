"""What a check lets pass: names that match a pattern, and what ends within the grace period."""

from collections.abc import Iterable
from re import Pattern
from typing import Any

Ignored = str | Pattern[str]

GRACE = 0.5
"""Seconds that things may take to end, unless told otherwise: what is told to end mostly takes some
milliseconds, and a server of `socketserver` looks every half second."""


def seconds(grace: Any) -> float:
    """Return a grace period.

    Raises:
        ValueError: it is no number, or a negative one.
    """
    if not isinstance(grace, int | float) or not grace >= 0:
        raise ValueError(f"grace is a number of seconds, 0 or more; got {grace!r}")
    return float(grace)


def patterns(ignore: Ignored | Iterable[Ignored]) -> tuple[Ignored, ...]:
    """Return one pattern or several as a tuple.

    Raises:
        TypeError: something is no pattern.
    """
    given = (
        tuple(ignore) if isinstance(ignore, Iterable) and not isinstance(ignore, str) else (ignore,)
    )
    for pattern in given:
        if not isinstance(pattern, str | Pattern):
            raise TypeError(
                f"ignore takes patterns, strings or compiled expressions; got {pattern!r}"
            )
    return given
