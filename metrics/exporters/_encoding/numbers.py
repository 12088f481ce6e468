"""Numbers in the notations of formats, and their limits."""

from decimal import Decimal
from math import inf, isfinite, isnan

Number = int | float
"""An int or a float. Compiled code does not accept an int for a float, so both are named."""

LARGEST = 1 << 1023
"""Magnitude from which on an int counts as infinite; a float holds less than twice that."""

INT64 = 1 << 63

PLAIN_FROM = 1e-4
"""Magnitude below which Go writes a float with an exponent."""

PLAIN_UNTIL = 1e6
"""Magnitude from which on Go writes a float with an exponent."""


def clamp(value: Number) -> Number:
    """Return a number; an int beyond the range of floats as an infinity."""
    if isinstance(value, int) and abs(value) >= LARGEST:
        return inf if value > 0 else -inf
    return value


def finite(value: object) -> Number | None:
    """Return a value as an int of 64 bits or a finite float; None if it is neither.

    An int of more than 64 bits, which no server of these formats accepts, becomes a float.
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

    A float has a decimal point: a server that distinguishes the two would reject a large one as an
    int.
    """
    text = repr(value)
    if "e" not in text:
        return text
    digits = format(Decimal(text), "f")
    return digits if "." in digits else f"{digits}.0"


def go_float(value: float) -> str:
    """Return a float in the fewest digits that read back the same: `12345`, `1.25e+07`, `+Inf`."""
    if not isfinite(value):
        return "NaN" if isnan(value) else "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    if value == 0 or PLAIN_FROM <= abs(value) < PLAIN_UNTIL:
        return text.removesuffix(".0")
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = text.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).rstrip("0")
    point = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{point}e{len(whole) - 1 + int(exponent or 0):+03d}"


def canonical(value: float) -> str:
    """Return a float as a label: in Go's notation, but never like an int: `0.5`, `1.0`, `1e+06`.

    Source: OpenMetrics 1.0, "Considerations: Canonical Numbers".
    """
    text = go_float(value)
    return f"{text}.0" if text.lstrip("-").isdigit() else text
