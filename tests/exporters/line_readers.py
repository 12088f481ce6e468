"""Strict parsers of line formats, written from the descriptions of the protocols."""

import re

OPENTSDB_LINE = re.compile(r"put (\S+) (\d{10}) (-?\d+(?:\.\d+)?)((?: [^ =]+=[^ =]+)+)")

STATSD_LINE = re.compile(
    r"(?P<name>[^:|@#\s]+):(?P<value>-?\d+(?:\.\d+)?)\|(?P<type>c|g|ms)"
    r"(?:\|@(?P<rate>0\.\d+))?(?:\|#(?P<tags>[^:|@#,\s]+:[^|@#,\s]+(?:,[^:|@#,\s]+:[^|@#,\s]+)*))?"
)


def graphite_series(page: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Split lines as the server does: by any white space, then at semicolons."""
    found = {}
    text = page.decode()
    assert text.endswith("\n") or not text
    for line in text.split("\n")[:-1]:
        words = line.split()
        assert len(words) == 3, f"{line!r} has not three words"
        path, *tags = words[0].split(";")
        assert re.fullmatch(r"\d{10}", words[2])
        assert re.fullmatch(r"-?\d+(\.\d+)?", words[1])
        assert all(node and all(c.isalnum() or c in "-_" for c in node) for node in path.split("."))
        pairs = [tuple(tag.split("=", 1)) for tag in tags]
        for name, value in pairs:
            assert name not in {"", "name"}
            assert not re.search("[;!^=~]", name)
            assert re.match("[^~]", value)
        assert len(dict(pairs)) == len(pairs)
        found[path, tuple(pairs)] = float(words[1])
    return found


def opentsdb_points(page: bytes) -> list[dict[str, object]]:
    """Return the points of `put` lines."""
    points = []
    text = page.decode()
    assert text.endswith("\n") or not text
    for line in text.split("\n")[:-1]:
        match = OPENTSDB_LINE.fullmatch(line)
        assert match, f"{line!r} is no put line"
        name, seconds, value, tags = match.groups()
        pairs = dict(tag.split("=") for tag in tags.split())
        for word in (name, *pairs, *pairs.values()):
            assert all(c.isalpha() or c in "0123456789-_./" for c in word)
        number = float(value) if "." in value else int(value)
        points.append({"metric": name, "timestamp": int(seconds), "value": number, "tags": pairs})
    return points


class StatsdServer:
    """State of a StatsD server that takes lines: a sign in front of a gauge changes it."""

    def __init__(self, *, signs: bool = True) -> None:
        self.signs = signs
        self.counters = {}
        self.gauges = {}
        self.timers = {}
        self.timed = {}

    def take(self, page: bytes) -> None:
        for line in page.decode().split("\n"):
            if not line:
                continue
            match = STATSD_LINE.fullmatch(line)
            assert match, f"{line!r} is not StatsD"
            name = match["name"] + (f" {match['tags']}" if match["tags"] else "")
            value = float(match["value"])
            if match["type"] == "c":
                self.counters[name] = self.counters.get(name, 0) + value
            elif match["type"] == "ms":
                self.timers.setdefault(name, []).append(value)
                self.timed[name] = self.timed.get(name, 0) + 1 / float(match["rate"] or 1)
            elif match["value"][0] == "-" and self.signs:
                self.gauges[name] = self.gauges.get(name, 0) + value
            else:
                self.gauges[name] = value
