"""The one number of what has one."""

from metrics.exporters.writing.numbers import Number
from metrics.instruments._counter import CounterSnapshot, UpDownCounterSnapshot
from metrics.instruments._gauge import GaugeSnapshot
from metrics.instruments._healthcheck import HealthcheckSnapshot
from metrics.instruments._meter import MeterSnapshot
from metrics.instruments._snapshot import Snapshot


def number_of(snapshot: Snapshot) -> Number:
    """Return the one number of a counter, a gauge, a meter or a health check."""
    if isinstance(snapshot, CounterSnapshot):
        return snapshot.count
    if isinstance(snapshot, GaugeSnapshot):
        return snapshot.value
    if isinstance(snapshot, UpDownCounterSnapshot):
        return snapshot.count
    if isinstance(snapshot, MeterSnapshot):
        return snapshot.count
    return int(isinstance(snapshot, HealthcheckSnapshot) and snapshot.error is None)
