"""Samples are those of the text page."""

from prometheus_client.parser import text_string_to_metric_families

from metrics import (
    FamilySnapshot,
    Gauge,
    GaugeSnapshot,
    Histogram,
    HistogramSnapshot,
    Registry,
)
from metrics.exporters import prometheus
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
