"""Floats as Go writes them, which Prometheus and go-ethereum do.

The rules: https://pkg.go.dev/strconv#FormatFloat, format `g` with the fewest digits.
"""

from math import isfinite, isnan

PLAIN_FROM = 1e-4
"""Below this a number is written with an exponent."""

PLAIN_UNTIL = 1e6
"""From here on a number is written with an exponent."""


def go_float(value: float) -> str:
    """Return a float in the fewest digits that read back as it is: `12345`, `1.25e+07`, `+Inf`."""
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
    """Return a float as a label: as Go writes it, and to be seen as no int: `0.5`, `1.0`, `1e+06`.

    Source: OpenMetrics 1.0, "Considerations: Canonical Numbers".
    """
    text = go_float(value)
    return f"{text}.0" if text.lstrip("-").isdigit() else text
