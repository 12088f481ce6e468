"""Requests have the samples that Prometheus reads from the page, number for number."""

import builtins
import math
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.exporters import remote_write
from metrics.exporters._series.clashes import warn_once
from metrics.exporters._series.staleness import Staleness
from tests.exporters.examples import NOW_NS, everything, numbers
from tests.exporters.write_requests import Sent, metadata, page, read


def values(found: list[Sent]) -> dict[object, float]:
    assert len({one.key for one in found}) == len(found)
    return {one.key: one.value for one in found}


def test_a_request_has_what_the_page_has():
    found = read(remote_write.render(everything(), timestamp_ns=NOW_NS))
    assert values(found) == page(everything())
    assert {one.timestamp_ms for one in found} == {NOW_NS // 1_000_000}


def test_units_are_base_units():
    registry = Registry()
    registry.gauge("load", unit="percent").set(12.5)
    registry.histogram("size", unit="kibibytes").update(2)
    registry.bucket_histogram("wait", bounds=(5,), unit="milliseconds").update(3)
    registry.meter("sent", unit="bits").mark(16)
    found = values(read(remote_write.render(registry, timestamp_ns=NOW_NS)))
    assert found["load_ratio", frozenset()] == 0.125
    assert found["size_bytes_sum", frozenset()] == 2048
    assert found["wait_seconds_bucket", frozenset({("le", "0.005")})] == 1
    assert found["sent_bytes_total", frozenset()] == 2
    # The rate of a moment differs from that of the next.
    assert found.keys() == page(registry, "another").keys()


@given(numbers, st.text(st.characters(exclude_categories=["Cs"])))
def test_any_number_with_any_label_is_that_of_the_page(number: float, text: str):
    registry = Registry()
    registry.gauge("g").set(number)
    registry.updown_counters("u", labels=("l",)).labels(text).inc(3)
    registry.info("i").set({"a": text, "b": "x"})
    written = values(read(remote_write.render(registry, timestamp_ns=NOW_NS)))
    expected = page(registry)
    assert written.keys() == expected.keys()
    for key, value in expected.items():
        assert written[key] == value or (math.isnan(value) and math.isnan(written[key]))


@given(st.integers(0, (1 << 63) - 1))
def test_any_time_is_written_in_milliseconds(ns: int):
    registry = Registry()
    registry.gauge("g").set(1)
    (one,) = read(remote_write.render(registry, timestamp_ns=ns))
    assert one.timestamp_ms == ns // 1_000_000


def test_constant_labels_are_in_every_series_unless_it_has_its_own():
    registry = Registry()
    registry.counters("hits", labels=("job",)).labels("mine").inc()
    registry.counters("hits", labels=("job",)).labels("").inc()
    registry.gauge("up").set(1)
    labels = {"job": "shop", "instance": "a:1", "empty": ""}
    found = read(remote_write.render(registry, timestamp_ns=NOW_NS, labels=labels))
    instance = ("instance", "a:1")
    assert {one.labels for one in found} == {
        (("__name__", "hits_total"), instance, ("job", "mine")),
        (("__name__", "hits_total"), instance),
        (("__name__", "up"), instance, ("job", "shop")),
    }


def test_no_request_has_more_samples_than_its_limit():
    registry = Registry()
    family = registry.counters("hits", labels=("n",), max_children=4500)
    for number in range(4500):
        family.labels(number).inc(number)
    requests = [read(one) for one in remote_write.stream(registry, timestamp_ns=NOW_NS)]
    assert [len(request) for request in requests] == [2000, 2000, 500]
    assert sum(one.value for request in requests for one in request) == sum(range(4500))
    few = remote_write.stream(registry, timestamp_ns=NOW_NS, batch_size=1500)
    assert [len(read(one)) for one in few] == [1500, 1500, 1500]


def test_an_empty_registry_is_no_request():
    assert list(remote_write.stream(Registry(), timestamp_ns=NOW_NS)) == []


def test_an_instrument_of_a_known_kind_keeps_its_name_beside_one_of_a_program(
    caplog: pytest.LogCaptureFixture,
):
    warn_once.cache_clear()

    class Custom:
        def snapshot(self, reader: str = ""):
            return Registry().counter("any").snapshot()

    registry = Registry()
    registry.register("a", Custom())
    registry.gauge("a_total").set(3)
    (one,) = read(remote_write.render(registry, timestamp_ns=NOW_NS))
    assert (one.key, one.value) == (("a_total", frozenset()), 3)
    assert "'a' is left out" in caplog.text


def test_a_series_that_is_not_there_any_more_ends_once():
    registry = Registry()
    hits = registry.counters("hits", labels=("shop",))
    staleness = Staleness()

    def report() -> dict[str, bytes]:
        request = remote_write.render(registry, timestamp_ns=NOW_NS, staleness=staleness)
        return {dict(one.labels)["shop"]: struct.pack(">d", one.value) for one in read(request)}

    for shop in "abc":
        hits.labels(shop).inc()
    one = struct.pack(">d", 1.0)
    stale = bytes.fromhex("7ff0000000000002")
    assert report() == dict.fromkeys("abc", one)
    hits.remove("b")
    assert report() == {"a": one, "b": stale, "c": one}
    assert report() == dict.fromkeys("ac", one)
    hits.labels("b").inc()
    assert report() == dict.fromkeys("abc", one)
    registry.unregister("hits")
    assert report() == dict.fromkeys("abc", stale)
    assert report() == {}


def test_a_report_that_was_sent_in_part_counts():
    registry = Registry()
    hits = registry.counters("hits", labels=("shop",))
    hits.labels("a").inc()
    hits.labels("b").inc()
    staleness = Staleness()
    options = {"timestamp_ns": NOW_NS, "staleness": staleness}
    next(remote_write.stream(registry, batch_size=1, **options))
    registry.unregister("hits")
    (one,) = read(remote_write.render(registry, **options))
    assert dict(one.labels)["shop"] == "a"


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_all_series_of_a_server_end_once(limit: int):
    registry = everything()
    staleness = Staleness()
    reported = read(remote_write.render(registry, timestamp_ns=NOW_NS, staleness=staleness))
    later_ns = NOW_NS + 1_000_000
    options = {"timestamp_ns": later_ns, "batch_size": limit}
    requests = [read(one) for one in remote_write.stream_end(staleness, **options)]
    assert all(0 < len(request) <= limit for request in requests)
    ended = [one for request in requests for one in request]
    assert sorted(one.labels for one in ended) == sorted(one.labels for one in reported)
    assert {struct.pack(">d", one.value).hex() for one in ended} == {"7ff0000000000002"}
    assert {one.timestamp_ms for one in ended} == {later_ns // 1_000_000}
    assert list(remote_write.stream_end(staleness, **options)) == []


@pytest.mark.parametrize("options", [{"timestamp_ns": -1}, {"timestamp_ns": 0, "batch_size": 0}])
def test_wrong_options_of_an_end_are_errors_of_the_call_itself(options: dict[str, int]):
    with pytest.raises(ValueError, match=r"timestamp_ns|batch_size"):
        remote_write.stream_end(Staleness(), **options)


def test_without_the_option_there_is_no_metadata():
    assert metadata(remote_write.render(everything(), timestamp_ns=NOW_NS)) == {}


def test_without_the_extra_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    load = builtins.__import__

    def without(name: str, *args, **kwargs):
        if name == "cramjam":
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "cramjam", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"wired-metrics\[remote-write\]"):
        remote_write.stream(Registry(), timestamp_ns=NOW_NS)
