"""Registries of prometheus_client show the instruments of a registry, and the other way round."""

import os
import threading
from collections.abc import Callable, Iterable
from json import loads

import pytest
from dependency_injector import providers
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    UnknownMetricFamily,
)
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics_page
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_of
from prometheus_client.parser import text_string_to_metric_families as families_of

from metrics import Registry
from metrics.exporters import json, openmetrics, prometheus, statsd
from metrics.exporters.statsd import Deltas
from metrics.integrations.prometheus_client import export, include
from metrics.lifecycle import MetricsContainer, Resource
from metrics.registry._inner import store_of
from tests.exporters.everything import everything
from tests.forks import in_child


class Collected:
    """Collector whose families a test chooses."""

    def __init__(self, *metrics: Metric) -> None:
        self.metrics: Iterable[Metric] = metrics
        self.before: Callable[[], object] = lambda: None

    def collect(self) -> Iterable[Metric]:
        self.before()
        return self.metrics


def collected(*metrics: Metric) -> tuple[CollectorRegistry, Collected]:
    theirs, collector = CollectorRegistry(), Collected(*metrics)
    theirs.register(collector)
    return theirs, collector


def refuse() -> None:
    raise OSError("no answer")


def text(registry: Registry) -> set[str]:
    """Return the samples of a page."""
    page = prometheus.render(registry).decode()
    return {line for line in page.splitlines() if not line.startswith("#")}


def by_name(families: Iterable[Metric]) -> dict[str, tuple[object, ...]]:
    """Return families by name, with samples in any order."""
    return {
        one.name: (one.type, one.documentation, one.unit, sorted(one.samples, key=repr))
        for one in families
    }


def complete() -> Registry:
    registry = everything()
    registry.state_set("phase", states=("on", "off")).set("on")
    registry.counter("traced").inc(2, exemplar={"trace_id": "1"})
    registry.timer("slow", bounds=(0.5,)).update(0.25)
    return registry


class TestExport:
    def test_a_text_page_of_prometheus_client_is_the_page_of_the_registry(self):
        theirs = CollectorRegistry()
        registry = complete()
        with export(registry, theirs):
            page = generate_latest(theirs).decode()
        own = prometheus.render(registry).decode()
        assert by_name(families_of(page)) == by_name(families_of(own))

    def test_an_openmetrics_page_has_the_units_and_exemplars_too(self):
        theirs = CollectorRegistry()
        registry = complete()
        with export(registry, theirs):
            page = openmetrics_page(theirs).decode()
        found = by_name(openmetrics_of(page))
        assert found == by_name(openmetrics_of(openmetrics.render(registry).decode()))
        assert found["cpu_seconds"][2] == "seconds"
        assert "trace_id" in repr(found["traced"])

    def test_constant_labels_are_exported_and_later_instruments_too(self):
        theirs = CollectorRegistry()
        registry = Registry("app", labels={"zone": "a"})
        with export(registry, theirs):
            registry.counter("requests").inc()
            assert theirs.get_sample_value("app_requests_total", {"zone": "a"}) == 1

    def test_a_container_exports_into_the_default_registry_until_its_stop(self):
        class Container(MetricsContainer):
            exported = Resource(export, MetricsContainer.registry)

        container = Container()
        for count in (1, 2):
            container.init_resources()
            container.registry().counter("only.here").inc(count)
            assert REGISTRY.get_sample_value("only_here_total") == count
            container.shutdown_resources()
            assert REGISTRY.get_sample_value("only_here_total") is None

    def test_a_collector_that_the_program_removed_is_removed(self):
        theirs = CollectorRegistry()
        with export(Registry(), theirs) as collector:
            theirs.unregister(collector)

    def test_a_family_whose_name_a_collector_has_is_left_out_and_logged_once(self, caplog):
        theirs = CollectorRegistry()
        Counter("taken", "Theirs", registry=theirs).inc(5)
        registry = Registry()
        registry.counter("taken").inc()
        registry.counter("free").inc()
        with export(registry, theirs):
            for _ in range(2):
                page = generate_latest(theirs).decode()
        assert "taken_total 5.0" in page
        assert "taken_total 1.0" not in page
        assert "free_total 1.0" in page
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
            "the family 'taken' is left out of prometheus_client's pages"
        ]

    def test_a_gauge_that_fails_does_not_break_their_page(self):
        theirs = CollectorRegistry()
        registry = Registry()
        registry.gauge("failing", refuse)
        registry.counter("free").inc()
        with export(registry, theirs):
            assert "free_total 1.0" in generate_latest(theirs).decode()


def measured(theirs: CollectorRegistry) -> None:
    """Register and update one of each kind."""
    Counter("requests", "Requests", ["method", "window"], registry=theirs).labels("GET", "1").inc(2)
    Counter("traced", "Traced", registry=theirs).inc(1, {"trace_id": "1"})
    Gauge("temperature_celsius", "Temperature", unit="celsius", registry=theirs).set(-3.5)
    Gauge("odd_total", "A gauge with the suffix of a counter", registry=theirs).set(1)
    Gauge("pause_milliseconds", "Not converted", unit="milliseconds", registry=theirs).set(1)
    Histogram("wait_seconds", "Wait", ["op"], registry=theirs).labels("read").observe(
        0.3, {"t": "1"}
    )
    Summary("size", "Size", registry=theirs).observe(3)
    Info("build", "Build", registry=theirs).info({"version": "1.2"})
    Enum("phase", "Phase", ["job"], states=["on", "off"], registry=theirs).labels("x").state("off")


class TestInclude:
    def test_an_openmetrics_page_is_that_of_prometheus_client(self):
        theirs, registry = CollectorRegistry(), Registry()
        measured(theirs)
        with include(registry, theirs):
            page = openmetrics.render(registry, created=True).decode()
        found = by_name(openmetrics_of(page))
        expected = by_name(openmetrics_of(openmetrics_page(theirs).decode()))
        kind, description, unit, samples = expected["pause_milliseconds"]
        assert unit == "milliseconds"
        expected["pause_milliseconds"] = (kind, description, "", samples)
        assert found == expected

    def test_a_text_page_is_that_of_prometheus_client_without_created(self):
        theirs, registry = CollectorRegistry(), Registry()
        measured(theirs)
        with include(registry, theirs):
            found = by_name(families_of(prometheus.render(registry).decode()))
        expected = by_name(families_of(generate_latest(theirs).decode()))
        assert found == {k: v for k, v in expected.items() if not k.endswith("_created")}

    def test_other_formats_have_the_families_too(self):
        theirs, registry = CollectorRegistry(), Registry()
        measured(theirs)
        deltas = Deltas()
        with include(registry, theirs):
            page = loads(json.render(registry))
            assert page['requests{method="GET",window="1"}'] == {"count": 2.0}
            first = b"".join(statsd.stream(registry, deltas=deltas))
            second = b"".join(statsd.stream(registry, deltas=deltas))
            assert registry.snapshot()["size"].to_dict()
        assert b":2.0|c" in first
        assert b"|c" not in second

    def test_a_container_includes_families_until_its_stop(self):
        theirs = CollectorRegistry()
        requests = Counter("requests", "Requests", registry=theirs)

        class Container(MetricsContainer):
            included = Resource(include, MetricsContainer.registry, providers.Object(theirs))

        container = Container()
        for count in (1, 2):
            container.init_resources()
            registry = container.registry()
            requests.inc()
            assert registry.snapshot()["requests"].children[()].count == count
            container.shutdown_resources()
            assert not registry.names()

    def test_families_that_appear_and_go_are_followed_at_the_next_read(self):
        theirs, registry = CollectorRegistry(), Registry("app")
        with include(registry, theirs):
            assert not text(registry)
            late = Counter("late", "Late", ["a"], registry=theirs)
            late.labels("1").inc()
            late.labels("2").inc()
            assert text(registry) == {'app_late_total{a="1"} 1.0', 'app_late_total{a="2"} 1.0'}
            late.remove("1")
            assert text(registry) == {'app_late_total{a="2"} 1.0'}
            theirs.unregister(late)
            assert not text(registry)
            Gauge("late", "Another kind", registry=theirs)
            assert text(registry) == {"app_late 0.0"}

    def test_the_last_updates_are_there_for_a_reporter_that_stops_later(self):
        theirs, registry = CollectorRegistry(), Registry()
        requests = Counter("requests", "Requests", registry=theirs)
        with store_of(registry).follow("reporter"):
            with include(registry, theirs):
                registry.snapshot("reporter")
                requests.inc(3)
            assert registry.snapshot("reporter")["requests"].children[()].count == 3

    def test_types_without_an_instrument_of_their_own_are_shown_by_the_nearest(self):
        unknown = UnknownMetricFamily("odd", "Odd", 3)
        queue = GaugeHistogramMetricFamily("queue", "Queue", [("1", 2), ("+Inf", 5)], 7)
        infos = InfoMetricFamily("builds", "Builds", labels=["of"])
        infos.add_metric(["a"], {"version": "1"})
        infos.add_metric(["b"], {"commit": "2"})
        theirs, _ = collected(unknown, queue, infos)
        theirs.set_target_info({"env": "prod"})
        registry = Registry()
        with include(registry, theirs):
            assert text(registry) == {
                "odd 3.0",
                'queue_bucket{le="1.0"} 2',
                'queue_bucket{le="+Inf"} 5',
                "queue_count 5",
                "queue_sum 7.0",
                'builds_info{of="a",version="1",commit=""} 1',
                'builds_info{of="b",version="",commit="2"} 1',
                'target_info{env="prod"} 1',
            }

    def test_buckets_below_zero_have_no_sum(self):
        family = HistogramMetricFamily("t", "T", buckets=[("-1", 1), ("0", 2), ("+Inf", 2)])
        theirs, _ = collected(family)
        registry = Registry()
        with include(registry, theirs):
            assert "t_count 2" in text(registry)
            assert b"_sum" not in openmetrics.render(registry)

    def test_a_constant_label_of_the_registry_stays_and_theirs_is_renamed(self):
        family = GaugeMetricFamily("heat", "Heat", labels=["zone", "room"])
        family.add_metric(["b", "1"], 2)
        theirs, _ = collected(family)
        registry = Registry(labels={"zone": "a"})
        with include(registry, theirs):
            assert text(registry) == {'heat{zone="a",exported_zone="b",room="1"} 2.0'}

    def test_a_new_label_keeps_the_totals_of_the_others(self):
        family = CounterMetricFamily("calls", "Calls", labels=["a"])
        family.add_metric(["1"], 5)
        theirs, collector = collected(family)
        registry, deltas = Registry(), Deltas()
        with include(registry, theirs):
            assert b":5.0|c" in b"".join(statsd.stream(registry, deltas=deltas))
            wider = CounterMetricFamily("calls", "Calls", labels=["a", "b"])
            wider.add_metric(["1"], 6)
            wider.add_metric(["1", "x"], 2)
            collector.metrics = [wider]
            lines = b"".join(statsd.stream(registry, deltas=deltas)).splitlines()
            assert sorted(line.partition(b":")[2].partition(b"|")[0] for line in lines) == [
                b"1.0",
                b"2.0",
            ]

    def test_a_failing_collector_is_logged_once_and_hides_no_other(self, caplog):
        total, value = CounterMetricFamily("total", "T", 5), GaugeMetricFamily("value", "V", 5)
        theirs, failing = collected(total, value)
        Counter("other", "Other", registry=theirs)
        registry = Registry()
        with include(registry, theirs):
            assert text(registry) == {"total_total 5.0", "value 5.0", "other_total 0.0"}
            for _ in range(2):
                failing.before = refuse
                for _ in range(2):
                    # A total that vanished would be reported again as a whole.
                    assert text(registry) == {"total_total 5.0", "other_total 0.0"}
                failing.before = lambda: None
                assert "value 5.0" in text(registry)
        assert len(caplog.records) == 2
        assert "cannot be read: no answer" in caplog.text

    def test_a_malformed_family_is_logged_once_and_hides_no_other(self, caplog):
        broken = Metric("broken", "Broken", "counter")
        broken.add_sample("broken_sum", {}, 1)
        bare = Metric("bare", "Bare", "histogram")
        bare.add_sample("bare_bucket", {"le": "+Inf"}, 1)
        theirs, _ = collected(broken, bare, GaugeMetricFamily("fine", "Fine", 1))
        registry = Registry()
        with include(registry, theirs):
            assert text(registry) == {"fine 1.0"}
            assert text(registry) == {"fine 1.0"}
        assert len(caplog.records) == 2

    def test_a_taken_name_is_logged_once_and_included_when_it_is_free(self, caplog):
        theirs, _ = collected(GaugeMetricFamily("heat", "Heat", 2), GaugeMetricFamily("x", "X", 1))
        twice = Collected(GaugeMetricFamily("x", "X", 3))
        theirs.register(twice)
        registry = Registry()
        registry.counter("heat")
        with include(registry, theirs):
            assert text(registry) == {"heat_total 0", "x 1.0"}
            assert text(registry) == {"heat_total 0", "x 1.0"}
            assert len(caplog.records) == 2
            registry.unregister("heat")
            assert text(registry) == {"heat 2.0", "x 1.0"}

    def test_a_name_that_is_taken_on_the_page_alone_is_numbered(self, caplog):
        theirs, _ = collected(GaugeMetricFamily("a_b", "Theirs", 2))
        registry = Registry()
        registry.gauge("a/b").set(1)
        with include(registry, theirs):
            assert text(registry) == {"a_b 1.0", "a_b_2 2.0"}
        assert "'a_b' is renamed" in caplog.text

    def test_a_slower_read_does_not_replace_newer_values(self):
        family = CounterMetricFamily("calls", "Calls", 1)
        theirs, collector = collected(family)
        registry = Registry()

        def overtake() -> None:
            collector.before = lambda: None
            collector.metrics = [CounterMetricFamily("calls", "Calls", 2)]
            thread = threading.Thread(target=text, args=(registry,))
            thread.start()
            thread.join()
            collector.metrics = [family]

        with include(registry, theirs):
            collector.before = overtake
            assert text(registry) == {"calls_total 2.0"}

    def test_a_disabled_registry_collects_nothing(self):
        theirs, collector = collected()
        collector.before = refuse
        registry = Registry(enabled=False)
        with include(registry, theirs):
            assert not text(registry)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_both_pages():
    theirs, registry = CollectorRegistry(), Registry()
    included = Counter("theirs", "Theirs", registry=theirs)
    included.inc(5)
    registry.counter("ours").inc(5)

    def pages() -> tuple[set[str], float | None]:
        included.inc()
        registry.counter("ours").inc()
        return text(registry), theirs.get_sample_value("ours_total")

    with export(registry, theirs), include(registry, theirs):
        # Their counters keep the counts of the parent.
        assert in_child(pages) == ({"ours_total 1", "theirs_total 6.0"}, 1.0)
        assert text(registry) == {"ours_total 5", "theirs_total 5.0"}


class TestBothDirections:
    def test_two_registries_show_each_family_once(self, caplog):
        theirs, registry = CollectorRegistry(), Registry()
        Counter("theirs", "Theirs", registry=theirs).inc()
        registry.counter("ours").inc()
        with export(registry, theirs), include(registry, theirs):
            for _ in range(2):
                assert text(registry) == {"ours_total 1", "theirs_total 1.0"}
                page = generate_latest(theirs).decode().splitlines()
                assert page.count("ours_total 1.0") == 1
                assert page.count("theirs_total 1.0") == 1
        assert not caplog.records

    def test_each_collector_runs_once_for_a_page(self):
        theirs, collector = collected(GaugeMetricFamily("heat", "Heat", 1))
        runs: list[None] = []
        collector.before = lambda: runs.append(None)
        registry = Registry()
        with export(registry, theirs), include(registry, theirs):
            runs.clear()
            assert "heat 1.0" in generate_latest(theirs).decode()
            assert len(runs) == 1
            assert "heat 1.0" in text(registry)
            assert len(runs) == 2

    def test_a_child_is_not_included_in_its_parent(self):
        theirs, registry = CollectorRegistry(), Registry()
        child = registry.child("app")
        child.counter("calls").inc()
        with include(registry, theirs), export(child, theirs):
            assert text(registry) == {"app_calls_total 1"}

    def test_a_ring_of_registries_ends(self):
        first, second = Registry(), Registry()
        there, back = CollectorRegistry(), CollectorRegistry()
        first.counter("calls").inc()
        with (
            export(first, there),
            include(second, there),
            export(second, back),
            include(first, back),
        ):
            for _ in range(2):
                assert "calls_total 1" in text(first)
                assert "calls_total 1.0" in text(second)
                assert "calls_total 1.0" in generate_latest(there).decode()
