"""Samples are those of the text page, and both are whole while instruments are updated."""

import gc
import threading
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metrics import (
    FamilySnapshot,
    Gauge,
    GaugeSnapshot,
    Histogram,
    HistogramSnapshot,
    Registry,
)
from metrics.exporters import openmetrics, prometheus
from metrics.exporters._exposition.reading import read_samples
from tests.exporters.examples import everything
from tests.exporters.page_reading import Custom, page


def read(registry: Registry) -> list[tuple[str, dict[str, str], float]]:
    found = read_samples(registry, "samples")
    return [(one.name, dict(one.labels), float(one.value)) for _, one in found]


def test_names_labels_and_values_are_those_of_the_page():
    text = prometheus.render(everything()).decode()
    expected = [
        (sample.name, sample.labels, float(sample.value))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]
    assert sorted(read(everything()), key=str) == sorted(expected, key=str)


def test_what_is_kept_between_two_looks_follows_the_children():
    registry = Registry()
    hits = registry.counters("hits", labels=("shop",))
    hits.labels("a").inc()
    assert read(registry) == [("hits_total", {"shop": "a"}, 1.0)]
    hits.remove("a")
    hits.labels("b").inc(2)
    assert read(registry) == [("hits_total", {"shop": "b"}, 2.0)]
    registry.unregister("hits")
    registry.counters("hits", labels=("zone",)).labels("c").inc(3)
    assert read(registry) == [("hits_total", {"zone": "c"}, 3.0)]


def test_an_instrument_that_cannot_be_read_is_left_out():
    registry = Registry()
    registry.gauge("broken", function=lambda: 1 / 0)
    registry.gauge("whole").set(1)
    assert read(registry) == [("whole", {}, 1.0)]


def test_what_is_left_out_takes_no_name():
    registry = Registry()
    sizes = Histogram()
    sizes.update(3)
    registry.register("a-b_count", Custom(Gauge().snapshot()))
    registry.register("a.b", Custom(sizes.snapshot()))
    registry.register("a_b_sum", Custom(Gauge().snapshot()))
    assert [name for name, _, _ in read(registry)] == ["a_b_count", "a_b_sum"]
    assert "\na_b_sum 0" in page(registry)


def test_of_children_of_two_types_that_share_a_name_the_first_are_kept():
    registry = Registry()
    children = {("a",): GaugeSnapshot(1.0), ("b",): HistogramSnapshot(1, 2.0, [2.0])}
    registry.register("mixed", Custom(FamilySnapshot(("shop",), children, 0)))
    assert read(registry) == [("mixed", {"shop": "a"}, 1.0)]
    assert [line for line in page(registry).splitlines() if line[0] != "#"] == [
        'mixed{shop="a"} 1.0'
    ]


def assert_whole(text: str) -> None:
    """Assert that sum, count and buckets of each histogram of a page agree; all values are 1."""
    numbers = {
        line.split(" ")[0]: float(line.split(" ")[1])
        for line in text.splitlines()
        if not line.startswith("#")
    }
    totals = [name for name in numbers if "_count" in name]
    assert len(totals) == 3
    for total in totals:
        assert numbers[total.replace("_count", "_sum")] == numbers[total]
        stem, braces, labels = total.partition("_count")[0], "{", total.partition("{")[2]
        begin = f"{stem}_bucket{braces}{labels.removesuffix('}')}{',' if labels else ''}"
        buckets = [value for name, value in numbers.items() if name.startswith(begin)]
        assert buckets == [0.0, numbers[total], numbers[total]]


def updated_histograms(registry: Registry) -> Callable[[], None]:
    """Return an update of three histograms: alone, of a family and of a family's only child."""
    alone = registry.bucket_histogram("alone", bounds=(0.5, 1))
    family = registry.bucket_histograms("family", labels=("shop",), bounds=(0.5, 1))
    first, second = family.labels("a"), family.labels("b")

    def update() -> None:
        alone.update(1.0)
        first.update(1.0)
        second.update(1.0)

    return update


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
def test_pages_during_updates_from_four_threads_are_whole(exporter, eager_switching):
    registry = Registry()
    update, over = updated_histograms(registry), threading.Event()

    def work() -> None:
        while not over.is_set():
            update()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            assert_whole(exporter.render(registry).decode())
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("exporter", [prometheus, openmetrics])
def test_pages_are_whole_when_the_garbage_collector_runs_updates(exporter):
    registry = Registry()
    update = updated_histograms(registry)
    threshold = gc.get_threshold()

    def collected(phase: str, _info: dict[str, int]) -> None:
        update()

    gc.callbacks.append(collected)
    gc.set_threshold(1)
    try:
        for _ in range(50):
            assert_whole(exporter.render(registry).decode())
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(collected)
