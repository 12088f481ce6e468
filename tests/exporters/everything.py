"""A registry with everything in it that pages are made of."""

from metrics import Registry
from metrics.testing import ManualClock


def everything() -> Registry:
    registry = Registry(clock=ManualClock())
    registry.counter("rpc/requests").inc(3)
    registry.float_counter("cpu", unit="seconds").inc(1.5)
    registry.updown_counter("in-flight").dec()
    registry.gauge("temperature", unit="celsius").set(-3.25)
    registry.int_gauge("height").set(2**70)
    registry.info("build").set({"version": "1.2", "commit": 'a"b\\c\nd'})
    registry.meter("blocks").mark(5)
    registry.histogram("size", unit="bytes").update(10)
    registry.bucket_histogram("wait", bounds=(0.5, 1), unit="milliseconds").update(0.75)
    registry.timer("call", sampled=True).update(0.25)
    registry.resetting_timer("pause").update(0.5)
    registry.healthcheck("db", lambda: None)
    registry.counters("hits", labels=("method", "path")).labels("GET", '/"\\\n').inc()
    registry.timers("served", labels=("method",)).labels("GET").update(0.02)
    registry.bucket_histograms("sent", labels=("method",), unit="bytes").labels("GET").update(2)
    registry.meters("seen", labels=("method",)).labels("GET").mark()
    return registry
