"""Metadata of metric families: types, help texts and units."""

import re
from typing import NamedTuple, final

from metrics.exporters._encoding.units import SECOND
from metrics.exporters._exposition.families import MetricFamily
from metrics.exporters._series.reports import ReportRecords
from metrics.exporters.remote_write._messages import metric_metadata
from metrics.registry._inner import exported_name

INTERVAL_NS = 60 * SECOND
"""Nanoseconds after which metadata is sent again, as Prometheus does."""


class Sent(NamedTuple):
    """Metadata that a server has: the heading of the family, and the time of the report."""

    heading: bytes
    timestamp_ns: int


@final
class Metadata:
    """Metadata that one server has, by metric family.

    The metadata of a family is sent with its first sample, and again once a minute: the server may
    have lost it. Each destination needs its own, kept between reports. Memory is bounded by the
    families of two reports. For one thread.
    """

    __slots__ = ("_newest", "_records", "_timestamp_ns")

    def __init__(self) -> None:
        self._records: ReportRecords[str, Sent] = ReportRecords()
        self._newest: MetricFamily | None = None
        self._timestamp_ns = 0

    def begin(self, timestamp_ns: int) -> None:
        """Begin a report of the values at a time."""
        self._records.begin()
        self._timestamp_ns = timestamp_ns

    def due(self, family: MetricFamily) -> bytes:
        """Return the metadata of a family as a field of the request; empty if the server has it."""
        records = self._records
        if family is self._newest or family.name in records.present:
            return b""
        self._newest = family
        known = records.known.get(family.name)
        # The wall clock may have been set back.
        if (
            known is not None
            and known.heading == family.heading
            and known.timestamp_ns <= self._timestamp_ns < known.timestamp_ns + INTERVAL_NS
        ):
            records.present[family.name] = known
            return b""
        records.present[family.name] = Sent(family.heading, self._timestamp_ns)
        return encode(family)

    def end(self) -> None:
        """End a report, and drop the families that it did not have."""
        self._records.end()
        self._newest = None


def encode(family: MetricFamily) -> bytes:
    """Return the metadata of a family: name, type and help text of the page, and the unit."""
    help_line, type_line, _ = family.heading.decode().split("\n")
    text = help_line.removeprefix(f"# HELP {family.name} ")
    unit = exported_name(family.scale.base).strip("_")
    named = family.name.removesuffix("_total").endswith(f"_{unit}")
    return metric_metadata(
        family.name,
        type_line.rpartition(" ")[2],
        re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text),
        unit if named else "",
    )
