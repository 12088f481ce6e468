"""A strict parser, written from the protocol's description, adds up what was recorded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry, ResettingTimer
from metrics.exporters import statsd
from metrics.exporters._series.deltas import Deltas
from tests.exporters.examples import everything
from tests.exporters.line_readers import StatsdServer


def page(registry, deltas=None, **options):
    return statsd.render(registry, deltas=deltas or Deltas(), **options).decode()


def test_every_instrument_has_its_type():
    registry = Registry("chain")
    registry.counter("inserts").inc(3)
    registry.float_counter("cpu").inc(1.5)
    registry.updown_counter("in-flight").inc(2)
    registry.gauge("load").set(0.25)
    registry.info("build").set({"version": "1.2"})
    registry.healthcheck("db", lambda: None)
    registry.resetting_timer("pause").update(0.002)
    registry.resetting_timer("pause").update(0.001)
    assert page(registry, namespace="geth") == (
        "geth.chain.cpu:1.5|c\n"
        "geth.chain.db:1|g\n"
        "geth.chain.in-flight:2|g\n"
        "geth.chain.inserts:3|c\n"
        "geth.chain.load:0.25|g\n"
        "geth.chain.pause:1.0|ms\n"
        "geth.chain.pause:2.0|ms\n"
    )


def test_what_was_put_together_is_a_count_and_statistics_as_gauges():
    registry = Registry()
    registry.timer("call", sampled=True).update(0.25)
    registry.meter("blocks").mark(5)
    registry.bucket_histogram("wait", bounds=(1, 2)).update(2)
    registry.histogram("size").update(7)
    server = StatsdServer()
    server.take(page(registry).encode())
    assert server.counters == {"call.count": 1, "blocks.count": 5, "wait.count": 1, "size.count": 1}
    assert (server.gauges["call.99-percentile"], server.gauges["size.mean"]) == (250, 7)
    assert {"blocks.one-minute", "call.mean-rate", "wait.std-dev"} <= server.gauges.keys()
    assert not [name for name in server.gauges if "count" in name]


def test_a_counter_is_what_it_has_grown_by():
    registry = Registry()
    counter = registry.counter("a")
    deltas = Deltas()
    counter.inc(3)
    assert page(registry, deltas) == "a:3|c\n"
    assert page(registry, deltas) == ""
    counter.inc(2)
    assert page(registry, deltas) == "a:2|c\n"


def test_a_counter_that_was_cleared_begins_anew():
    registry = Registry()
    counter = registry.counter("a")
    deltas = Deltas()
    counter.inc(3)
    page(registry, deltas)
    counter.clear()
    counter.inc(2)
    assert page(registry, deltas) == "a:2|c\n"


def test_a_counter_that_is_gone_for_a_look_is_forgotten():
    registry = Registry()
    family = registry.counters("a", labels=("n",))
    deltas = Deltas()
    family.labels("x").inc(3)
    page(registry, deltas)
    family.remove("x")
    assert page(registry, deltas) == ""
    family.labels("x").inc(5)
    assert page(registry, deltas) == "a.n.x:5|c\n"


def test_two_reporters_have_their_own_deltas():
    registry = Registry()
    registry.counter("a").inc(3)
    assert page(registry, Deltas()) == page(registry, Deltas()) == "a:3|c\n"


@given(st.lists(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 9)), max_size=5)))
def test_no_event_is_lost_or_told_twice(intervals):
    registry = Registry()
    family = registry.counters("a", labels=("n",))
    timer = registry.timers("t", labels=("n",))
    deltas = Deltas()
    server = StatsdServer()
    expected = {}
    for events in intervals:
        for label, n in events:
            family.labels(label).inc(n)
            timer.labels(label).update(n)
            name = f"a.n.{label}"
            expected[name] = expected.get(name, 0) + n
            name = f"t.n.{label}.count"
            expected[name] = expected.get(name, 0) + 1
        server.take(page(registry, deltas).encode())
    assert server.counters == {name: n for name, n in expected.items() if n}


@given(st.lists(st.floats(-1e6, 1e6)))
def test_a_gauge_is_absolute_whatever_its_sign(values):
    registry = Registry()
    gauge = registry.gauge("a")
    plain, datadog = StatsdServer(), StatsdServer(signs=False)
    for value in values:
        gauge.set(value)
        plain.take(page(registry).encode())
        datadog.take(page(registry, dialect="dogstatsd").encode())
        assert plain.gauges == datadog.gauges == {"a": value}


def test_a_negative_gauge_is_set_to_0_first_in_the_same_datagram():
    registry = Registry()
    registry.gauge("a").set(-1.5)
    registry.gauge("b").set(-0.0)
    assert page(registry) == "a:0|g\na:-1.5|g\nb:0|g\nb:-0.0|g\n"
    assert page(registry, dialect="dogstatsd") == "a:-1.5|g\nb:-0.0|g\n"
    assert list(statsd.stream(registry, deltas=Deltas(), datagram_bytes=16)) == [
        b"a:0|g\na:-1.5|g",
        b"b:0|g\nb:-0.0|g",
    ]


def test_labels_and_facts_are_tags_in_datadogs_dialect():
    registry = Registry()
    registry.counters("a", labels=("method", "path")).labels("GET", "/a:b|c").inc()
    registry.info("build").set({"version": "1.2"})
    registry.resetting_timer("pause").update(1)
    assert page(registry, dialect="dogstatsd", tags={"env": "x y"}) == (
        "a:1|c|#env:x_y,method:GET,path:/a:b_c\n"
        "build:1|g|#env:x_y,version:1.2\n"
        "pause:1000.0|ms|#env:x_y\n"
    )


def test_only_the_first_colon_of_a_tag_separates_its_name_from_its_value():
    registry = Registry()
    registry.counters("a", labels=("url",)).labels("http://x:80/,b|c\n\r\u2028d:").inc()
    assert page(registry, dialect="dogstatsd", tags={"ti:me": "12:30"}) == (
        "a:1|c|#ti_me:12:30,url:http://x:80/_b_c___d:\n"
    )


def test_a_label_in_a_name_has_no_colon():
    registry = Registry()
    registry.counters("a", labels=("url",)).labels("x:80").inc()
    assert page(registry) == "a.url.x_80:1|c\n"


def test_labels_are_in_the_name_otherwise():
    registry = Registry()
    registry.counters("a/b", labels=("method", "path")).labels("", "/x.y").inc()
    assert page(registry, tags={"env": "e"}) == "a.b.env.e.method._.path._x_y:1|c\n"


def test_of_very_many_durations_some_are_written_with_their_rate():
    registry = Registry()
    timer = registry.resetting_timer("pause")
    for milliseconds in range(1000):
        timer.update(milliseconds / 1000)
    server = StatsdServer()
    server.take(page(registry, samples=10).encode())
    assert server.timers == {"pause": [pytest.approx(n) for n in range(50, 1000, 100)]}
    assert server.timed["pause"] == pytest.approx(1000)


def test_durations_that_came_too_fast_to_be_kept_are_counted():
    registry = Registry()
    timer = registry.register("pause", ResettingTimer(size=4))
    for _ in range(100):
        timer.update(0.5)
    server = StatsdServer()
    server.take(page(registry).encode())
    assert 4 <= len(server.timers["pause"]) <= 8
    assert server.timed["pause"] == pytest.approx(100)


@pytest.mark.parametrize("dialect", ["statsd", "dogstatsd"])
@given(st.text(), st.text(min_size=1), st.text(), st.text())
def test_no_text_breaks_out_of_its_place(dialect, prefix, key, tag, label):
    registry = Registry()
    registry.counters("a", labels=("label",)).labels(label).inc(7)
    server = StatsdServer()
    server.take(page(registry, namespace=prefix, tags={key: tag}, dialect=dialect).encode())
    assert list(server.counters.values()) == [7]


def test_datagrams_have_the_lines_of_the_chunks_without_line_feeds_at_their_ends():
    for dialect in statsd.DIALECTS:
        options = {"dialect": dialect, "datagram_bytes": 200}
        payloads = list(statsd.stream(everything(), deltas=Deltas(), **options))
        assert all(0 < len(payload) <= 200 for payload in payloads)
        assert b"\n".join(payloads) + b"\n" == page(everything(), dialect=dialect).encode()
        # `render` returns lines in any case.
        assert page(everything(), **options) == page(everything(), dialect=dialect)


def test_a_line_too_long_for_a_datagram_is_left_out_and_logged_once(caplog):
    statsd.warn_once.cache_clear()
    registry = Registry()
    registry.counters("hits", labels=("x",)).labels("y" * 100).inc()
    registry.counter("other").inc()
    for _ in range(2):
        payloads = list(statsd.stream(registry, deltas=Deltas(), datagram_bytes=50))
        assert payloads == [b"other:1|c"]
    (record,) = caplog.records
    assert "hits.x.yyy" in record.getMessage()


def test_lines_that_were_not_taken_are_framed_as_before():
    lines = ["aa:1|c", "bb:2|c", "c:3|ms"]
    assert list(statsd.merge(lines, datagram_bytes=13)) == [b"aa:1|c\nbb:2|c", b"c:3|ms"]
    assert list(statsd.merge(lines)) == [b"aa:1|c\nbb:2|c\nc:3|ms\n"]


def merged(*texts: str, samples: int = 1000) -> list[str]:
    lines = [line for text in texts for line in text.splitlines()]
    return b"".join(statsd.merge(lines, samples)).decode().splitlines()


def test_lines_that_were_not_taken_are_added_up_by_name_and_tags():
    first = "a:1|c\nb:5|g\na:2|c|#x:1,y:a:b\nneg:0|g\nneg:-5|g\nf:0.1|c\n"
    second = "a:2|c\na:3|c|#x:1,y:a:b\nb:6|g\nf:0.2|c\n"
    assert merged(first, second) == ["a:3|c", "a:5|c|#x:1,y:a:b", f"f:{0.1 + 0.2}|c"]


def test_durations_that_were_not_taken_stay_as_they_are():
    lines = "a:1.5|ms\na:1.5|ms\na:3|ms|@0.5|#x:1\n"
    assert merged(lines) == lines.splitlines()


def test_of_very_many_durations_some_are_written_for_all():
    lines = [f"a:{number}|ms|@0.1" for number in range(100)]
    written = merged("\n".join(lines), samples=10)
    assert written == [f"a:{number}|ms|@0.01" for number in range(5, 100, 10)]
    again = merged("\n".join(written), samples=5)
    assert [line.rpartition("|")[2] for line in again] == ["@0.005"] * 5


def test_increments_that_cancel_out_are_not_written():
    assert merged("a:1|c\na:-1|c\n") == []


@given(st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 99)), max_size=9)))
def test_reports_that_were_not_taken_have_the_same_effect_in_one(reports):
    registry = Registry()
    deltas = Deltas()
    pages = []
    for report in reports:
        for name, amount in report:
            registry.counter(name).inc(amount)
        pages.append(page(registry, deltas))
    lines = merged(*pages)
    assert len(lines) <= 3
    assert sorted(lines) == sorted(page(registry, Deltas()).splitlines())


def test_a_counter_that_was_recreated_is_counted_from_zero():
    registry = Registry()
    deltas = Deltas()
    registry.counter("a").inc(3)
    assert page(registry, deltas) == "a:3|c\n"
    registry.unregister("a")
    # As far as before, and further.
    registry.counter("a").inc(3)
    assert page(registry, deltas) == "a:3|c\n"
    registry.unregister("a")
    registry.counter("a").inc(5)
    assert page(registry, deltas) == "a:5|c\n"
