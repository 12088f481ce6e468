"""A strict parser of InfluxDB's line protocol, written from its description."""

import re

NAME = r"(?:[^\\,= \n]|\\[,= ]|\\(?![\\,= \n]))+"
MEASUREMENT = r"(?:[^\\, \n]|\\[, ]|\\(?![\\, \n]))+"
VALUE = r'(?:-?\d+i|-?\d+(?:\.\d+)?|"(?:[^"\\]|\\["\\])*")'
LINE = re.compile(
    rf"(?P<measurement>(?!#){MEASUREMENT})(?P<tags>(?:,{NAME}={NAME})*) "
    rf"(?P<fields>{NAME}={VALUE}(?:,{NAME}={VALUE})*)(?: (?P<time>\d+))?"
)


def unescaped(text):
    return re.sub(r"\\([,= ])", r"\1", text)


def value_of(text):
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    return int(text[:-1]) if text.endswith("i") else float(text)


def parsed(page: bytes):
    text = page.decode()
    assert text.endswith("\n") or not text
    found = {}
    for line in text.split("\n")[:-1]:
        match = LINE.fullmatch(line)
        assert match, f"{line!r} is not line protocol"
        tags = re.findall(rf",({NAME})=({NAME})", match["tags"])
        fields = re.findall(rf"({NAME})=({VALUE})", match["fields"])
        key = (
            re.sub(r"\\([, ])", r"\1", match["measurement"]),
            tuple([(unescaped(name), unescaped(value)) for name, value in tags]),
        )
        assert key not in found
        found[key] = {unescaped(name): value_of(value) for name, value in fields}
    return found
