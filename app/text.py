"""Text for terminals: escaped characters, readable values, sparklines."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from math import inf, isfinite

BLOCKS = " ▁▂▃▄▅▆▇█"
"""Eighths of a character cell, from none to all of them."""

SCALES = {
    "seconds": (
        (86400.0, "d"),
        (3600.0, "h"),
        (60.0, "min"),
        (1.0, "s"),
        (1e-3, "ms"),
        (1e-6, "µs"),
        (1e-9, "ns"),
    ),
    "bytes": ((2.0**40, "TiB"), (2.0**30, "GiB"), (2.0**20, "MiB"), (2.0**10, "KiB"), (1.0, "B")),
    "ratio": ((0.01, "%"),),
    "": ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")),
}
"""Sizes and names of scales, the largest first, by base unit."""

FIRST_INSTANT = 1e9
"""Seconds from 1970 to 2001; fewer are no instant, whatever their name."""

INSTANTS = ("_created", "_timestamp_seconds", "_start_time_seconds", "_current_time_seconds")
"""Ends of the names of series whose seconds are counted from 1970."""


def printable(text: str) -> str:
    r"""Return text with every character that is no printable one escaped, such as `\x1b`.

    Control characters, line ends, directional marks and unpaired surrogates can do no harm to a
    terminal then.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def label_text(labels: Iterable[tuple[str, str]], comma: str = ",") -> str:
    r"""Return labels as `{name="value",...}`, printable and with `\` and `"` escaped."""
    pairs = []
    for name, value in labels:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        pairs.append(f'{printable(name)}="{printable(escaped)}"')
    return "{" + comma.join(pairs) + "}" if pairs else ""


def exact(value: float) -> str:
    """Return a number as exposition formats write it, to the last digit."""
    if isinstance(value, int):
        return str(value)
    if isfinite(value):
        return repr(value)
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"  # noqa: PLR0124 - NaN


def quantity(value: float, unit: str = "", name: str = "") -> str:
    """Return a value in a readable unit: `1.512 ms`, `20 MiB`, `12.5 %`; as it is without one.

    Args:
        value: the value.
        unit: its base unit; `seconds`, `bytes` and `ratio` are scaled, others are left out.
        name: the name of its series, which says whether seconds are an instant.
    """
    if unit == "seconds" and real(value) > FIRST_INSTANT and name.endswith(INSTANTS):
        return instant(real(value))
    if unit and unit in SCALES:
        return scaled_text(real(value), unit, 4, " ")
    return f"{value:,}" if isinstance(value, int) else digits(value, 6)


def short_quantity(value: float, unit: str = "") -> str:
    """Return a value in three digits, in a readable unit or with a decimal prefix: `1.51ms`."""
    return scaled_text(real(value), unit if unit in SCALES else "", 3, "")


def scaled_text(number: float, unit: str, places: int, space: str) -> str:
    """Return a number in the largest scale of a unit that it reaches, or else in the smallest."""
    if not number or not isfinite(number):
        return digits(number, places)
    for size, suffix in SCALES[unit]:
        # 999.96 ms are 1 s in four digits.
        if abs(float(f"{number:.{places}g}")) >= size:
            return f"{digits(number / size, places)}{space if suffix else ''}{suffix}"
    size, suffix = SCALES[unit][-1]
    return f"{digits(number / size, places)}{space if suffix else ''}{suffix}"


def digits(number: float, places: int) -> str:
    """Return a number in so many digits."""
    return f"{float(f'{number:.{places}g}'):.6g}" if isfinite(number) else exact(number)


def real(value: float) -> float:
    """Return a number as a float; an integer that is too large for one is infinite."""
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def instant(seconds: float) -> str:
    """Return seconds since 1970 as a date and time, in UTC."""
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"
    except (ValueError, OverflowError, OSError):
        return digits(seconds, 6)


def sparkline(values: Sequence[float], width: int, floor: float = inf) -> str:
    """Return the last values as one line of blocks, one character each, as `chart` does."""
    return chart(values, width, 1, floor)[0]


def chart(values: Sequence[float], width: int, height: int, floor: float = inf) -> list[str]:
    """Return the last values as columns of blocks, in lines from top to bottom.

    The newest value is at the right; with fewer values than columns, the left is empty. A value
    that is not finite is a gap, and the lowest one is one eighth of a cell high, as is `floor` if
    it is lower still.
    """
    shown = list(values)[-width:]
    finite = [value for value in shown if isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=0.0)
    low = min(low, floor)
    # Halves do not overflow.
    span = high / 2 - low / 2
    steps = height * 8 - 1
    eighths = [
        (1 + round((value / 2 - low / 2) / span * steps) if span else 1) if isfinite(value) else 0
        for value in shown
    ]
    return [
        "".join(BLOCKS[min(max(each - 8 * row, 0), 8)] for each in eighths).rjust(width)
        for row in range(height - 1, -1, -1)
    ]
