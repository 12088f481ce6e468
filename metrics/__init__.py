"""Metrics that a dependency-injection container owns. Importing this starts nothing.

The instruments, what holds them (`Registry`) and what advances them (`Ticker`). Containers are in
`metrics.lifecycle`, the hooks they declare in `metrics.resources`, where values go in
`metrics.exporters` and `metrics.reporters`, and what tests need in `metrics.testing`.

Each name is loaded when it is first asked for: who wants a type pays for that type alone.
"""

from importlib import import_module

from metrics import compiled

# What `typing` calls the same, and takes longer to import than all of this.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from metrics.clock import Clock
    from metrics.errors import (
        CheckError,
        DuplicateMetricError,
        HealthcheckError,
        LifecycleError,
        MetricsError,
        MetricTypeError,
        NotRunningError,
        ShutdownError,
        StartTimeoutError,
        StopTimeoutError,
    )
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
    from metrics.registry.snapshot import RegistrySnapshot
    from metrics.ticker import Ticker

    COMPILED: bool
    """Whether the instruments run as compiled code."""

MODULES = {
    "BucketHistogram": "metrics.instruments.buckets",
    "BucketHistogramSnapshot": "metrics.instruments.buckets",
    "CheckError": "metrics.errors",
    "Clock": "metrics.clock",
    "Counter": "metrics.instruments.counter",
    "CounterSnapshot": "metrics.instruments.counter",
    "DuplicateMetricError": "metrics.errors",
    "EWMA": "metrics.instruments.ewma",
    "ExpDecayReservoir": "metrics.instruments.expdecay",
    "Family": "metrics.instruments.family",
    "FamilySnapshot": "metrics.instruments.family",
    "FloatCounter": "metrics.instruments.counter",
    "Gauge": "metrics.instruments.gauge",
    "GaugeSnapshot": "metrics.instruments.gauge",
    "Healthcheck": "metrics.instruments.healthcheck",
    "HealthcheckError": "metrics.errors",
    "HealthcheckSnapshot": "metrics.instruments.healthcheck",
    "Histogram": "metrics.instruments.histogram",
    "HistogramSnapshot": "metrics.instruments.sample",
    "Info": "metrics.instruments.info",
    "InfoSnapshot": "metrics.instruments.info",
    "Instrument": "metrics.instruments.snapshot",
    "IntGauge": "metrics.instruments.gauge",
    "LifecycleError": "metrics.errors",
    "Meter": "metrics.instruments.meter",
    "MeterSnapshot": "metrics.instruments.meter",
    "MetricTypeError": "metrics.errors",
    "MetricsError": "metrics.errors",
    "NotRunningError": "metrics.errors",
    "Registry": "metrics.registry",
    "RegistrySnapshot": "metrics.registry.snapshot",
    "ResettingReservoir": "metrics.instruments.resetting",
    "ResettingTimer": "metrics.instruments.resetting_timer",
    "ShutdownError": "metrics.errors",
    "Snapshot": "metrics.instruments.snapshot",
    "StartTimeoutError": "metrics.errors",
    "StopTimeoutError": "metrics.errors",
    "Ticker": "metrics.ticker",
    "Timer": "metrics.instruments.timer",
    "TimerSnapshot": "metrics.instruments.timer",
    "UniformReservoir": "metrics.instruments.uniform",
    "UpDownCounter": "metrics.instruments.counter",
    "UpDownCounterSnapshot": "metrics.instruments.counter",
}
"""The module of each public name."""

__all__ = [
    "COMPILED",
    "EWMA",
    "BucketHistogram",
    "BucketHistogramSnapshot",
    "CheckError",
    "Clock",
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
    "StartTimeoutError",
    "StopTimeoutError",
    "Ticker",
    "Timer",
    "TimerSnapshot",
    "UniformReservoir",
    "UpDownCounter",
    "UpDownCounterSnapshot",
]

# Hidden from type checkers, which would take every name for one that there is.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name == "COMPILED":
            value = compiled.is_compiled(import_module("metrics.instruments.counter"))
        elif name in MODULES:
            value = getattr(import_module(MODULES[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
