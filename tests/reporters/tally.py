"""What a StatsD server makes of what it is sent; it takes nothing that is malformed."""

import re
from collections import defaultdict
from collections.abc import Iterable

LINE = re.compile(
    r"(?P<name>[^:|@#\s]+):(?P<value>[+-]?\d+(\.\d+)?)\|(?P<kind>c|g|ms)"
    r"(\|@(?P<rate>0?\.\d+|1))?(\|#(?P<tags>[^:|@#\s,]+:[^|\s,]*(,[^:|@#\s,]+:[^|\s,]*)*))?"
)


class Tally:
    """What a server makes of the lines that it is sent.

    Args:
        dialect: in the first one there are no tags, and a gauge with a sign is a change.
    """

    def __init__(self, dialect: str) -> None:
        self._tags = dialect == "dogstatsd"
        self.counters: defaultdict[str, float] = defaultdict(float)
        self.gauges: defaultdict[str, float] = defaultdict(float)
        self.timings: defaultdict[str, list[float]] = defaultdict(list)

    def take(self, payloads: Iterable[bytes]) -> None:
        for payload in payloads:
            for line in payload.decode().split("\n"):
                self._take(line)

    def _take(self, line: str) -> None:
        found = LINE.fullmatch(line)
        assert found, line
        assert self._tags or not found["tags"], line
        name = f"{found['name']}|#{found['tags']}" if found["tags"] else found["name"]
        value, rate = float(found["value"]), float(found["rate"] or 1)
        match found["kind"]:
            case "c":
                self.counters[name] += value / rate
            case "ms":
                self.timings[name] += [value] * round(1 / rate)
            case _:
                changes = not self._tags and found["value"][0] in "+-"
                self.gauges[name] = value + (self.gauges[name] if changes else 0.0)
