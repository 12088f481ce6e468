"""Names of instruments: full names in a registry, and names in the letters that formats have."""

from metrics._units import SCALES, base_unit

SEPARATORS = "/.:_- "
"""Characters at the end of a prefix that make a further `/` unnecessary."""

ASCII_EXPORTED = "".join([c if c.isalnum() else "_" for c in map(chr, range(128))])
"""Exported character of each ASCII character, a table for `str.translate`."""

SIGNS = "".join([c for c in map(chr, range(128)) if not c.isalnum()])
"""Characters that `exported_name` replaces by `_`, and `_`: the ones before a word of a name."""


def joined_prefix(prefix: str, name: str) -> str:
    """Return a longer prefix, ended by a separator."""
    return prefix + name if name[-1] in SEPARATORS else f"{prefix}{name}/"


def checked_name(role: str, name: object) -> str:
    """Return a name that an instrument can have.

    Args:
        role: "name" or "prefix", for the message.
        name: the name.

    Raises:
        TypeError: `name` is not a str.
        ValueError: `name` is empty, or has control characters or whitespace at its ends.
    """
    if not isinstance(name, str):
        raise TypeError(f"invalid {role} {name!r} ({type(name).__name__}): use a str")
    if not name or not name.isprintable() or name != name.strip():
        raise ValueError(
            f"invalid {role} {name!r}: use printable characters without leading or trailing "
            "whitespace"
        )
    return name


def exported_name(name: str) -> str:
    """Return a name in ASCII letters, digits and underscores.

    Other ASCII characters become `_`. All others become their code point in hexadecimal digits,
    as in Prometheus' escaping of UTF-8 names (`größe` is `gr_f6__df_e`), so that names in other
    scripts stay different.
    """
    if not name.isascii():
        text = "".join([exported_character(c) for c in name])
    elif name.isidentifier():
        return name
    else:
        text = name.translate(ASCII_EXPORTED)
    return f"_{text}" if text[:1].isdigit() else text


def exported_character(character: str) -> str:
    """Return a character in ASCII letters, digits and underscores."""
    if character.isascii():
        return character.translate(ASCII_EXPORTED)
    return f"_{ord(character):x}_"


def stem(text: str, unit: str) -> str:
    """Return a name, exported or not, without a unit that is converted to another one."""
    if unit not in SCALES:
        return text
    base = base_unit(unit)
    # A name that ends in milliseconds also ends in the letters of its base unit, seconds.
    while unit.endswith(base) and text.endswith(unit):
        text = text.removesuffix(unit).rstrip(SIGNS) or base
    return without(text, f"_{unit}")


def measure_name(text: str, base: str) -> str:
    """Return the exported name of values: a stem that ends in its base unit."""
    return with_unit(text, base)


def counter_name(text: str, base: str) -> str:
    """Return the exported name of a count, without the `_total` that follows the unit."""
    return with_unit(without(text, "_total"), base)


def rate_name(text: str, base: str) -> str:
    """Return the exported name of the rates of a meter."""
    return f"{with_unit(text, base)}_per_second"


def event_rate_name(text: str, _base: str) -> str:
    """Return the exported name of the rates of a timer: events a second, not seconds a second."""
    return f"{without(text, '_seconds')}_per_second"


def info_name(text: str, _base: str) -> str:
    """Return the exported name of info labels, without the `_info` that follows it."""
    return without(text, "_info")


def health_name(text: str, _base: str) -> str:
    """Return the exported name of the outcome of a health check."""
    return f"{text}_healthy"


def with_unit(name: str, unit: str) -> str:
    """Return a name that ends in its unit, if the unit can be written in ASCII."""
    if not unit or not unit.isascii():
        return name
    suffix = exported_name(unit).strip("_")
    if not suffix:
        return name
    # go-ethereum's `readbytes` has its unit already.
    return name if name.endswith(suffix) else f"{name}_{suffix}"


def without(name: str, suffix: str) -> str:
    """Return a name without a suffix, unless nothing would be left.

    Args:
        name: a name, exported or not.
        suffix: `_` and a word. In a name that is not exported, other signs stand for `_`.
    """
    if not name.endswith(suffix[1:]):
        return name
    rest = name[: -len(suffix)]
    return rest if rest and name[len(rest)] in SIGNS else name
