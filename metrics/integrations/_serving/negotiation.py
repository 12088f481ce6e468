"""Content negotiation: the page that `Accept` and `Accept-Encoding` headers request.

Sources: RFC 9110, section 12.5; https://prometheus.io/docs/instrumenting/content_negotiation/
"""

import re
from typing import NamedTuple

from metrics.exporters import openmetrics, prometheus
from metrics.exporters._exposition.escaping import ESCAPINGS, UNDERSCORES, UTF8, content_type_of

OPENMETRICS = openmetrics.MEDIA_TYPE
TEXT = prometheus.MEDIA_TYPE
HTML = "text/html"

WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
RANGE = re.compile(rf"{WORD}(?:/{WORD})?")
PARAMETER = re.compile(rf"({WORD})=(?:({WORD})|\"([^\"\\]*)\")")
QUALITY = re.compile(r"0(?:\.[0-9]*)?|1(?:\.0*)?")

EXACT, NAMED, GROUP, ANY, NONE = 3, 2, 1, 0, -1
"""Closeness of a range to a format: its version, its media type, the type's group, all, none."""

UNSAID = 1e-6
"""Quality of an encoding that a client does not mention: better than none."""


class Format(NamedTuple):
    """Format of a page: media type, version, and escaping scheme of names."""

    media_type: str
    version: str
    escaping: str = ""
    """Scheme that the client has requested and gets; names have underscores if it is empty."""

    @property
    def content_type(self) -> str:
        """The value of a Content-Type header."""
        return content_type_of(self.media_type, self.version, self.escaping)


DEFAULT = Format(TEXT, "0.0.4")
"""Format for clients that request none in particular."""

FORMATS = (
    Format(OPENMETRICS, "1.0.0"),
    Format(OPENMETRICS, "0.0.1"),
    Format(TEXT, "1.0.0"),
    DEFAULT,
)
"""All formats, in the order in which equal qualities prefer them."""

UNVERSIONED = (FORMATS[0], DEFAULT)
"""Formats that a range without a version stands for."""


class Range(NamedTuple):
    """Element of an Accept or Accept-Encoding header."""

    name: str
    quality: float
    version: str = ""
    escaping: str = ""


class Match(NamedTuple):
    """Closest range of a format, with the quality that a client gives to the format."""

    quality: float
    closeness: int
    escaping: str = ""


NO_MATCH = Match(0.0, NONE)


def negotiate(accept: str) -> Format:
    """Return the format that an `Accept` header prefers.

    Of two formats with the same quality, one that a range names wins over one that a wildcard
    stands for; OpenMetrics over the text format and the later version over the earlier one when
    both are named; text 0.0.4 when none is. Other versions match no range. A header that is
    missing, malformed or without any of the formats requests text 0.0.4.
    """
    try:
        ranges = parse(accept)
    except ValueError:
        return DEFAULT
    matches = {candidate: match_of(candidate, ranges) for candidate in FORMATS}
    best = max(FORMATS, key=lambda candidate: preference(matches[candidate]))
    match = matches[best]
    if match.closeness < NAMED and preference(matches[DEFAULT]) == preference(match):
        best, match = DEFAULT, matches[DEFAULT]
    return best._replace(escaping=escaping_of(best, match.escaping)) if match.quality else DEFAULT


def preference(match: Match) -> tuple[float, int]:
    """Return the sort key of a match; a range with a version names a format no more than others."""
    return match.quality, min(match.closeness, NAMED)


def escaping_of(chosen: Format, requested: str) -> str:
    """Return the escaping parameter of a format, empty for none.

    Formats before 1.0.0 have no quoted names. An unknown scheme is answered with underscores.
    """
    usable = requested in ESCAPINGS and (requested != UTF8 or chosen.version == "1.0.0")
    if usable:
        return requested
    # The text format has the parameter from version 1.0.0 on; OpenMetrics, as it was published,
    # does not, so that clients that have not mentioned it do not get it.
    mandatory = chosen.version == "1.0.0" and (requested or chosen.media_type == TEXT)
    return UNDERSCORES if mandatory else ""


def prefers_html(accept: str) -> bool:
    """Return whether an `Accept` header is a browser's: HTML is named, and no page preferred."""
    try:
        ranges = parse(accept)
    except ValueError:
        return False
    html = max((one.quality for one in ranges if one.name == HTML), default=0.0)
    pages = max(match_of(candidate, ranges).quality for candidate in FORMATS)
    return html > 0.0 and html >= pages


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether an `Accept-Encoding` header prefers gzip to an unencoded page, or equals them.

    A header that is missing or malformed does not.
    """
    try:
        ranges = parse(accept_encoding)
    except ValueError:
        return False
    qualities = {coding.name: coding.quality for coding in ranges}
    rest = qualities.get("*", UNSAID if "identity" not in qualities else 0.0)
    identity = qualities.get("identity", rest)
    # A client that refuses unencoded pages, and names no encoding, leaves no other choice.
    otherwise = UNSAID if "*" not in qualities and qualities.get("identity") == 0.0 else 0.0
    gzip = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", otherwise)))
    return gzip > 0.0 and gzip >= identity


def match_of(candidate: Format, ranges: list[Range]) -> Match:
    """Return the match of a format: of its closest range, and of equally close ones the best."""
    best = NO_MATCH
    for one in ranges:
        closeness = closeness_of(candidate, one)
        if closeness != NONE and (closeness, one.quality) > (best.closeness, best.quality):
            best = Match(one.quality, closeness, one.escaping if closeness >= NAMED else "")
    return best


def closeness_of(candidate: Format, one: Range) -> int:
    """Return the closeness of a range to a format, `NONE` if it does not match."""
    if one.name == candidate.media_type and one.version == candidate.version:
        return EXACT
    if one.version or candidate not in UNVERSIONED:
        return NONE
    if one.name == candidate.media_type:
        return NAMED
    if one.name == f"{candidate.media_type.partition('/')[0]}/*":
        return GROUP
    return ANY if one.name == "*/*" else NONE


def parse(header: str) -> list[Range]:
    """Return the elements of a header; raise ValueError if it is malformed."""
    # No parameter of a served format has a comma or a semicolon in its value.
    elements = [element.strip() for element in header.split(",")]
    return [parse_range(element) for element in elements if element]


def parse_range(element: str) -> Range:
    """Return one element of a header; raise ValueError if it is malformed."""
    name, *parameters = [text.strip() for text in element.lower().split(";")]
    if not RANGE.fullmatch(name):
        raise ValueError(f"invalid range {name!r}: use letters, digits and the signs of a token")
    values: dict[str, str] = {}
    for parameter in parameters:
        # RFC 9110, section 5.6.6, allows empty parameters, as in "text/plain;version=1.0.0;".
        if not parameter:
            continue
        match = PARAMETER.fullmatch(parameter)
        if match is None:
            raise ValueError(f"invalid parameter {parameter!r}: use name=value")
        key, token, quoted = match.groups()
        values[key] = quoted if token is None else token
    quality = values.get("q", "1")
    if not QUALITY.fullmatch(quality):
        raise ValueError(f"invalid quality {quality!r}: use a number from 0 to 1")
    return Range(name, float(quality), values.get("version", ""), values.get("escaping", ""))
