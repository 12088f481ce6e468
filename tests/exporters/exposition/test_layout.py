"""Names, types and units on a page of Prometheus."""

import logging

import pytest

from metrics import (
    CounterSnapshot,
    GaugeSnapshot,
    HistogramSnapshot,
    Registry,
    ResettingTimer,
    Timer,
)
from metrics.exporters import prometheus
from tests.exporters.everything import everything
from tests.exporters.page_reading import Custom, kinds, page, samples


def test_without_a_description_help_says_where_it_comes_from():
    registry = Registry()
    registry.meter("a/b")
    assert "# HELP a_b_total a/b (Meter)\n" in page(registry)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("rpc_requests", "counter"),
        ("cpu_seconds", "counter"),
        ("in_flight", "gauge"),
        ("temperature_celsius", "gauge"),
        ("build_info", "gauge"),
        ("blocks", "counter"),
        ("blocks_per_second", "gauge"),
        ("size_bytes", "summary"),
        ("wait_seconds", "histogram"),
        ("call_seconds", "summary"),
        ("call_per_second", "gauge"),
        ("pause_seconds", "summary"),
        ("db_healthy", "gauge"),
        ("hits", "counter"),
        ("served_seconds", "histogram"),
        ("sent_bytes", "histogram"),
    ],
)
def test_every_instrument_has_its_type_and_base_unit(name, kind):
    assert kinds(everything())[name] == kind


def test_percent_becomes_a_ratio():
    registry = Registry()
    registry.gauge("load", unit="percent").set(50)
    assert samples(registry) == {("load_ratio", ()): 0.5}


def test_a_name_that_says_total_says_it_once_and_last():
    registry = Registry()
    registry.float_counter("cpu/total", unit="seconds")
    registry.info("python/info")
    registry.counter("readbytes", unit="bytes")
    assert {name for name, _ in samples(registry)} == {
        "cpu_seconds_total",
        "python_info",
        "readbytes_total",
    }


def test_a_custom_instrument_under_the_name_of_another_does_not_break_the_page(caplog):
    registry = Registry()
    registry.counter("x").inc(1)
    registry.register("x/more", Custom(CounterSnapshot(5)))
    registry.gauge("y_count").set(3)
    registry.register("y", Custom(HistogramSnapshot(1, 2.0, [2.0])))
    registry.register("y/", Custom(GaugeSnapshot(1.0)))
    with caplog.at_level(logging.WARNING):
        values = samples(registry)
    assert values == {
        ("x_total", ()): 1,
        ("x_more_total", ()): 5,
        ("y", (("quantile", "0.5"),)): 2,
        **{("y", (("quantile", q),)): 2 for q in ("0.75", "0.95", "0.99", "0.999", "0.9999")},
        ("y_sum", ()): 2,
        ("y_count", ()): 1,
        ("y_", ()): 1,
    }
    assert "'y_count' is left out: 'y_count' is the name of 'y' already" in caplog.text


@pytest.mark.parametrize(
    ("name", "unit", "exposed", "value"),
    [
        ("latency/milliseconds", "milliseconds", "latency_seconds", 0.25),
        ("latency", "milliseconds", "latency_seconds", 0.25),
        ("uptime", "minutes", "uptime_seconds", 15000.0),
        ("tilt", "°", "tilt", 250.0),
        ("size", "kibibytes", "size_bytes", 256000.0),
    ],
)
def test_name_and_value_are_in_the_same_unit(name, unit, exposed, value):
    registry = Registry()
    registry.gauge(name, unit=unit).set(250.0)
    assert samples(registry) == {(exposed, ()): value}


def test_scaled_bounds_are_rounded_once():
    registry = Registry()
    registry.bucket_histogram("wait", bounds=(9,), unit="milliseconds")
    assert 'wait_seconds_bucket{le="0.009"} 0' in page(registry)


def test_timers_are_in_seconds_however_they_were_registered():
    registry = Registry()
    registry.register("pause", ResettingTimer())
    registry.register("call_seconds", Timer())
    assert {"pause_seconds_count", "call_seconds_count", "call_per_second"} <= {
        name for name, _ in samples(registry)
    }


def test_what_is_left_out_is_logged_once(caplog):
    registry = Registry()
    registry.register("once", Custom(CounterSnapshot(1)))
    registry.gauge("once_total")
    for _ in range(3):
        page(registry)
    assert len(caplog.records) == 1


def test_another_instrument_under_the_name_of_one_before_has_its_own_text():
    registry = Registry()
    registry.counter("x", description="first")
    assert b"# TYPE x_total counter" in prometheus.render(registry)
    registry.unregister("x")
    registry.gauge("x", description="second")
    page = prometheus.render(registry)
    assert b"# HELP x second" in page
    assert b"x_total" not in page
