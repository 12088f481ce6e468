"""The one number of what has one."""

from metrics.exporters.writing.numbers import Number
from metrics.instruments.counter import CounterSnapshot, UpDownCounterSnapshot
from metrics.instruments.gauge import GaugeSnapshot
from metrics.instruments.healthcheck import HealthcheckSnapshot
from metrics.instruments.meter import MeterSnapshot
from metrics.instruments.snapshot import Snapshot


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
