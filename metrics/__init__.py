"""Metrics that a dependency-injection container owns. Importing this starts nothing.

The instruments, what holds them (`Registry`) and what advances them (`Ticker`). Containers are in
`metrics.lifecycle`, the hooks they declare in `metrics.resources`, where values go in
`metrics.exporters` and `metrics.reporters`, and what tests need in `metrics.testing`.

Each name is loaded when it is first asked for: who wants a type pays for that type alone.
"""

from importlib import import_module

from metrics import _compiled

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
    from metrics.instruments._buckets import BucketHistogram, BucketHistogramSnapshot
    from metrics.instruments._counter import (
        Counter,
        CounterSnapshot,
        FloatCounter,
        UpDownCounter,
        UpDownCounterSnapshot,
    )
    from metrics.instruments._ewma import EWMA
    from metrics.instruments._expdecay import ExpDecayReservoir
    from metrics.instruments._family import Family, FamilySnapshot
    from metrics.instruments._gauge import Gauge, GaugeSnapshot, IntGauge
    from metrics.instruments._healthcheck import Healthcheck, HealthcheckSnapshot
    from metrics.instruments._histogram import Histogram
    from metrics.instruments._info import Info, InfoSnapshot
    from metrics.instruments._meter import Meter, MeterSnapshot
    from metrics.instruments._resetting import ResettingReservoir
    from metrics.instruments._resetting_timer import ResettingTimer
    from metrics.instruments._sample import HistogramSnapshot
    from metrics.instruments._snapshot import Instrument, Snapshot
    from metrics.instruments._timer import Timer, TimerSnapshot
    from metrics.instruments._uniform import UniformReservoir
    from metrics.registry import Registry
    from metrics.registry._snapshot import RegistrySnapshot
    from metrics.ticker import Ticker

    COMPILED: bool
    """Whether the instruments run as compiled code."""

MODULES = {
    "BucketHistogram": "metrics.instruments._buckets",
    "BucketHistogramSnapshot": "metrics.instruments._buckets",
    "CheckError": "metrics.errors",
    "Clock": "metrics.clock",
    "Counter": "metrics.instruments._counter",
    "CounterSnapshot": "metrics.instruments._counter",
    "DuplicateMetricError": "metrics.errors",
    "EWMA": "metrics.instruments._ewma",
    "ExpDecayReservoir": "metrics.instruments._expdecay",
    "Family": "metrics.instruments._family",
    "FamilySnapshot": "metrics.instruments._family",
    "FloatCounter": "metrics.instruments._counter",
    "Gauge": "metrics.instruments._gauge",
    "GaugeSnapshot": "metrics.instruments._gauge",
    "Healthcheck": "metrics.instruments._healthcheck",
    "HealthcheckError": "metrics.errors",
    "HealthcheckSnapshot": "metrics.instruments._healthcheck",
    "Histogram": "metrics.instruments._histogram",
    "HistogramSnapshot": "metrics.instruments._sample",
    "Info": "metrics.instruments._info",
    "InfoSnapshot": "metrics.instruments._info",
    "Instrument": "metrics.instruments._snapshot",
    "IntGauge": "metrics.instruments._gauge",
    "LifecycleError": "metrics.errors",
    "Meter": "metrics.instruments._meter",
    "MeterSnapshot": "metrics.instruments._meter",
    "MetricTypeError": "metrics.errors",
    "MetricsError": "metrics.errors",
    "NotRunningError": "metrics.errors",
    "Registry": "metrics.registry",
    "RegistrySnapshot": "metrics.registry._snapshot",
    "ResettingReservoir": "metrics.instruments._resetting",
    "ResettingTimer": "metrics.instruments._resetting_timer",
    "ShutdownError": "metrics.errors",
    "Snapshot": "metrics.instruments._snapshot",
    "StartTimeoutError": "metrics.errors",
    "StopTimeoutError": "metrics.errors",
    "Ticker": "metrics.ticker",
    "Timer": "metrics.instruments._timer",
    "TimerSnapshot": "metrics.instruments._timer",
    "UniformReservoir": "metrics.instruments._uniform",
    "UpDownCounter": "metrics.instruments._counter",
    "UpDownCounterSnapshot": "metrics.instruments._counter",
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
            value = _compiled.is_compiled(import_module("metrics.instruments._counter"))
        elif name in MODULES:
            value = getattr(import_module(MODULES[name]), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
