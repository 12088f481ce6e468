"""Allowances of a check: names that match a pattern, and the grace period for ending objects."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from re import Pattern
from typing import Any

from metrics.testing.leaks._origins import Frame

Ignored = str | Pattern[str]

GRACE = 0.5
"""Default seconds to wait for objects that are ending: most of them take some milliseconds, and a
server of `socketserver` looks every half second."""


def seconds(value: Any, name: str = "grace") -> float:
    """Return a duration in seconds.

    Raises:
        ValueError: it is no number, or a negative one.
    """
    if not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"{name} is a number of seconds, 0 or more; got {value!r}")
    return float(value)


def location_of(pattern: Ignored) -> tuple[str, str] | None:
    """Return the pattern for the object and the location of "thread @ package/module.py".

    Returns:
        None for a pattern without a location.
    """
    if not isinstance(pattern, str):
        return None
    what, separator, location = f" {pattern}".partition(" @ ")
    return (what.strip(), location.strip()) if separator else None


def is_in(frame: Frame, location: str) -> bool:
    """Return whether a function is at a location.

    Args:
        frame: the function.
        location: the end of a path that ends in ".py", "module:function" or "module"; each may have
            the wildcards of `fnmatch`.
    """
    if location.endswith(".py"):
        file = Path(frame.code.co_filename).as_posix()
        return fnmatchcase(file, location) or fnmatchcase(file, f"*/{location}")
    module, _, function = location.partition(":")
    names = (frame.code.co_name, frame.code.co_qualname)
    return fnmatchcase(frame.module, module) and (
        not function or any(fnmatchcase(name, function) for name in names)
    )


def patterns(ignore: Ignored | Iterable[Ignored]) -> tuple[Ignored, ...]:
    """Return one pattern or several as a tuple.

    Raises:
        TypeError: a value is no pattern.
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
