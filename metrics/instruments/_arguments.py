"""Conversion of arguments to exact numbers, and checks of the objects that instruments hold.

Instruments keep exact `int` and `float` objects only: with a subclass or a NumPy scalar,
`self._count += n` would call foreign code between its read and its write and could lose updates.
An update takes an argument of the exact type as it is, and passes every other one to this module.

Conversion looks methods up on the type. `isinstance(value, SupportsFloat)` decides the same, and
takes 80 times as long as the update.
"""

from math import inf
from operator import index
from typing import Final, SupportsFloat, SupportsIndex, TypeAlias, cast

from metrics.clock import Clock, SystemClock

Whole: TypeAlias = SupportsIndex
"""Type of integer arguments: an int, a bool, or an integer of NumPy for example."""

Real: TypeAlias = SupportsFloat | SupportsIndex
"""Type of float arguments: any real number, but no text."""

# Compiled code reads the value of a subclass without a call of its methods.
IS_COMPILED: Final = not __file__.endswith(".py")


def integer(caller: str, value: object) -> int:
    """Return `value` as an exact int.

    Raises:
        TypeError: `value` is not an integer; a float without a fraction is not one either.
    """
    if type(value) is int:
        return value
    if type(value) is bool:
        return 1 if value else 0
    try:
        return index(cast("SupportsIndex", value))
    except TypeError as error:
        raise TypeError(f"{caller} takes an int, got {value!r} ({type(value).__name__})") from error


def natural(caller: str, value: object) -> int:
    """Return `value` as an exact int of 0 or more.

    Raises:
        TypeError: `value` is not an integer.
        ValueError: `value` is negative.
    """
    number = integer(caller, value)
    if number < 0:
        raise ValueError(f"{caller} takes a number that is not negative, got {number!r}")
    return number


def real(caller: str, value: object) -> float:
    """Return `value` as an exact float; infinities and NaN are accepted.

    A subclass of int or float counts as the value it was created with, whatever its `__float__`
    returns.

    Raises:
        TypeError: `value` is not a real number.
        ValueError: `value` is too large for a float.
    """
    try:
        # Addition is the fastest conversion of an int. Interpreted, a subclass may override it.
        if type(value) is int:
            return value + 0.0
        if isinstance(value, float):
            return float(value) if IS_COMPILED else float.__float__(value)
        if isinstance(value, int):
            return value + 0.0 if IS_COMPILED else int.__float__(value)
        # float() parses text and buffers, and NumPy's strings have a method for it.
        kind = type(value)
        if isinstance(value, (str, bytes, bytearray, complex)) or (
            getattr(kind, "__float__", None) is None and getattr(kind, "__index__", None) is None
        ):
            raise TypeError(f"{caller} takes a number, got {value!r} ({kind.__name__})")
        return float(cast("SupportsFloat", value))
    except OverflowError as error:
        raise ValueError(f"{caller} takes a number that fits a float: {error}") from error


def finite(caller: str, value: object) -> float:
    """Return `value` as an exact float that is neither infinite nor NaN.

    Raises:
        TypeError: `value` is not a real number.
        ValueError: `value` is infinite, NaN, or too large for a float.
    """
    number = real(caller, value)
    if number - number != 0.0:
        raise ValueError(f"{caller} takes a finite number, got {number!r}")
    return number


def positive(caller: str, value: object) -> float:
    """Return `value` as an exact, finite float greater than 0.

    Raises:
        TypeError: `value` is not a real number.
        ValueError: `value` is zero, negative, infinite or NaN.
    """
    number = finite(caller, value)
    if number <= 0.0:
        raise ValueError(f"{caller} takes a number greater than 0, got {number!r}")
    return number


def amount(caller: str, value: object) -> float:
    """Return `value` as an exact, finite float of 0 or more.

    Raises:
        TypeError: `value` is not a real number.
        ValueError: `value` is negative, infinite or NaN.
    """
    number = real(caller, value)
    if not 0.0 <= number < inf:
        finite(caller, number)
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
    # Families create children by the thousand, nearly all with the system's clock.
    if type(value) is SystemClock:
        return value
    methods = ("monotonic", "monotonic_ns", "time", "time_ns")
    if lacks_method(value, methods):
        raise TypeError(
            f"{caller} takes a clock, got {value!r} ({type(value).__name__}); "
            f"pass SYSTEM_CLOCK, or an object with the methods {', '.join(methods)}"
        )
    return cast("Clock", value)


def check_methods(caller: str, value: object, names: tuple[str, ...], remedy: str) -> None:
    """Check that `value` has methods.

    Args:
        caller: the call or the parameter that takes the value, for the message.
        value: the object to check.
        names: the names of the methods.
        remedy: the kind of object to pass instead.

    Raises:
        TypeError: a method is missing, or `value` is a class and not an instance.
    """
    if lacks_method(value, names):
        raise TypeError(
            f"{caller} takes {remedy}, got {value!r} ({type(value).__name__}); "
            f"pass an object with the methods {', '.join(names)}"
        )


def lacks_method(value: object, names: tuple[str, ...]) -> bool:
    """Return whether a method is missing, or `value` is a class and not an instance."""
    if isinstance(value, type):
        return True
    return not all(callable(getattr(value, name, None)) for name in names)
