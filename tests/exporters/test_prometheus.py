"""Prometheus' own parser and promtool accept every page and read back what was recorded."""

import os
import shutil
import subprocess
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metrics import (
    Counter,
    CounterSnapshot,
    Registry,
)
from metrics.exporters import openmetrics, prometheus
from tests.exporters.everything import everything
from tests.exporters.page_reading import Custom, page, samples


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


def test_a_stream_is_the_page_in_pieces_that_end_with_a_line():
    registry = Registry()
    family = registry.counters("hits", labels=("path",))
    for number in range(2000):
        family.labels(str(number)).inc(number)
    chunks = list(prometheus.stream(registry))
    assert b"".join(chunks) == prometheus.render(registry)
    assert len(chunks) > 5
    assert all(chunk.endswith(b"\n") for chunk in chunks)
    assert max(map(len, chunks)) < 65536


def test_a_stream_reads_as_it_goes():
    registry = Registry()
    family = registry.counters("a", labels=("path",))
    for number in range(1000):
        family.labels(str(number))
    counter = registry.counter("b")
    chunks = prometheus.stream(registry)
    next(chunks)
    counter.inc(7)
    assert b"".join(chunks).endswith(b"b_total 7\n")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dialect": "geth"}, ValueError, "'geth': use one of prometheus, go-ethereum"),
        ({"names": "x_total"}, TypeError, r"such as \('x_total',\)"),
        ({"names": [5]}, TypeError, r"invalid name 5 \(int\): use a str"),
    ],
)
def test_wrong_options_are_errors_before_anything_is_read(options, error, message):
    with pytest.raises(error, match=message):
        prometheus.stream(Registry(), **options)


@pytest.mark.parametrize(
    ("asked", "exposed"),
    [
        (["x_total"], {"x_total"}),
        (["x"], set()),
        (["x_total", "nothing"], {"x_total"}),
        (["pause_seconds_count"], {"pause_seconds", "pause_seconds_count", "pause_seconds_sum"}),
        (["x_per_second", "load_ratio"], {"x_per_second", "load_ratio"}),
        (["nothing"], set()),
        (["own_total"], {"own_total"}),
    ],
)
def test_only_the_families_asked_for_are_on_the_page(asked, exposed):
    registry = Registry()
    registry.meter("x")
    registry.resetting_timer("pause").update(1.0)
    registry.gauge("load", unit="percent")
    registry.register("own", Custom(CounterSnapshot(1)))
    page = prometheus.render(registry, names=asked).decode()
    found = {s.name for f in text_string_to_metric_families(page) for s in f.samples}
    assert found == exposed


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
def test_what_is_not_asked_for_is_not_read(exporter):
    registry = Registry()
    pause = registry.resetting_timer("pause")
    pause.update(1.0)
    registry.resetting_timers("waits", labels=("x",)).labels("1").update(1.0)
    registry.counter("x")
    for name in ("x_total", "pause", "pause_per_second", "wait_seconds"):
        exporter.render(registry, names=[name], reader="r")
    page = exporter.render(registry, reader="r")
    assert b'pause_seconds{quantile="0.5"} 1.0' in page
    assert b'waits_seconds{x="1",quantile="0.5"} 1.0' in page


def test_one_gauge_that_raises_does_not_fail_the_page(caplog):
    registry = Registry()
    registry.gauge("bad", function=lambda: 1 / 0)
    registry.register("good", Counter())
    assert samples(registry) == {("good_total", ()): 0}
    assert "'bad' cannot be read" in caplog.text


def test_pages_are_whole_while_children_come_and_go():
    registry = Registry()
    family = registry.counters("hits", labels=("path",))
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
