"""Metrics that a dependency-injection container owns. Importing this starts nothing.

The instruments, what holds them (`Registry`) and what advances them (`Ticker`). Containers are in
`metrics.lifecycle`, the hooks they declare in `metrics.resources`.
"""

from metrics.compiled import is_compiled
from metrics.errors import (
    DuplicateMetricError,
    HealthcheckError,
    LifecycleError,
    MetricsError,
    MetricTypeError,
    NotRunningError,
    ShutdownError,
    StopTimeoutError,
)
from metrics.instruments import counter as _core
from metrics.instruments.buckets import BucketHistogram, BucketHistogramSnapshot
from metrics.instruments.counter import (
    Counter,
    CounterSnapshot,
    FloatCounter,
    UpDownCounter,
    UpDownCounterSnapshot,
)
from metrics.instruments.ewma import EWMA
from metrics.instruments.expdecay import ExpDecayReservoir
from metrics.instruments.family import Family, FamilySnapshot
from metrics.instruments.gauge import Gauge, GaugeSnapshot, IntGauge
from metrics.instruments.healthcheck import Healthcheck, HealthcheckSnapshot
from metrics.instruments.histogram import Histogram
from metrics.instruments.info import Info, InfoSnapshot
from metrics.instruments.meter import Meter, MeterSnapshot
from metrics.instruments.resetting import ResettingReservoir
from metrics.instruments.resetting_timer import ResettingTimer
from metrics.instruments.sample import HistogramSnapshot
from metrics.instruments.snapshot import Instrument, Snapshot
from metrics.instruments.timer import Timer, TimerSnapshot
from metrics.instruments.uniform import UniformReservoir
from metrics.registry import Registry
from metrics.registry_snapshot import RegistrySnapshot
from metrics.ticker import Ticker

COMPILED = is_compiled(_core)
"""Whether the instruments run as compiled code."""

__all__ = [
    "COMPILED",
    "EWMA",
    "BucketHistogram",
    "BucketHistogramSnapshot",
    "Counter",
    "CounterSnapshot",
    "DuplicateMetricError",
    "ExpDecayReservoir",
    "Family",
    "FamilySnapshot",
    "FloatCounter",
    "Gauge",
    "GaugeSnapshot",
    "Healthcheck",
    "HealthcheckError",
    "HealthcheckSnapshot",
    "Histogram",
    "HistogramSnapshot",
    "Info",
    "InfoSnapshot",
    "Instrument",
    "IntGauge",
    "LifecycleError",
    "Meter",
    "MeterSnapshot",
    "MetricTypeError",
    "MetricsError",
    "NotRunningError",
    "Registry",
    "RegistrySnapshot",
    "ResettingReservoir",
    "ResettingTimer",
    "ShutdownError",
    "Snapshot",
    "StopTimeoutError",
    "Ticker",
    "Timer",
    "TimerSnapshot",
    "UniformReservoir",
    "UpDownCounter",
    "UpDownCounterSnapshot",
]
