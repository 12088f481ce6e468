"""Increments of undelivered payloads are neither lost nor delivered twice, whatever happens."""

import gzip
from collections import Counter as Tallies
from collections.abc import Callable, Iterable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from metrics import Registry
from metrics.exporters import otlp, statsd
from metrics.exporters._series.deltas import Deltas
from metrics.reporters._push.payloads import Codec, gzip_codec
from metrics.reporters._transports.transport import (
    Malformed,
    PartlyTaken,
    Rejected,
    TooLarge,
    Unavailable,
)
from metrics.reporters.otlp import codec_of
from metrics.reporters.statsd import codec_of as codec_of_lines
from metrics.testing import ManualClock
from tests.reporters.standins import Recorded, new_sender, new_statistics
from tests.reporters.tally import Tally

NAMES = ("a", "b", "c", "pause")


class Lines:
    """StatsD's counters and durations, as datagrams or chunks."""

    def __init__(self, size: int | None) -> None:
        self._size = size
        self.codec: Codec = codec_of_lines(1000, size)

    def read(self, registry: Registry, deltas: Deltas, _time_ns: int) -> Iterable[bytes]:
        return statsd.stream(registry, deltas=deltas, datagram_bytes=self._size)

    def totals(self, payloads: Iterable[bytes]) -> Tallies[str]:
        tally = Tally("statsd")
        tally.take(payload.removesuffix(b"\n") for payload in payloads)
        found = Tallies({name: int(count) for name, count in tally.counters.items()})
        found.update({name: len(values) for name, values in tally.timings.items()})
        return found


class Requests:
    """OTLP's sums with delta temporality, gzipped."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self.codec = gzip_codec(codec_of(batch_size, merges=True))

    def read(self, registry: Registry, deltas: Deltas, time_ns: int) -> Iterable[bytes]:
        requests = otlp.stream(
            registry,
            timestamp_ns=time_ns,
            deltas=deltas,
            batch_size=self._batch_size,
        )
        return map(gzip.compress, requests)

    def totals(self, payloads: Iterable[bytes]) -> Tallies[str]:
        found: Tallies[str] = Tallies()
        ends: Tallies[str] = Tallies()
        for payload in payloads:
            request = ExportMetricsServiceRequest.FromString(gzip.decompress(payload))
            for resource in request.resource_metrics:
                for metric in resource.scope_metrics[0].metrics:
                    for point in (*metric.sum.data_points, *metric.histogram.data_points):
                        amount = point.as_int if metric.HasField("sum") else point.count
                        found[metric.name] += amount
                        # Times of one series neither overlap nor run backwards.
                        assert ends[metric.name] <= point.start_time_unix_nano
                        ends[metric.name] = point.time_unix_nano
        return found


class Bench:
    """A registry, and the sender of its increments to a server that fails before it takes them."""

    def __init__(self, format_: Lines | Requests, payloads: int = 8, size: int = 1 << 20) -> None:
        self.format = format_
        self.registry = Registry()
        self.deltas = Deltas()
        self.undelivered: list[bytes] = []
        self.clock = ManualClock()
        self.transport = Recorded()
        self.statistics = new_statistics()
        self.counted: Tallies[str] = Tallies()
        self._limits = {"payloads": payloads, "size": size}
        self.sender = self._new_sender()

    def _new_sender(self):
        return new_sender(
            self.transport,
            self.clock,
            self.statistics,
            **self._limits,
            codec=self.format.codec,
            undelivered=self.undelivered,
        )

    def count(self, name: str, amount: int) -> None:
        self.counted[name] += amount
        if name != "pause":
            self.registry.counter(name).inc(amount)
        elif isinstance(self.format, Lines):
            for number in range(amount):
                self.registry.resetting_timer(name).update(number / 1000)
        else:
            for number in range(amount):
                self.registry.bucket_histogram(name, bounds=(1, 2)).update(number)

    def report(self) -> None:
        self.clock.advance(10.0)
        self.registry.gauge("load").set(1)
        self.sender.merge()
        for payload in self.format.read(self.registry, self.deltas, self.clock.time_ns()):
            self.sender.add(payload)
        self.sender.deliver()

    def wait(self) -> None:
        self.clock.advance(60.0)
        self.sender.deliver()

    def restart(self) -> None:
        self.sender.ends = self.clock.monotonic() + 1.0
        self.report()
        self.sender.finish()
        self.sender = self._new_sender()

    def unregister(self, name: str) -> None:
        # A series that is read for the last time, and one of that name that begins with 0.
        self.report()
        self.registry.unregister(name)

    def recover(self) -> None:
        self.transport.fault = bool
        for _ in range(2):
            self.wait()
            self.report()

    @property
    def delivered(self) -> Tallies[str]:
        return self.format.totals(self.transport.payloads)


def shown(bench: Bench, body: bytes) -> str:
    return "\n".join(map(bench.format.codec.describe, bench.format.codec.decode(body)))


def faults(bench: Bench) -> dict[str, Callable[[bytes], object]]:
    """Return the ways of a server not to take a payload, by name."""
    errors = {
        "away": Unavailable("refused"),
        "silent": Unavailable("no answer", unanswered=True),
        "broken": Unavailable("answered 500", blames_payload=True),
        "forbid": Rejected("answered 401"),
        "refuse": Malformed("answered 400"),
        "small": TooLarge("answered 413"),
        "picky": Malformed("answered 400"),
        "buggy": ZeroDivisionError(),
    }
    takes = {
        "small": lambda body: len(body) <= 120,
        "picky": lambda body: "b" not in shown(bench, body).replace("pause", ""),
    }

    def fail(name: str, body: bytes) -> None:
        if not takes.get(name, lambda _: False)(body):
            raise errors[name]

    return {"work": bool, **{name: partial(fail, name) for name in errors}}


FORMATS = {
    "datagrams": lambda: Lines(30),
    "chunks": lambda: Lines(None),
    "requests": lambda: Requests(2000),
    "small requests": lambda: Requests(2),
}

STEPS = st.one_of(
    st.tuples(st.just("count"), st.sampled_from(NAMES), st.integers(1, 5)),
    st.tuples(st.sampled_from(["report", "report", "wait", "restart"])),
    st.tuples(st.just("unregister"), st.sampled_from(NAMES)),
    st.tuples(st.just("fault"), st.sampled_from(sorted(faults(Bench(Lines(None)))))),
)


@pytest.mark.parametrize("kind", FORMATS)
@given(steps=st.lists(STEPS, max_size=40))
def test_all_that_was_counted_is_delivered_once_in_the_end(kind, steps):
    bench = Bench(FORMATS[kind]())
    for name, *arguments in steps:
        if name == "fault":
            bench.transport.fault = faults(bench)[arguments[0]]
        else:
            getattr(bench, name)(*arguments)
        delivered = bench.delivered
        assert all(delivered[name] <= bench.counted[name] for name in delivered)
    bench.recover()
    assert +bench.delivered == bench.counted
    assert bench.undelivered == []


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("fault", sorted(faults(Bench(Lines(None)))))
def test_an_hour_of_a_fault_loses_nothing_and_takes_the_memory_of_one_report(kind, fault):
    bench = Bench(FORMATS[kind]())
    bench.transport.fault = faults(bench)[fault]
    held = []
    for number in range(1, 360):
        for name in NAMES[:3]:
            bench.count(name, number)
        bench.report()
        held.append(len(bench.sender._outbox) + len(bench.undelivered))
    assert max(held) <= 8 + 2 * 8
    bench.recover()
    assert bench.delivered == bench.counted


def test_a_payload_without_an_answer_is_repeated_as_it_was():
    bench = Bench(Requests(2000))
    bench.transport.fault = faults(bench)["silent"]
    for amount in range(1, 4):
        bench.count("a", amount)
        bench.report()
    first = bench.transport.tries[0][0]
    assert {body for body, _ in bench.transport.tries} == {first}
    bench.recover()
    assert bench.transport.payloads[0] == first
    assert bench.delivered["a"] == 6


def test_payloads_that_were_never_sent_become_one():
    bench = Bench(Requests(2000))
    bench.transport.fault = faults(bench)["away"]
    for amount in range(1, 4):
        bench.count("a", amount)
        bench.report()
    bench.transport.fault = bool
    bench.wait()
    merged, newest = bench.transport.payloads
    assert bench.format.totals([merged])["a"] == 1 + 2
    assert bench.format.totals([newest])["a"] == 3


def test_series_left_out_of_a_payload_are_not_repeated():
    bench = Bench(Requests(2000))
    bench.count("a", 1)

    def take_partly(_: bytes) -> None:
        raise PartlyTaken("left out 1 data point")

    bench.transport.fault = take_partly
    bench.report()
    bench.recover()
    assert bench.delivered["a"] == 0


def test_increments_above_the_limit_in_bytes_are_dropped_and_logged(caplog):
    bench = Bench(Lines(100), payloads=1000, size=10_000)
    bench.transport.fault = faults(bench)["forbid"]
    # Series that end before they are taken: no later report adds to them.
    for number in range(500):
        name = f"{'x' * 40}.{number}"
        bench.count(name, 1)
        bench.unregister(name)
    assert "db drops payloads" in caplog.text
    assert sum(map(len, bench.undelivered)) < 2 * 10_000
    bench.recover()
    assert 150 < bench.delivered.total() < 250
