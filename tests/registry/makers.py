"""Shortcuts of a registry by name, and the class of the instruments that they create."""

from typing import Any

from metrics import (
    BucketHistogram,
    Counter,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    Healthcheck,
    Histogram,
    Info,
    IntGauge,
    Meter,
    ResettingTimer,
    StateSet,
    Timer,
    UpDownCounter,
)

SINGULAR: dict[str, type] = {
    "counter": Counter,
    "float_counter": FloatCounter,
    "updown_counter": UpDownCounter,
    "float_updown_counter": FloatUpDownCounter,
    "gauge": Gauge,
    "int_gauge": IntGauge,
    "info": Info,
    "healthcheck": Healthcheck,
    "state_set": StateSet,
    "meter": Meter,
    "histogram": Histogram,
    "bucket_histogram": BucketHistogram,
    "timer": Timer,
    "resetting_timer": ResettingTimer,
}
"""Shortcuts that create one instrument, and its class."""

PLURAL = {f"{name}s": kind for name, kind in SINGULAR.items()}
"""Shortcuts that create a family, and the class of its children."""

ALL = SINGULAR | PLURAL


def make(owner: Any, shortcut: str, name: str = "x", **options: Any) -> Any:
    """Call a shortcut with the arguments that it requires."""
    if shortcut in PLURAL:
        options = {"labels": ("a",), **options}
    if shortcut in {"bucket_histogram", "bucket_histograms"}:
        options = {"bounds": (1.0,), **options}
    elif shortcut in {"state_set", "state_sets"}:
        options = {"states": ("on", "off"), **options}
    elif shortcut == "healthcheck":
        options = {"function": bool, **options}
    return getattr(owner, shortcut)(name, **options)
