"""Option values, as Python code, environment variables and configuration files write them.

None and empty text stand for an unset option, as in OpenTelemetry's specification of environment
variables. A provider of dependency-injector can convert its own options with these functions:
`config.db.timeout.as_(seconds, "db.timeout", default=5.0)`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from math import inf, isfinite
from typing import SupportsFloat, SupportsIndex
from urllib.parse import unquote

SWITCHES = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}

UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "\N{MICRO SIGN}s": 1_000,
    "\N{GREEK SMALL LETTER MU}s": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
}
"""Nanoseconds by unit: the units of Go's `time.ParseDuration`, and days."""

DECIMAL = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
NUMBER = re.compile(rf"(?:{DECIMAL})(?:[eE][+-]?[0-9]+)?")
TERM = re.compile(rf"({DECIMAL})({'|'.join(UNITS_NS)})")
DURATION = re.compile(rf"(?:{TERM.pattern})+")


def boolean(value: object, option: str, default: bool | None = None) -> bool:
    """Return whether an option is on.

    Args:
        value: a bool, 0 or 1, or their text; also yes and no, on and off, in any case.
        option: the name of the option, for the errors.
        default: the value of an unset option; None if the option is required.

    Raises:
        TypeError: `value` is neither a bool, an int nor a str.
        ValueError: `value` is another number or text.
    """
    if default is not None and is_unset(value):
        return default
    rule = "use true or false, yes or no, on or off, 1 or 0"
    if not isinstance(value, int | str):
        raise TypeError(f"invalid {option} {value!r} ({type(value).__name__}): {rule}")
    switch = SWITCHES.get(str(value).strip().lower())
    if switch is None:
        raise ValueError(f"invalid {option} {value!r}: {rule}")
    return switch


def seconds(value: object, option: str, default: float | None = None) -> float:
    """Return a duration in seconds, above 0.

    Args:
        value: a number of seconds, its text, or durations with units, one behind another: `500ms`,
            `2.5s`, `1m30s`. The units are ns, us, ms, s, m, h and d.
        option: the name of the option, for the errors.
        default: the seconds of an unset option; None if the option is required.

    Raises:
        TypeError: `value` is neither a number nor a str.
        ValueError: `value` is no duration, or not above 0, or infinite.
    """
    if default is not None and is_unset(value):
        return default
    rule = 'use a number of seconds above 0, or a duration such as "500ms", "2.5s" or "1m30s"'
    if isinstance(value, str):
        duration = parse_duration(value.strip())
    elif isinstance(value, SupportsFloat | SupportsIndex) and not isinstance(value, bool):
        try:
            duration = float(value)
        except OverflowError:
            duration = inf
    else:
        raise TypeError(f"invalid {option} {value!r} ({type(value).__name__}): {rule}")
    if not (isfinite(duration) and duration > 0.0):
        raise ValueError(f"invalid {option} {value!r}: {rule}")
    return duration


def labels(value: object, option: str) -> dict[str, str]:
    """Return labels; an unset option has none, and a label without a value is left out.

    Args:
        value: a mapping from names to texts or numbers, or a text such as `service=shop,zone=eu`,
            in the syntax of the environment variable OTEL_RESOURCE_ATTRIBUTES: a comma, an equals
            sign or a percent sign within a value is percent-encoded.
        option: the name of the option, for the errors.

    Raises:
        TypeError: `value` is neither a mapping nor a str, a name is not a str, or the value of a
            label neither a str nor a number.
        ValueError: the text is malformed, or names a label twice.
    """
    if is_unset(value):
        return {}
    found: dict[str, str] = {}
    for name, label in label_pairs(value, option):
        if not isinstance(name, str):
            raise TypeError(f"invalid name {name!r} in {option}: use a str")
        if label is not None and (
            isinstance(label, bool) or not isinstance(label, str | int | float)
        ):
            raise TypeError(
                f"invalid value {label!r} of label {name!r} in {option}: use a str or a number"
            )
        if name in found:
            raise ValueError(f"invalid {option} {value!r}: name {name!r} only once")
        found[name] = "" if label is None else str(label)
    return {name: label for name, label in found.items() if label}


def is_unset(value: object) -> bool:
    """Return whether a value is that of an unset option: None or empty text."""
    return value is None or (isinstance(value, str) and not value.strip())


def parse_duration(text: str) -> float:
    """Return the seconds of a number or of durations with units; 0 if the text is neither."""
    if NUMBER.fullmatch(text):
        return float(text)
    if DURATION.fullmatch(text) is None:
        return 0.0
    # In nanoseconds: 57 * 1e-3 is not 0.057.
    return sum(float(number) * UNITS_NS[unit] for number, unit in TERM.findall(text)) / 1e9


def label_pairs(value: object, option: str) -> Iterable[tuple[object, object]]:
    """Return the names and values of labels; raise TypeError for a value of another type."""
    if isinstance(value, str):
        return parse_labels(value, option)
    if isinstance(value, Mapping):
        return value.items()
    raise TypeError(
        f"invalid {option} {value!r} ({type(value).__name__}): use a mapping, or a text such as "
        "'service=shop,zone=eu'"
    )


def parse_labels(text: str, option: str) -> Iterator[tuple[str, str]]:
    """Yield the names and values in a text of labels; raise ValueError if it is malformed."""
    for member in text.split(","):
        name, equals, label = member.partition("=")
        if not member.strip():
            continue
        try:
            pair = name.strip(), unquote(label.strip(), errors="strict")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"invalid {option} {text!r}: percent-encode the value of {name.strip()!r} as UTF-8"
            ) from error
        if not (equals and pair[0]):
            raise ValueError(
                f"invalid {option} {text!r}: use names and values such as 'service=shop,zone=eu'"
            )
        yield pair
