"""What the values of an instrument are called outside, where names have letters, digits and `_`.

Pages are made with these functions, and a registry refuses instruments by them: two that would be
written under one name are found when they are registered, not when somebody reads the page.
"""

from collections.abc import Callable

from metrics._units import SCALES, base_unit
from metrics.instruments._buckets import BucketHistogram
from metrics.instruments._counter import Counter, FloatCounter, UpDownCounter
from metrics.instruments._gauge import Gauge, IntGauge
from metrics.instruments._healthcheck import Healthcheck
from metrics.instruments._histogram import Histogram
from metrics.instruments._info import Info
from metrics.instruments._meter import Meter
from metrics.instruments._resetting_timer import ResettingTimer
from metrics.instruments._snapshot import Instrument
from metrics.instruments._timer import Timer

Called = Callable[[str, str], str]

Suffixes = dict[str, tuple[str, ...]]

OPENMETRICS_SUFFIXES: Suffixes = {
    "counter": ("", "_total", "_created"),
    "gauge": ("",),
    "info": ("", "_info"),
    "summary": ("", "_sum", "_count", "_created"),
    "histogram": ("", "_sum", "_count", "_bucket", "_created"),
}
"""What stands behind a family's name in the names of its samples, by type, and for the family."""

TEXT_SUFFIXES: Suffixes = {
    "counter": ("_total",),
    "gauge": ("",),
    "info": ("_info",),
    "summary": ("", "_sum", "_count"),
    "histogram": ("", "_sum", "_count", "_bucket"),
}
"""The same in Prometheus' text format, which has no `_created` and no family without a suffix."""


def exported_name(name: str) -> str:
    """Return a name in ASCII letters, digits and underscores: everything else becomes `_`."""
    if name.isascii() and name.isidentifier():
        return name
    text = "".join([c if c.isascii() and c.isalnum() else "_" for c in name])
    return f"_{text}" if text[:1].isdigit() else text


def stem(name: str, unit: str) -> str:
    """Return a name, exported, without a unit that its values are not written in."""
    text = exported_name(name)
    return without(text, f"_{unit}") if unit in SCALES else text


def measured(text: str, base: str) -> str:
    """Return what values are called: a stem that ends in its base unit."""
    return with_unit(text, base)


def counted(text: str, base: str) -> str:
    """Return what a count is called, without the `_total` that comes after the unit."""
    return with_unit(without(text, "_total"), base)


def metered(text: str, base: str) -> str:
    """Return what the rates of a meter are called."""
    return f"{with_unit(text, base)}_per_second"


def timed(text: str, _base: str) -> str:
    """Return what durations are called."""
    return with_unit(text, "seconds")


def paced(text: str, _base: str) -> str:
    """Return what the rates of a timer are called: events a second, not seconds a second."""
    return f"{without(text, '_seconds')}_per_second"


def told(text: str, _base: str) -> str:
    """Return what facts are called, without the `_info` that comes after it."""
    return without(text, "_info")


def checked(text: str, _base: str) -> str:
    """Return what the outcome of a health check is called."""
    return f"{text}_healthy"


FAMILIES: dict[type, tuple[tuple[Called, str], ...]] = {
    Counter: ((counted, "counter"),),
    FloatCounter: ((counted, "counter"),),
    UpDownCounter: ((measured, "gauge"),),
    Gauge: ((measured, "gauge"),),
    IntGauge: ((measured, "gauge"),),
    Info: ((told, "info"),),
    Healthcheck: ((checked, "gauge"),),
    Meter: ((counted, "counter"), (metered, "gauge")),
    Histogram: ((measured, "summary"),),
    BucketHistogram: ((measured, "histogram"),),
    # Whether it has buckets is the timer's own affair; a histogram has every name of a summary.
    Timer: ((timed, "histogram"), (paced, "gauge")),
    ResettingTimer: ((timed, "summary"),),
}
"""Types of instruments to the families they are exported as: what they are called, and types."""

COUNTED_APART = frozenset({Histogram, BucketHistogram, Timer, ResettingTimer})
"""What go-ethereum writes as two families, the second of them `_count`."""


def type_of(instrument: Instrument) -> type:
    """Return the type of an instrument, or of a family's children."""
    own = type(instrument)
    # Most are known, and asking them for what they do not have takes long.
    if own in FAMILIES:
        return own
    kind = getattr(instrument, "kind", None)
    return kind if isinstance(kind, type) else own


def is_known(kind: type) -> bool:
    """Return whether a type tells what its instruments are exported as, without reading one."""
    return kind in FAMILIES


def exposed_names(kind: type, name: str, unit: str, suffixes: Suffixes) -> list[str]:
    """Return every name that a page of Prometheus has for an instrument."""
    text = stem(name, unit)
    base = base_unit(unit)
    exposed: list[str] = []
    for called, family_type in FAMILIES.get(kind, ()):
        family = called(text, base)
        for suffix in suffixes[family_type]:
            exposed.append(family + suffix)  # noqa: PERF401 - a comprehension is slower compiled
    return exposed


def geth_names(kind: type, name: str) -> list[str]:
    """Return every name that go-ethereum's page has for an instrument."""
    text = exported_name(name)
    return [text, f"{text}_count"] if kind in COUNTED_APART else [text]


def taken_names(kind: type, name: str, unit: str) -> list[str]:
    """Return every name that an instrument has on any page, its own, exported, first."""
    return geth_names(kind, name) + exposed_names(kind, name, unit, OPENMETRICS_SUFFIXES)


def with_unit(name: str, unit: str) -> str:
    """Return a name that ends in its unit, if there is one that can be written."""
    if not unit:
        return name
    written = exported_name(unit).strip("_")
    # go-ethereum's `readbytes` says it too.
    return name if name.endswith(written) else f"{name}_{written}"


def without(name: str, suffix: str) -> str:
    """Return a name without a suffix, unless nothing would be left."""
    return name.removesuffix(suffix) or name
