"""Checks of what is passed to an instrument, off the fast path.

An update tests for the exact built-in type itself (`type(n) is int`) and comes here only when
that fails. What comes back is always an exact `int` or `float`: with a subclass or a NumPy scalar,
`self._count += n` would call foreign code between its read and its write and could lose updates.
"""

import operator
from math import isfinite
from typing import SupportsFloat, SupportsIndex, TypeAlias, cast

from metrics.clock import Clock, SystemClock

Whole: TypeAlias = SupportsIndex
"""What is taken for an int: an int, or a NumPy integer for example."""

Real: TypeAlias = SupportsFloat | SupportsIndex
"""What is taken for a float: any number, but no text."""


def integer(caller: str, value: object) -> int:
    """Return `value` as an exact int.

    Raises:
        TypeError: `value` is not an integer (a float with no fraction is not one either).
    """
    if isinstance(value, SupportsIndex):
        return int(operator.index(value))
    raise TypeError(f"{caller} takes an int, got {value!r} ({type(value).__name__})")


def natural(caller: str, value: object) -> int:
    """Return `value` as an exact int that is not negative.

    Raises:
        TypeError: `value` is not an integer.
        ValueError: `value` is negative.
    """
    number = integer(caller, value)
    if number < 0:
        raise ValueError(f"{caller} takes a number that is not negative, got {number!r}")
    return number


def real(caller: str, value: object) -> float:
    """Return `value` as an exact float; infinities and NaN are let through.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is too large for a float.
    """
    # float("1.5") works, but text handed to an instrument is a mistake worth telling.
    if isinstance(value, (str, bytes, bytearray)) or not isinstance(
        value, (SupportsFloat, SupportsIndex)
    ):
        raise TypeError(f"{caller} takes a number, got {value!r} ({type(value).__name__})")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError(f"{caller} takes a number that fits a float: {error}") from error


def finite(caller: str, value: object) -> float:
    """Return `value` as an exact float that is neither infinite nor NaN.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is infinite, NaN, or too large for a float.
    """
    number = real(caller, value)
    if not isfinite(number):
        raise ValueError(f"{caller} takes a finite number, got {number!r}")
    return number


def positive(caller: str, value: object) -> float:
    """Return `value` as an exact, finite float greater than 0.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is zero, negative, infinite or NaN.
    """
    number = finite(caller, value)
    if number <= 0.0:
        raise ValueError(f"{caller} takes a number greater than 0, got {number!r}")
    return number


def amount(caller: str, value: object) -> float:
    """Return `value` as an exact, finite float that is not negative.

    Raises:
        TypeError: `value` is not a number.
        ValueError: `value` is negative, infinite or NaN.
    """
    number = finite(caller, value)
    if number < 0.0:
        raise ValueError(f"{caller} takes a number that is not negative, got {number!r}")
    return number


def size(caller: str, value: object) -> int:
    """Return `value` as an exact int greater than 0.

    Raises:
        TypeError: `value` is not an integer.
        ValueError: `value` is zero or negative.
    """
    number = integer(caller, value)
    if number < 1:
        raise ValueError(f"{caller} takes a number above 0, got {number!r}")
    return number


def checked_clock(caller: str, value: object) -> Clock:
    """Return `value`, a clock.

    Raises:
        TypeError: `value` lacks a method of `Clock`, or is the class of a clock.
    """
    if type(value) is SystemClock:
        return value
    methods = ("monotonic", "monotonic_ns", "time", "time_ns")
    if isinstance(value, type) or not all(
        callable(getattr(value, method, None)) for method in methods
    ):
        raise TypeError(
            f"{caller} takes a clock, got {value!r} ({type(value).__name__}); "
            f"pass SYSTEM_CLOCK, or an object with the methods {', '.join(methods)}"
        )
    return cast("Clock", value)
