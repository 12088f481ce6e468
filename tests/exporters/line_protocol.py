"""A strict parser of InfluxDB's line protocol, written from its description."""

import re

NAME = r"(?:[^\\,= \n]|\\[,= ]|\\(?![\\,= \n]))+"
MEASUREMENT = r"(?:[^\\, \n]|\\[, ]|\\(?![\\, \n]))+"
# A string may have line feeds, and backslashes before other characters than these two.
VALUE = r'(?:-?\d+i|-?\d+(?:\.\d+)?|"(?:[^"\\]|\\["\\]|\\(?=u[0-9a-f]{4}))*")'
LINE = re.compile(
    rf"(?P<measurement>(?!#){MEASUREMENT})(?P<tags>(?:,{NAME}={NAME})*) "
    rf"(?P<fields>{NAME}={VALUE}(?:,{NAME}={VALUE})*)(?: (?P<time>\d+))?\n"
)


def unescaped(text):
    return re.sub(r"\\([,= ])", r"\1", text)


def value_of(text):
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    return int(text[:-1]) if text.endswith("i") else float(text)


def parsed(page: bytes):
    text = page.decode()
    found = {}
    end = 0
    while end < len(text):
        match = LINE.match(text, end)
        assert match, f"{text[end:]!r} does not begin with line protocol"
        end = match.end()
        tags = re.findall(rf",({NAME})=({NAME})", match["tags"])
        fields = re.findall(rf"({NAME})=({VALUE})", match["fields"])
        key = (
            re.sub(r"\\([, ])", r"\1", match["measurement"]),
            tuple([(unescaped(name), unescaped(value)) for name, value in tags]),
        )
        assert key not in found
        found[key] = {unescaped(name): value_of(value) for name, value in fields}
    return found
