"""A server gets the metadata that it would read from the page: at first, and once a minute."""

import logging

import pytest
from hypothesis import given
from prometheus_client.parser import text_string_to_metric_families

from metrics import BucketHistogram, Histogram, Registry
from metrics.exporters import prometheus, remote_write
from metrics.exporters.remote_write._metadata import Metadata
from tests.exporters.examples import NOW_NS, everything, texts
from tests.exporters.page_reading import Custom
from tests.exporters.write_requests import metadata

SECOND = 10**9
TYPES = {"counter": 1, "gauge": 2, "histogram": 3, "summary": 5}


class Reports:
    """Reports of a registry to one server."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._metadata = Metadata()

    def at(self, seconds: float) -> set[str]:
        """Return the families with metadata in a report at a time after the first report."""
        ns = NOW_NS + round(seconds * SECOND)
        options = {"timestamp_ns": ns, "metadata": self._metadata}
        return {*metadata(remote_write.render(self._registry, **options))}


def test_types_and_help_texts_are_those_of_the_page():
    page = prometheus.render(everything()).decode()
    expected = {
        family.name + ("_total" if family.type == "counter" else ""): (
            TYPES[family.type],
            family.documentation,
        )
        for family in text_string_to_metric_families(page)
    }
    request = remote_write.render(everything(), timestamp_ns=NOW_NS, metadata=Metadata())
    assert {name: (one.kind, one.help) for name, one in metadata(request).items()} == expected


def test_the_unit_is_the_base_unit_in_the_name():
    request = remote_write.render(everything(), timestamp_ns=NOW_NS, metadata=Metadata())
    found = {name: one.unit for name, one in metadata(request).items() if one.unit}
    assert found["wait_seconds"] == "seconds"
    assert found["sent_bytes_total"] == "bytes"
    assert found["used_bytes"] == "bytes"
    assert found["height_blocks"] == "blocks"


@given(texts)
def test_any_help_text_is_read_back(text: str):
    registry = Registry()
    registry.counter("a", description=text).inc()
    request = remote_write.render(registry, timestamp_ns=NOW_NS, metadata=Metadata())
    assert metadata(request)["a_total"].help == " ".join(text.split()) or "a (Counter)"


def test_metadata_comes_with_the_first_report_and_once_a_minute():
    reports = Reports(everything())
    every = reports.at(0)
    assert len(every) > 10
    found = [reports.at(seconds) for seconds in (10, 59.9, 60, 61, 119, 121)]
    assert found == [set(), set(), every, set(), set(), every]


def test_a_new_family_has_metadata_at_once():
    registry = Registry()
    registry.counter("a").inc()
    reports = Reports(registry)
    assert reports.at(0) == {"a_total"}
    registry.counter("b").inc()
    assert reports.at(10) == {"b_total"}
    assert reports.at(60) == {"a_total"}
    assert reports.at(70) == {"b_total"}


def test_a_family_that_changes_has_metadata_at_once():
    registry = Registry()
    registry.gauge("a", description="old").set(1)
    reports = Reports(registry)
    assert reports.at(0) == {"a"}
    registry.unregister("a")
    registry.gauge("a", description="new").set(1)
    assert reports.at(10) == {"a"}
    assert reports.at(20) == set()


def test_metadata_comes_again_when_the_clock_is_set_back():
    reports = Reports(everything())
    every = reports.at(0)
    assert [reports.at(seconds) for seconds in (-3600, -3590)] == [every, set()]


def test_each_family_is_described_once_though_its_children_differ(
    caplog: pytest.LogCaptureFixture,
):
    registry = Registry()
    registry.counters("hits", labels=("shop",)).labels("a").inc()
    registry.counters("hits", labels=("shop",)).labels("b").inc()
    histograms = iter([Histogram(), BucketHistogram((1,))])
    with caplog.at_level(logging.ERROR):
        calls = registry.timers("call", labels=("x",), histogram=lambda: next(histograms))
        calls.labels("a").update(1)
        calls.labels("b").update(1)
        request = remote_write.render(registry, timestamp_ns=NOW_NS, metadata=Metadata())
    assert {*metadata(request)} == {"hits_total", "call_seconds", "call_per_second"}


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_metadata_is_in_the_request_of_the_first_sample(limit: int):
    options = {"timestamp_ns": NOW_NS, "metadata": Metadata(), "batch_size": limit}
    requests = [*remote_write.stream(everything(), **options)]
    without = remote_write.stream(everything(), timestamp_ns=NOW_NS, batch_size=limit)
    assert len(requests) == len([*without])
    described: set[str] = set()
    for request in requests:
        assert described.isdisjoint(metadata(request))
        described |= {*metadata(request)}
    assert described == Reports(everything()).at(0)


def test_memory_is_bounded_by_the_families_of_the_last_report():
    registry = Registry()
    state = Metadata()
    for number in range(100):
        registry.counter(f"a{number}").inc()
        remote_write.render(registry, timestamp_ns=NOW_NS, metadata=state)
        registry.unregister(f"a{number}")
    assert len(state._records.known) == 1
    assert not state._records.present


def test_an_abandoned_report_counts():
    registry = everything()
    state = Metadata()
    options = {"timestamp_ns": NOW_NS, "metadata": state}
    first = next(remote_write.stream(registry, batch_size=1, **options))
    rest = remote_write.render(registry, **options)
    assert metadata(first)
    assert metadata(first).keys().isdisjoint(metadata(rest))


def test_a_foreign_instrument_is_described():
    registry = Registry()
    registry.register("a", Custom(Registry().counter("any").snapshot()))
    assert Reports(registry).at(0) == {"a_total"}


def test_no_family_is_described_twice_in_one_report():
    registry = Registry()
    family = registry.gauges("a", labels=("x",))
    for number in range(5):
        family.labels(number).set(number)
    options = {"timestamp_ns": NOW_NS, "metadata": Metadata(), "batch_size": 2}
    found = [len(metadata(request)) for request in remote_write.stream(registry, **options)]
    assert found == [1, 0, 0]
