"""Which page a client asks for: what its `Accept` and `Accept-Encoding` headers mean.

Source: RFC 9110, section 12.5.
"""

import re
from typing import NamedTuple

OPENMETRICS = "application/openmetrics-text"

TEXT = "text/plain"

VERSIONS = {OPENMETRICS: "1.0.0", TEXT: "0.0.4"}
"""The one version that is served of each type; a client that wants another one does not match."""

WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
RANGE = re.compile(rf"{WORD}(?:/{WORD})?")
PARAMETER = re.compile(rf"({WORD})=(?:({WORD})|\"([^\"\\]*)\")")
QUALITY = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")

NAMED = 2
"""How closely a range matches that names what it wants, and no group of types."""

UNSAID = 1e-6
"""The quality of what a client has not spoken of: better than nothing."""


class Range(NamedTuple):
    """One of the things that a client accepts, and how much it likes that."""

    name: str
    version: str | None
    quality: float


def prefers_openmetrics(accept: str) -> bool:
    """Return whether an `Accept` header asks for OpenMetrics 1.0, and not for the text format.

    Of two that are liked alike, the one that is named wins over the one that a wildcard stands for,
    OpenMetrics over the text format when both are named, and the text format when neither is. A
    header that is missing or malformed asks for the text format.
    """
    try:
        ranges = parsed(accept)
    except ValueError:
        return False
    openmetrics, named = liking(OPENMETRICS, ranges)
    text, text_named = liking(TEXT, ranges)
    if openmetrics != text or not openmetrics:
        return openmetrics > text
    return named == NAMED or named > text_named


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an `Accept-Encoding` header asks for gzip at least as much as for none.

    A header that is missing or malformed does not.
    """
    try:
        ranges = parsed(accept_encoding)
    except ValueError:
        return False
    qualities = {coding.name: coding.quality for coding in ranges}
    rest = qualities.get("*", UNSAID if "identity" not in qualities else 0.0)
    identity = qualities.get("identity", rest)
    # Who refuses what is not encoded and names nothing else has no other choice left.
    otherwise = UNSAID if "*" not in qualities and qualities.get("identity") == 0.0 else 0.0
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", otherwise)))
    return gzip > 0.0 and gzip >= identity


def liking(name: str, ranges: list[Range]) -> tuple[float, int]:
    """Return the quality of a type, and how closely the range that says so matches it."""
    best = (0.0, -1)
    for accepted in ranges:
        close = closeness(name, accepted)
        # The closest says it; of two that are as close, the one that likes it more.
        if close >= 0 and (close, accepted.quality) > (best[1], best[0]):
            best = (accepted.quality, close)
    return best


def closeness(name: str, accepted: Range) -> int:
    """Return how closely a range matches a type, -1 if not at all."""
    if accepted.name == name and accepted.version in {None, VERSIONS[name]}:
        return NAMED
    if accepted.name == f"{name.partition('/')[0]}/*":
        return 1
    return 0 if accepted.name == "*/*" else -1


def parsed(header: str) -> list[Range]:
    """Return what a header lists; raise ValueError if it is malformed."""
    # No parameter of a type that is served here has a comma or a semicolon in it.
    parts = [part.strip() for part in header.split(",")]
    return [parsed_range(part) for part in parts if part]


def parsed_range(part: str) -> Range:
    """Return one item of a header; raise ValueError if it is malformed."""
    name, *parameters = [text.strip() for text in part.lower().split(";")]
    if not RANGE.fullmatch(name):
        raise ValueError(f"a name is made of letters, digits and some signs, got {name!r}")
    values: dict[str, str] = {}
    for parameter in parameters:
        match = PARAMETER.fullmatch(parameter)
        if match is None:
            raise ValueError(
                f"a parameter is a name, an equals sign and a value, got {parameter!r}"
            )
        key, token, quoted = match.groups()
        values[key] = quoted if token is None else token
    quality = values.get("q", "1")
    if not QUALITY.fullmatch(quality):
        raise ValueError(f"a quality is a number from 0 to 1, got {quality!r}")
    return Range(name, values.get("version"), float(quality))
