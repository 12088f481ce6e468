"""The short cuts of a registry, and what each makes."""

from metrics import (
    BucketHistogram,
    Counter,
    FloatCounter,
    Gauge,
    Histogram,
    IntGauge,
    Meter,
    Registry,
    ResettingTimer,
    Timer,
    UpDownCounter,
)

MAKERS: dict[str, type] = {
    "counter": Counter,
    "float_counter": FloatCounter,
    "updown_counter": UpDownCounter,
    "gauge": Gauge,
    "int_gauge": IntGauge,
    "meter": Meter,
    "histogram": Histogram,
    "bucket_histogram": BucketHistogram,
    "timer": Timer,
    "resetting_timer": ResettingTimer,
}


def make(registry: Registry, maker: str, name: str = "x", **options):
    return getattr(registry, maker)(name, **options)
