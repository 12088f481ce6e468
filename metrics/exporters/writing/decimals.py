"""Numbers as line formats write them: in decimals, without an exponent, and always finite."""

from decimal import Decimal
from math import isfinite

from metrics.exporters.writing.numbers import Number

INT64 = 1 << 63


def finite(value: object) -> Number | None:
    """Return a value as an int of 64 bits or a finite float; None if it is neither.

    An int of more than 64 bits, which no server of these formats takes, becomes a float.
    """
    if isinstance(value, float):
        return value if isfinite(value) else None
    if not isinstance(value, int):
        return None
    if -INT64 <= value < INT64:
        return int(value)
    try:
        return float(value)
    except OverflowError:
        return None


def decimal(value: Number) -> str:
    """Return a finite number in the fewest digits that read back as the same number.

    A float has a point in it: a server that tells the two apart would find a large one no int.
    """
    text = repr(value)
    if "e" not in text:
        return text
    digits = format(Decimal(text), "f")
    return digits if "." in digits else f"{digits}.0"
