"""Names, types and units on a page of Prometheus."""

import pytest

from metrics import Registry, ResettingTimer, Timer
from tests.exporters.everything import everything
from tests.exporters.page_reading import kinds, page, samples


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
