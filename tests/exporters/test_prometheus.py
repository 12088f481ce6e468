"""Prometheus' own parser and promtool accept every page and read back what was recorded."""

import logging
import math
import os
import shutil
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from metrics import BucketHistogram, Counter, Healthcheck, Registry, ResettingTimer, Timer
from metrics.exporters import prometheus
from tests.fakes import FakeClock


def page(registry: Registry) -> str:
    return prometheus.render(registry).decode()


def samples(registry: Registry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page(registry))
        for sample in family.samples
    }


def kinds(registry: Registry) -> dict[str, str]:
    return {family.name: family.type for family in text_string_to_metric_families(page(registry))}


def everything() -> Registry:
    registry = Registry(clock=FakeClock())
    registry.counter("rpc/requests").inc(3)
    registry.float_counter("cpu", unit="seconds").inc(1.5)
    registry.updown_counter("in-flight").dec()
    registry.gauge("temperature", unit="celsius").set(-3.25)
    registry.int_gauge("height").set(2**70)
    registry.info("build").set({"version": "1.2", "commit": 'a"b\\c\nd'})
    registry.meter("blocks").mark(5)
    registry.histogram("size", unit="bytes").update(10)
    registry.bucket_histogram("wait", bounds=(0.5, 1), unit="milliseconds").update(0.75)
    registry.timer("call").update(0.25)
    registry.resetting_timer("pause").update(0.5)
    registry.healthcheck("db", lambda: None)
    registry.counter("hits", labels=("method", "path")).labels("GET", '/"\\\n').inc()
    registry.timer("served", labels=("method",)).labels("GET").update(0.02)
    registry.histogram("sent", labels=("method",), unit="bytes").labels("GET").update(2)
    registry.meter("seen", labels=("method",)).labels("GET").mark()
    return registry


def test_a_registry_with_nothing_in_it_is_an_empty_page():
    assert prometheus.render(Registry()) == b""
    assert prometheus.render(Registry(enabled=False)) == b""


def test_a_counter_has_help_type_and_total():
    registry = Registry("geth")
    registry.counter("rpc/requests", description="Requests\nserved \\ seen").inc(3)
    assert page(registry) == (
        "# HELP geth_rpc_requests_total Requests served \\\\ seen\n"
        "# TYPE geth_rpc_requests_total counter\n"
        "geth_rpc_requests_total 3\n"
    )


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


def test_the_values_read_back_are_those_recorded():
    values = samples(everything())
    for (name, *labels), value in {
        ("rpc_requests_total",): 3,
        ("cpu_seconds_total",): 1.5,
        ("in_flight",): -1,
        ("temperature_celsius",): -3.25,
        ("height",): 2.0**70,
        ("build_info", ("commit", 'a"b\\c\nd'), ("version", "1.2")): 1,
        ("blocks_per_second", ("window", "1m")): 0,
        ("size_bytes", ("quantile", "0.5")): 10,
        ("size_bytes_sum",): 10,
        ("size_bytes_count",): 1,
        ("wait_seconds_bucket", ("le", "0.0005")): 0,
        ("wait_seconds_bucket", ("le", "0.001")): 1,
        ("wait_seconds_bucket", ("le", "+Inf")): 1,
        ("wait_seconds_sum",): 0.00075,
        ("call_seconds_sum",): 0.25,
        ("db_healthy",): 1,
        ("hits_total", ("method", "GET"), ("path", '/"\\\n')): 1,
        ("served_seconds_count", ("method", "GET")): 1,
        ("seen_total", ("method", "GET")): 1,
    }.items():
        assert values[name, tuple(labels)] == value, name


@pytest.mark.skipif(
    not shutil.which("promtool") and not os.environ.get("CI"), reason="promtool is not installed"
)
def test_promtool_has_nothing_to_say():
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=prometheus.render(everything()),
        capture_output=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, b"")


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
    ("value", "text"), [(math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (1e22, "1e+22")]
)
def test_numbers_are_written_as_the_format_has_them(value, text):
    registry = Registry()
    registry.gauge("x").set(value)
    assert page(registry).endswith(f"\nx {text}\n")


def test_two_that_end_up_under_one_name_do_not_break_the_page(caplog):
    registry = Registry()
    registry.counter("x").inc(1)
    registry.gauge("x_total").set(2)
    registry.gauge("y_count").set(3)
    registry.timer("y", histogram=None)
    registry.bucket_histogram("y_too")
    registry.gauge("y_too_bucket").set(4)
    with caplog.at_level(logging.WARNING):
        values = samples(registry)
    assert values["x_total", ()] == 1
    assert values["y_count", ()] == 3
    assert ("y_too_bucket", ()) not in values
    assert "'x_total' is left out: 'x_total' is the name of 'x' already" in caplog.text


def test_an_unhealthy_check_is_0():
    registry = Registry()
    registry.register("db", Healthcheck(lambda: False))
    registry.run_healthchecks()
    assert samples(registry) == {("db_healthy", ()): 0}


def test_one_gauge_that_raises_does_not_fail_the_page(caplog):
    registry = Registry()
    registry.gauge("bad", function=lambda: 1 / 0)
    registry.register("good", Counter())
    assert samples(registry) == {("good_total", ()): 0}
    assert "'bad' cannot be read" in caplog.text


def test_the_buckets_of_a_timer_are_in_seconds():
    registry = Registry()
    registry.register("call", Timer(BucketHistogram((0.1, 1.0)))).update(0.5)
    assert samples(registry)["call_seconds_bucket", (("le", "1.0"),)] == 1


NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1)


@given(
    st.dictionaries(NAMES, st.floats(allow_nan=False)),
    st.dictionaries(st.text(), st.integers(0, 2**53)),
    st.text(),
)
def test_any_names_labels_and_values_read_back(gauges, counts, description):
    registry = Registry("p")
    family = registry.counter("family", labels=("label",), description=description)
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


def test_facts_whose_names_become_the_same_stay_apart():
    registry = Registry()
    registry.info("userinfo").set({"a.b": "1", "a/b": "2", "": "3", "__name__": "4"})
    assert samples(registry) == {
        ("userinfo_info", (("_", "3"), ("a_b", "1"), ("a_b_", "2"), ("name__", "4"))): 1
    }


def test_ints_beyond_a_float_are_infinite_and_do_not_fail_the_page():
    registry = Registry()
    registry.int_gauge("big").set(10**400)
    registry.int_gauge("small", unit="percent").set(-(10**400))
    assert samples(registry) == {("big", ()): math.inf, ("small_ratio", ()): -math.inf}


def test_half_a_surrogate_pair_does_not_fail_the_page():
    registry = Registry()
    registry.counter("x", labels=("a",)).labels("\ud800").inc()
    assert samples(registry) == {("x_total", (("a", "?"),)): 1}


def test_what_is_left_out_is_logged_once(caplog):
    registry = Registry()
    registry.counter("once")
    registry.gauge("once_total")
    for _ in range(3):
        page(registry)
    assert len(caplog.records) == 1


def test_a_page_is_the_same_when_its_text_was_kept():
    registry = Registry()
    family = registry.bucket_histogram("sizes", bounds=[1, 2], labels=("method",))
    family.labels("GET").update(1.5)
    registry.info("build").set({"version": "1"})
    first = prometheus.render(registry)
    assert prometheus.render(registry) == first
    registry.info("build").set({"version": "2"})
    assert prometheus.render(registry) == first.replace(b'"1"', b'"2"')


def test_a_child_that_was_removed_is_forgotten_and_may_come_back():
    registry = Registry()
    family = registry.counter("hits", labels=("path",))
    for path in ("/a", "/b"):
        family.labels(path).inc()
    page = prometheus.render(registry)
    family.remove("/a")
    assert b"/a" not in prometheus.render(registry)
    family.labels("/a").inc(5)
    assert b'hits_total{path="/a"} 5' in prometheus.render(registry)
    assert b'hits_total{path="/b"} 1' in page


def test_another_instrument_under_the_name_of_one_before_has_its_own_text():
    registry = Registry()
    registry.counter("x", description="first")
    assert b"# TYPE x_total counter" in prometheus.render(registry)
    registry.unregister("x")
    registry.gauge("x", description="second")
    page = prometheus.render(registry)
    assert b"# HELP x second" in page
    assert b"x_total" not in page


def test_what_is_kept_of_a_family_is_bounded_by_its_children():
    registry = Registry()
    family = registry.counter("hits", labels=("path",))
    for number in range(300):
        family.labels(str(number)).inc()
        prometheus.render(registry)
        if number:
            family.remove(str(number - 1))
    prometheus.render(registry)
    (entry,) = registry.entries()
    (form,) = entry.kept.forms(family.labels("299").snapshot())
    assert len(form._kept) <= 2


def test_pages_are_whole_while_children_come_and_go():
    registry = Registry()
    family = registry.counter("hits", labels=("path",))
    stop = threading.Event()

    def churn() -> None:
        number = 0
        while not stop.is_set():
            family.labels(str(number % 50)).inc()
            family.remove(str((number + 25) % 50))
            number += 1

    worker = threading.Thread(target=churn)
    worker.start()
    try:
        for _ in range(200):
            page = prometheus.render(registry).decode()
            assert len(page.splitlines()) == len(set(page.splitlines()))
            list(text_string_to_metric_families(page))
    finally:
        stop.set()
        worker.join(10)
