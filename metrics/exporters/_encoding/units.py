"""Units in the notations of formats, and checks of timestamps."""

from collections.abc import Callable
from functools import lru_cache
from math import isfinite

from metrics._units import scale_of
from metrics.exporters._encoding.numbers import Number, clamp
from metrics.instruments._inner import natural

Writer = Callable[[Number], str]
"""Function that returns a number of one unit as text."""

DURATIONS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))

SIZES = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))

WHOLE = 1e3
"""Magnitude from which on a float is written without a fraction."""

LONG = 1e15
"""Magnitude from which on a float is written with an exponent."""

CODES = {
    "seconds": "s",
    "milliseconds": "ms",
    "microseconds": "us",
    "nanoseconds": "ns",
    "minutes": "min",
    "hours": "h",
    "days": "d",
    "bits": "bit",
    "bytes": "By",
    "kilobytes": "kBy",
    "megabytes": "MBy",
    "gigabytes": "GBy",
    "kibibytes": "KiBy",
    "mebibytes": "MiBy",
    "gibibytes": "GiBy",
    "percent": "%",
    "ratio": "1",
    "celsius": "Cel",
    "hertz": "Hz",
    "joules": "J",
    "volts": "V",
    "amperes": "A",
    "watts": "W",
    "meters": "m",
    "grams": "g",
}
"""Codes of units in the Unified Code for Units of Measure (https://ucum.org/ucum)."""

OWN = frozenset(CODES.values())

SINGULARS = {
    "series": "series",
    "ies": "y",
    "sses": "ss",
    "xes": "x",
    "ches": "ch",
    "shes": "sh",
    "ss": "ss",
    "us": "us",
    "is": "is",
    "s": "",
}
"""Endings of English nouns in the plural to the singular; the first that fits."""

NANOSECONDS_END = 1 << 63

SECOND = 1_000_000_000
"""Nanoseconds in a second."""

MILLISECOND = 1_000_000
"""Nanoseconds in a millisecond."""

PER_SECOND = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}


def writer_of(unit: str) -> Writer | None:
    """Return the function that writes numbers of a unit; None if numbers do not show the unit."""
    scale = scale_of(unit)
    if scale.base == "seconds":
        return lambda value: scale_text(scale.of(value), DURATIONS, "s")
    if scale.base == "bytes":
        return lambda value: scale_text(scale.of(value), SIZES, "B")
    if unit == "percent":
        return lambda value: f"{round_text(value)}%"
    return round_text if unit in {"", "ratio"} else None


def scale_text(
    value: Number, steps: tuple[tuple[float, str], ...], base: str, between: str = ""
) -> str:
    """Return a number in its largest unit that is not above it, or else in the smallest one."""
    value = clamp(value)
    if not value or not isfinite(value):
        return round_text(value) + between + base
    step, name = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return round_text(value / step) + between + name


def size_text(size: int) -> str:
    """Return a number of bytes for a sentence: `16 MiB`."""
    return scale_text(size, SIZES, "B", " ")


def several(count: int, one: str, many: str) -> str:
    """Return a count with its noun for a sentence: `no try`, `1 try`, `2 tries`."""
    return f"{count} {many}" if count > 1 else f"1 {one}" if count else f"no {one}"


def round_text(value: Number) -> str:
    """Return a float with at least four significant digits; an int with all of its digits."""
    value = clamp(value)
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if WHOLE <= abs(value) < LONG else f"{value:.4g}"


@lru_cache(maxsize=1024)
def code_of(unit: str) -> str:
    """Return the UCUM code of a unit; a unit without one is an annotation, which counts as 1.

    `bytes` is `By`, a code is itself, and the empty unit has none. `requests` is `{request}`: the
    semantic conventions have annotations in the singular.
    """
    if not unit or unit in OWN:
        return unit
    code = CODES.get(unit)
    if code is not None:
        return code
    # An annotation consists of ASCII characters other than braces and space.
    return (
        "{"
        + "".join([c if "!" <= c <= "~" and c not in "{}" else "_" for c in singular(unit)])
        + "}"
    )


def singular(noun: str) -> str:
    """Return a regular English noun in the singular; any other text unchanged."""
    for ending, end in SINGULARS.items():
        if noun.endswith(ending):
            return noun.removesuffix(ending) + end
    return noun


def code_of_rate(code: str) -> str:
    """Return the code of a unit per second."""
    return f"{code or 1}/s"


def checked_ns(timestamp_ns: object) -> int:
    """Return nanoseconds since 1970 as an exact int.

    Raises:
        TypeError: `timestamp_ns` is not an int.
        ValueError: `timestamp_ns` is negative or has more than 63 bits.
    """
    ns = natural("timestamp_ns", timestamp_ns)
    if ns >= NANOSECONDS_END:
        raise ValueError(f"invalid timestamp_ns {ns:#x}: use nanoseconds since 1970, below 2**63")
    return ns


def checked_seconds(timestamp_ns: object) -> int:
    """Return the whole seconds of nanoseconds since 1970; raise as `checked_ns` does."""
    return checked_ns(timestamp_ns) // SECOND


def per_second(duration_unit: str) -> int:
    """Return the number of units in a second.

    Raises:
        ValueError: the unit is not `seconds`, `milliseconds`, `microseconds` or `nanoseconds`.
    """
    found = PER_SECOND.get(duration_unit)
    if found is None:
        raise ValueError(
            f"invalid duration_unit {duration_unit!r}: use one of {', '.join(PER_SECOND)}"
        )
    return found
