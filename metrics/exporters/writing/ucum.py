"""Units as OpenTelemetry writes them.

The codes: UCUM, https://ucum.org/ucum, and OpenTelemetry's semantic conventions for metrics.
"""

from functools import lru_cache

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

OWN = frozenset(CODES.values())


@lru_cache(maxsize=1024)
def code_of(unit: str) -> str:
    """Return the code of a unit; one that has none is an annotation, which counts as 1.

    `bytes` is `By`, `requests` is `{requests}`, and a code is itself. No unit is no code.
    """
    if not unit or unit in OWN:
        return unit
    code = CODES.get(unit)
    if code is not None:
        return code
    # An annotation holds ASCII characters other than braces and space.
    return "{" + "".join([c if "!" <= c <= "~" and c not in "{}" else "_" for c in unit]) + "}"


def code_of_rate(code: str) -> str:
    """Return the code for so much in a second."""
    return f"{code or 1}/s"
