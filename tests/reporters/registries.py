"""A reporter of a registry to a transport that keeps what it gets, and how to read that."""

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager

from metrics import Registry
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.payloads import Report
from metrics.reporters._push.reporter import Reporter
from tests.reporters.standins import Recorded
from tests.reporters.waiting import FOREVER


def recording(
    registry: Registry, transport: Recorded, kind: str = "db", **options
) -> AbstractContextManager[Reporter]:
    """A hook as those of real reporters: every report is one payload in JSON."""

    def read(report: Report) -> Iterator[bytes]:
        values = registry.to_dict(report.reader)
        yield json.dumps({"at": report.timestamp_ns, "values": values}).encode()

    options = {"interval": FOREVER, **options}
    return reporting(registry, kind, read, transport, options)


def reported(transport: Recorded) -> dict[str, list[dict[str, object]]]:
    """Return what a transport got, report by report, by name."""
    values = defaultdict(list)
    for payload in transport.payloads:
        for name, value in json.loads(payload)["values"].items():
            values[name].append(value)
    return values
