"""A page has each name once, and what is kept of an instrument goes with it."""

import logging

from metrics import CounterSnapshot, GaugeSnapshot, HistogramSnapshot, Registry
from metrics.exporters import prometheus
from metrics.exporters._exposition.page import CHUNK
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


def test_however_many_children_a_family_has_a_chunk_is_of_a_bounded_size():
    registry = Registry()
    hits = registry.counters("hits", labels=("shop",))
    for shop in range(3 * CHUNK):
        hits.labels(shop).inc()
    chunks = list(prometheus.stream(registry))
    assert b"".join(chunks) == prometheus.render(registry)
    assert [chunk.count(b"hits_total{") for chunk in chunks] == [CHUNK - 1, CHUNK, CHUNK, 1]
