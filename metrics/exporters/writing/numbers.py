"""What a number is in this package, and where it grows beyond what readers can hold."""

from math import inf

Number = int | float
"""Compiled code takes no int for a float, so it is always said that both are meant."""

LARGEST = 1 << 1023
"""An int from here on is taken for an infinity; a float holds less than twice that."""


def bounded(value: Number) -> Number:
    """Return a number; an int that is too large for a float as an infinity."""
    if isinstance(value, int) and abs(value) >= LARGEST:
        return inf if value > 0 else -inf
    return value
