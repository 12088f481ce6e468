"""Exemplars of series in requests of remote write, read by the official messages."""

from metrics import Registry
from metrics.exporters import remote_write
from metrics.exporters._series.staleness import Staleness
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS
from tests.exporters.write_requests import Sent, exemplars, read

TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c"}


def test_totals_and_buckets_have_exemplars():
    registry = Registry(clock=ManualClock(epoch=1_520_879_607.7895))
    registry.counter("requests").inc(3, exemplar={"b": "2", "a": "1", "empty": ""})
    registry.counter("plain").inc(3)
    registry.meter("events").mark(2, TRACE)
    registry.timers("wait", ("path",)).labels("/").update(0.003, TRACE)
    request = remote_write.render(registry, timestamp_ns=NOW_NS)
    pairs = tuple(TRACE.items())
    assert exemplars(request) == {
        ("requests_total", frozenset()): Sent((("a", "1"), ("b", "2")), 3.0, 1_520_879_607_789),
        ("events_total", frozenset()): Sent(pairs, 2.0, 1_520_879_607_789),
        (
            "wait_seconds_bucket",
            frozenset({("path", "/"), ("le", "0.005")}),
        ): Sent(pairs, 0.003, 1_520_879_607_789),
    }


def test_samples_are_the_same_with_exemplars():
    def requests(**options):
        registry = Registry(clock=ManualClock())
        registry.counter("requests").inc(3, **options)
        registry.timer("wait").update(0.003, **options)
        return read(remote_write.render(registry, timestamp_ns=NOW_NS))

    assert requests(exemplar=TRACE) == requests()


def test_stale_markers_have_no_exemplars():
    registry = Registry()
    staleness = Staleness()
    registry.counter("requests").inc(exemplar=TRACE)
    assert exemplars(remote_write.render(registry, timestamp_ns=NOW_NS, staleness=staleness))
    (request,) = remote_write.stream_end(staleness, timestamp_ns=NOW_NS + 1_000_000)
    assert exemplars(request) == {}
    assert len(read(request)) == 1


def test_awkward_exemplars_do_not_fail_a_request():
    registry = Registry(clock=ManualClock(epoch=-5.0))
    registry.counter("requests").inc(10**400, exemplar={"a": "\ud800"})
    (found,) = exemplars(remote_write.render(registry, timestamp_ns=NOW_NS)).values()
    assert found.labels == (("a", "?"),)
    assert found.value > 1e300
    assert found.timestamp_ms == 0
