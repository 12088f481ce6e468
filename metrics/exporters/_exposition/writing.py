"""Numbers, names and labels as a page has them, appended to its text."""

from math import inf, isnan
from typing import Final

from metrics._native import BytesWriter, i64, u8
from metrics._units import Scale
from metrics.exporters._encoding.numbers import LARGEST, Number
from metrics.instruments import Exemplar
from metrics.instruments._inner import escape_label
from metrics.registry._inner import Labels

LINE_FEED: Final = 10

POINT: Final = 46

MINUS: Final = 45

ZERO: Final = 48

# Interpreted, one conversion is faster than a loop over digits.
IS_COMPILED: Final = not __file__.endswith(".py")

GROUP: Final = 1_000

PLAIN: Final[list[bytes]] = [b"%d" % number for number in range(GROUP)]
"""Numbers below 1,000."""

PADDED: Final[list[bytes]] = [b"%03d" % number for number in range(GROUP)]
"""Groups of three digits."""

INT_LIMIT: Final = 1 << 60
"""Ints below this are compared in one step, and fit an i64."""

BITS: Final = 59
"""Bits of a fraction, ten times of which fit an i64."""

ONE: Final = 1 << 59
"""1 in units of the last of these bits."""

FRACTION_FROM: Final = 0.015625
"""Magnitude from which on these bits hold the fraction of a float, 2**-6."""

FRACTION_UNTIL: Final = 1_099_511_627_776.0
"""Magnitude from which on a float is left to `repr`, 2**40."""


def write_number(writer: BytesWriter, value: Number) -> None:
    """Append a number in the format's spelling."""
    if isinstance(value, int):
        if IS_COMPILED and 0 <= value < INT_LIMIT:
            write_whole(writer, i64(value))
        else:
            writer.write(large_text(value).encode())
    elif IS_COMPILED:
        write_float(writer, value)
    else:
        writer.write(float_text(value).encode())


def write_whole(writer: BytesWriter, number: i64) -> None:
    """Append an int that is not negative."""
    if not IS_COMPILED:
        writer.write(b"%d" % number)
    elif number < GROUP:
        writer.write(PLAIN[number])
    elif number < GROUP * GROUP:
        writer.write(PLAIN[number // GROUP])
        writer.write(PADDED[number % GROUP])
    else:
        write_whole(writer, number // (GROUP * GROUP))
        writer.write(PADDED[number // GROUP % GROUP])
        writer.write(PADDED[number % GROUP])


def write_float(writer: BytesWriter, value: float) -> None:
    """Append a float in the fewest digits that read back as the same float, as `repr` has them.

    Several times as fast as `repr` for floats of 17 digits. Digits are generated until the rest is
    less than half the distance to the next float.

    Source: G. L. Steele and J. L. White, "How to print floating-point numbers accurately", PLDI
    1990, the algorithm for fixed-point fractions; ties round to even, as in `repr`.
    """
    size = -value if value < 0.0 else value
    # NaN fails both comparisons.
    if not (FRACTION_FROM <= size < FRACTION_UNTIL):
        writer.write(float_text(value).encode())
        return
    if value < 0.0:
        writer.append(MINUS)
    whole = i64(size)
    write_whole(writer, whole)
    writer.append(POINT)
    rest = i64((size - float(whole)) * ONE)
    # Half the distance to the next float.
    half: i64 = 1
    power = FRACTION_FROM * 2.0
    while power <= size:
        power *= 2.0
        half *= 2
    while True:
        rest *= 10
        half *= 10
        digit = rest >> BITS
        rest &= ONE - 1
        if rest < half or rest > ONE - half:
            break
        writer.append(u8(ZERO + digit))
    if rest * 2 > ONE or (rest * 2 == ONE and digit & 1):
        digit += 1
    writer.append(u8(ZERO + digit))


def float_text(value: float) -> str:
    """Return a float in the format's spelling."""
    if isnan(value):
        return "NaN"
    if value in {inf, -inf}:
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def large_text(value: int) -> str:
    """Return an int in the format's spelling."""
    # Prometheus reads every number as a float.
    return str(value) if abs(value) < LARGEST else "+Inf" if value > 0 else "-Inf"


def write_exemplar(writer: BytesWriter, exemplar: Exemplar, scale: Scale) -> None:
    """Append an exemplar as it follows the number of a sample.

    The format: https://prometheus.io/docs/specs/om/open_metrics_spec/#exemplars
    """
    writer.write(encode(f" # {{{label_pairs(exemplar.labels)}}} "))
    write_number(writer, scale.of(exemplar.value))
    writer.write(b" ")
    write_number(writer, exemplar.timestamp)


def prefix(name: str, labels: Labels) -> str:
    """Return the text before the number of a sample: its name and its labels."""
    return f"{name}{{{label_pairs(labels)}}} " if labels else f"{name} "


def label_pairs(labels: Labels) -> str:
    """Return labels as the format writes them between braces."""
    return ",".join([f'{key}="{escape_label(value)}"' for key, value in labels])


def encode(text: str) -> bytes:
    """Return a text as UTF-8."""
    # Half a surrogate pair has no place in UTF-8, and the page must not fail for it.
    return text.encode(errors="replace")
