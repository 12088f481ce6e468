"""Prometheus' own parser and promtool accept every page and read back what was recorded."""

import os
import re
import shutil
import subprocess
from functools import partial

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from metrics import (
    CounterSnapshot,
    Registry,
    StateSet,
)
from metrics.exporters import openmetrics, prometheus
from tests.exporters.everything import everything
from tests.exporters.page_reading import Custom, page, samples


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


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
def test_the_target_comes_first_and_once(exporter):
    registry = Registry(labels={"zone": "eu"})
    registry.counter("a").inc()
    page = exporter.render(registry, target={"version": "1.2", "env": 'a"b'}).decode()
    lines = page.splitlines()
    assert lines[2] == 'target_info{env="a\\"b",version="1.2"} 1'
    assert page.count("target_info{") == 1
    assert 'a_total{zone="eu"} 1' in lines
    assert b"target" not in exporter.render(registry)
    assert b"target" not in exporter.render(registry, target={})


def test_the_target_is_a_gauge_or_an_info_named_target():
    target = {"version": "1.2"}
    text = prometheus.render(Registry(), target=target).decode()
    assert text.splitlines()[1] == "# TYPE target_info gauge"
    text = openmetrics.render(Registry(), target=target).decode()
    assert text == (
        '# HELP target Target metadata\n# TYPE target info\ntarget_info{version="1.2"} 1\n# EOF\n'
    )
    (family,) = openmetrics_families(text)
    assert (family.name, family.type) == ("target", "info")


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
def test_an_instrument_named_like_the_target_is_left_out_beside_it(exporter, caplog):
    registry = Registry()
    registry.info("target").set({"version": "9"})
    registry.gauge("other").set(1)
    assert b'target_info{version="9"}' in exporter.render(registry)
    page = exporter.render(registry, target={"version": "1"})
    assert page.count(b"target_info{") == 1
    assert b'target_info{version="1"} 1' in page
    assert b"\nother 1.0\n" in page
    assert "'target' is left out" in caplog.text


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
@pytest.mark.parametrize(
    ("names", "expected"), [(["target_info"], True), (["target"], True), (["a"], False)]
)
def test_the_target_is_requested_by_its_names(exporter, names, expected):
    page = exporter.render(Registry(), target={"version": "1"}, names=names)
    assert (b"target_info{" in page) is expected


def without_constant_label(page: bytes) -> list[str]:
    lines = [line for line in page.decode().splitlines() if line and line[0] != "#"]
    return [line for line in lines if not re.search(r'[{ ,]zone="eu"[,}]', line)]


@pytest.mark.parametrize(
    "render",
    [
        prometheus.render,
        openmetrics.render,
        partial(openmetrics.render, created=True),
        partial(prometheus.render, dialect="go-ethereum"),
        partial(prometheus.render, window=60.0),
    ],
)
def test_constant_labels_are_on_every_sample(render):
    registry = Registry(labels={"zone": "eu"})
    registry.meter("seen").mark()
    registry.timer("call", sampled=True).update(1.0)
    registry.timers("served", labels=("shop",)).labels("a").update(1.0)
    registry.resetting_timer("pause").update(1.0)
    registry.info("build").set({"zone": "us", "zone_": "asia"})
    registry.register("mode", StateSet(("on", "off")))
    registry.healthcheck("db", lambda: None)
    registry.run_healthchecks()
    page = render(registry)
    assert len(page.splitlines()) > 30
    assert without_constant_label(page) == []
    # The label of an info gives way to the constant one.
    assert re.search(rb'build(_info)? ?\{zone="eu", ?zone_="us", ?zone__="asia"\} 1\n', page)


def test_a_label_of_a_family_cannot_be_a_constant_one():
    registry = Registry(labels={"zone": "eu"})
    with pytest.raises(ValueError, match="constant labels"):
        registry.counters("hits", labels=("zone",))
