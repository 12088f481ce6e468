"""Registries to be written in every format."""

import math

from hypothesis import strategies as st

from metrics import BucketHistogram, Counter, Registry, Snapshot, StateSet
from metrics.testing import ManualClock
from tests.exporters.page_reading import Custom

NOW_NS = 1_700_000_000_123_456_789


def everything() -> Registry:
    """One of each instrument, ten seconds after all of them were made."""
    clock = ManualClock()
    registry = Registry(clock=clock)
    registry.bucket_histogram("wait", bounds=(0.5, 1), unit="milliseconds").update(0.75)
    registry.info("build").set({"version": "1.2", "commit": 'a"b\n'})
    registry.counters("hits", labels=("method",)).labels("GET").inc(3)
    registry.counters("hits", labels=("method",)).labels('"\n').inc()
    registry.float_counter("cpu", unit="seconds").inc(1.5)
    registry.updown_counter("in-flight").dec(2)
    registry.gauge("used", unit="bytes").set(1.5 * 2**30)
    registry.int_gauge("height", unit="blocks").set(12_345_678)
    registry.histogram("size").update(10)
    registry.histogram("size").update(20)
    registry.healthcheck("db", lambda: None)
    registry.healthcheck("disk", lambda: 1 / 0)
    registry.run_healthchecks()
    meter = registry.meter("sent", unit="bytes")
    meter.mark(5120)
    meter.tick()
    timer = registry.timer("call", sampled=True)
    timer.update(0.25)
    timer.tick()
    registry.timer("served", histogram=BucketHistogram((0.5, 1))).update(0.75)
    registry.resetting_timer("pause").update(0.5)
    clock.advance(10)
    return registry


class Weather(Snapshot):
    """Snapshot of a program's own, with fields of all types."""

    fields = ("temperature", "sky", "wind", "kind")
    temperature = 21.5
    sky = "clear\n'blue'"
    wind = math.inf
    kind = object


def odd() -> Registry:
    """Numbers and texts that some formats cannot write."""
    registry = Registry("=p", clock=ManualClock(), labels={"zone.1": "a b"})
    for name, value in {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "e": 1e-7}.items():
        registry.gauge(f"gauge/{name}").set(value)
    for name, value in {"63": 2**63 - 1, "64": -(2**63) - 1, "400": 10**400}.items():
        registry.int_gauge(f"int {name}", unit="percent").set(value)
    registry.gauge("failing", function=lambda: 1 / 0)
    registry.counter("without/updates")
    registry.counter("unregistered").inc()
    registry.unregister("unregistered")
    registry.histogram("empty/sample")
    registry.bucket_histogram("empty/buckets", bounds=(1,))
    registry.timer("empty/timer", sampled=True)
    registry.resetting_timer("empty/pause")
    registry.histogram("negative").update(-2.5)
    registry.timer("long", sampled=True).update(1e308)
    registry.gauges("no/children", labels=("a",))
    hits = registry.counters("hits", labels=("a", "name"))
    for value in ("", "é ü", "\ud800", "\u2028x", "@x,y;z=1|#", '"}\\\r\n\t~'):
        hits.labels(value, f"{value}'").inc()
    registry.info("info").set({"zone.1": "=1+1", "": "\udcff", "__name__": "x\n"})
    registry.register("mode", StateSet(("on", "off/x", "mode")))
    # Names that are one in several formats.
    registry.counter("one.name").inc(1)
    registry.counter("one/name").inc(2)
    registry.register('hits{zone.1="a b",a="",name="\'"}', Counter()).inc(7)
    registry.register("own", Custom(Weather()))
    return registry


def large() -> Registry:
    """Counters of 3,000 children, some chunks of every format."""
    registry = Registry(clock=ManualClock())
    family = registry.counters("hits", labels=("n",), max_children=3000)
    for number in range(3000):
        family.labels(f"{number:020}").inc()
    return registry


def gauges(values: dict[str, int | float]) -> tuple[Registry, dict[str, int | float]]:
    """Return gauges of numbers by name, and the recorded numbers."""
    registry = Registry()
    recorded = {}
    for name, value in values.items():
        made = registry.int_gauge if isinstance(value, int) else registry.gauge
        try:
            made(name, description=name).set(value)
        except ValueError:
            continue  # exported under the name of another one
        recorded[name] = value
    return registry, recorded


texts = st.text(max_size=20)
names = st.text(min_size=1, max_size=20).filter(lambda t: t.isprintable() and t == t.strip())
numbers = st.integers() | st.floats()
