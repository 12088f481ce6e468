"""Numbers and labels on a page of Prometheus, and what is kept of them between two pages."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import (
    BucketHistogram,
    Healthcheck,
    Registry,
    Timer,
)
from metrics.exporters import openmetrics, prometheus
from tests.exporters.page_reading import layout, page, samples

NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1)


def test_bounds_and_quantiles_have_the_same_text_as_in_openmetrics():
    registry = Registry()
    registry.bucket_histogram("sizes", bounds=(0.25, 1, 1e6)).update(3)
    for exporter in (prometheus, openmetrics):
        page = exporter.render(registry).decode()
        assert all(f'{{le="{text}"}}' in page for text in ("0.25", "1.0", "1e+06", "+Inf"))


def test_an_empty_sample_has_no_quantiles_but_sum_and_count():
    registry = Registry()
    registry.histogram("size")
    assert samples(registry) == {("size_sum", ()): 0, ("size_count", ()): 0}


def test_sum_and_count_of_a_resetting_timer_only_grow():
    registry = Registry()
    timer = registry.resetting_timer("pause")
    for expected in (1, 2, 3):
        timer.update(1.0)
        values = samples(registry)
        assert values["pause_seconds_count", ()] == values["pause_seconds_sum", ()] == expected
        assert values["pause_seconds", (("quantile", "0.5"),)] == 1.0


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (1e22, "1e+22")]
)
def test_numbers_are_written_as_the_format_has_them(value, text):
    registry = Registry()
    registry.gauge("x").set(value)
    assert page(registry).endswith(f"\nx {text}\n")


def test_an_unhealthy_check_is_0():
    registry = Registry()
    registry.register("db", Healthcheck(lambda: False))
    registry.run_healthchecks()
    assert samples(registry) == {("db_healthy", ()): 0}


def test_the_buckets_of_a_timer_are_in_seconds():
    registry = Registry()
    registry.register("call", Timer(BucketHistogram((0.1, 1.0)))).update(0.5)
    assert samples(registry)["call_seconds_bucket", (("le", "1.0"),)] == 1


@given(
    st.dictionaries(NAMES, st.floats(allow_nan=False)),
    st.dictionaries(st.text(), st.integers(0, 2**53)),
    st.text(),
)
def test_any_names_labels_and_values_read_back(gauges, counts, description):
    registry = Registry("p")
    family = registry.counters("family", labels=("label",), description=description)
    expected = {}
    for label, count in counts.items():
        family.labels(label).inc(count)
        expected["p_family_total", (("label", label),)] = count
    for name, value in gauges.items():
        try:
            registry.gauge(f"g{name}").set(value)
        except ValueError:
            continue
    values = samples(registry)
    assert {key: values[key] for key in expected} == expected
    assert len(values) == len(expected) + len(registry) - 1
    recorded = sorted(i.snapshot().value for n, i in registry if n != "p/family")
    assert sorted(v for (n, _), v in values.items() if n != "p_family_total") == recorded


def test_facts_whose_names_become_the_same_stay_apart():
    registry = Registry()
    registry.info("userinfo").set({"a.b": "1", "a/b": "2", "": "3", "__name__": "4"})
    assert samples(registry) == {
        ("userinfo_info", (("_", "3"), ("a_b", "1"), ("a_b_", "2"), ("name__", "4"))): 1
    }


def test_a_page_is_the_same_when_its_text_was_kept():
    registry = Registry()
    family = registry.bucket_histograms("sizes", bounds=[1, 2], labels=("method",))
    family.labels("GET").update(1.5)
    registry.info("build").set({"version": "1"})
    first = prometheus.render(registry)
    assert prometheus.render(registry) == first
    registry.info("build").set({"version": "2"})
    assert prometheus.render(registry) == first.replace(b'"1"', b'"2"')


def test_a_child_that_was_removed_is_forgotten_and_may_come_back():
    registry = Registry()
    family = registry.counters("hits", labels=("path",))
    for path in ("/a", "/b"):
        family.labels(path).inc()
    page = prometheus.render(registry)
    family.remove("/a")
    assert b"/a" not in prometheus.render(registry)
    family.labels("/a").inc(5)
    assert b'hits_total{path="/a"} 5' in prometheus.render(registry)
    assert b'hits_total{path="/b"} 1' in page


def test_what_is_kept_of_a_family_is_bounded_by_its_children():
    registry = Registry()
    family = registry.counters("hits", labels=("path",))
    for number in range(300):
        family.labels(str(number)).inc()
        prometheus.render(registry)
        if number:
            family.remove(str(number - 1))
    prometheus.render(registry)
    (shown,) = layout(registry, "hits").families(family.labels("299").snapshot())
    assert len(shown._texts) <= 2
    assert len(shown._columns) <= 1
