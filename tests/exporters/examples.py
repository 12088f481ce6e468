"""Registries to be written in every format."""

from hypothesis import strategies as st

from metrics import BucketHistogram, Registry
from metrics.testing import ManualClock

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


texts = st.text(max_size=20)
names = st.text(min_size=1, max_size=20).filter(lambda t: t.isprintable() and t == t.strip())
numbers = st.integers() | st.floats()
