"""A page has each name once, and what is kept of an instrument goes with it."""

import logging
from collections.abc import Callable

import pytest

from metrics import (
    Counter,
    CounterSnapshot,
    Family,
    FloatCounter,
    GaugeSnapshot,
    HistogramSnapshot,
    Registry,
)
from metrics.exporters import openmetrics, prometheus
from metrics.exporters._exposition.page import CHUNK, SLICE
from metrics.testing import ManualClock
from tests.exporters.examples import everything
from tests.exporters.page_reading import Custom, page, samples


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
        ("y_count", ()): 3,
        ("y_", ()): 1,
    }
    assert "'y' is left out: 'y_count' is the name of 'y_count' already" in caplog.text


def test_of_two_custom_instruments_under_one_name_the_first_is_on_the_page(caplog):
    registry = Registry()
    registry.register("z.count", Custom(GaugeSnapshot(2.0)))
    registry.register("z", Custom(HistogramSnapshot(1, 2.0, [2.0])))
    with caplog.at_level(logging.WARNING):
        values = samples(registry)
    assert values["z_count", ()] == 1
    assert "'z.count' is left out: 'z_count' is the name of 'z' already" in caplog.text


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


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
def test_however_many_children_a_family_has_a_chunk_is_of_a_bounded_size(exporter):
    registry = Registry()
    registry.counter("before").inc()
    hits = registry.counters("hits", labels=("shop",), max_children=5000)
    sizes = registry.bucket_histograms("sizes", labels=("shop",), bounds=range(20))
    for shop in range(5000):
        hits.labels(shop).inc()
    for shop in range(600):
        sizes.labels(shop).update(shop)
    chunks = list(exporter.stream(registry))
    assert b"".join(chunks) == exporter.render(registry)
    longest = max(map(len, exporter.render(registry).splitlines()))
    assert max(map(len, chunks)) < CHUNK + SLICE * 25 * longest
    assert all(chunk.endswith(b"\n") for chunk in chunks)


def of_the_kind(wanted: type, other: type) -> Callable[[], object]:
    """Return a factory of five instruments of one kind and, after them, of another one."""
    made = iter([wanted] * 5)

    def create() -> object:
        return next(made, other)()

    return create


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
@pytest.mark.parametrize("count", [5, 6, 600, 5000])
def test_children_of_another_kind_than_the_first_are_on_the_page_once(exporter, count):
    registry = Registry()
    registry.counter("before").inc(7)
    family = Family(
        Counter, ("shop",), factory=of_the_kind(Counter, FloatCounter), max_children=count
    )
    registry.register("hits", family)
    for shop in range(count):
        family.labels(shop).inc(2)
    registry.gauge("later").set(1)
    page = exporter.render(registry).decode()
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert len(lines) == len(set(lines)) == count + 2
    assert page.count("# TYPE hits") == 1
    assert lines[0] == "before_total 7"
    assert f'hits_total{{shop="{count - 1}"}} 2' in page


def test_a_family_without_children_has_no_lines():
    registry = Registry()
    registry.counters("hits", labels=("shop",))
    assert prometheus.render(registry) == b""


@pytest.mark.parametrize("labels", [(), ("shop",)])
def test_the_time_of_creation_follows_the_lines_of_each_child(labels):
    registry = Registry(clock=ManualClock(epoch=5))
    if labels:
        registry.counters("hits", labels=labels).labels("a").inc()
        registry.bucket_histograms("sizes", labels=labels, bounds=[1]).labels("a").update(1)
        registry.gauges("level", labels=labels).labels("a").set(1)
    else:
        registry.counter("hits").inc()
        registry.bucket_histogram("sizes", bounds=[1]).update(1)
        registry.gauge("level").set(1)
    names = [
        line.partition(" ")[0].partition("{")[0]
        for line in openmetrics.render(registry, created=True).decode().splitlines()
        if not line.startswith("#")
    ]
    assert names == [
        "hits_total",
        "hits_created",
        "level",
        "sizes_bucket",
        "sizes_bucket",
        "sizes_sum",
        "sizes_count",
        "sizes_created",
    ]


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
def test_a_target_leaves_the_other_families_as_they_are(exporter):
    plain = exporter.render(everything())
    assert exporter.render(everything(), target={"version": "1"}).endswith(plain)


def test_a_replaced_instrument_has_the_text_of_its_own():
    registry = Registry()
    for description in ("first", "second"):
        registry.register("x", Counter(), description=description)
        assert f"# HELP x_total {description}\n" in page(registry)
        registry.unregister("x")


def test_two_dialects_read_alternately_keep_their_own_texts():
    registry = everything()
    registry.unregister("pause")  # its values reset when read
    first = {exporter: exporter.render(registry) for exporter in (prometheus, openmetrics)}
    for exporter in (prometheus, openmetrics, openmetrics, prometheus):
        assert exporter.render(registry) == first[exporter]
