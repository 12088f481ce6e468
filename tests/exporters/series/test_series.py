"""A registry is a stream of series, each with a name and labels of its own."""

from metrics import Registry
from metrics.exporters._series.series import key_of, labels_text, read_series, split_points


def test_the_key_of_a_child_has_its_labels():
    registry = Registry("geth")
    registry.counters("hits", labels=("method", "status")).labels("GET", 200)
    (one,) = read_series(registry, "")
    assert labels_text(one.labels) == '{method="GET",status="200"}'
    assert key_of(one) == 'geth/hits{method="GET",status="200"}'


def test_the_key_of_an_instrument_without_labels_is_its_name():
    registry = Registry()
    registry.counter("hits")
    (one,) = read_series(registry, "")
    assert (labels_text(one.labels), key_of(one)) == ("", "hits")


def test_info_labels_become_labels_of_a_number_and_a_clashing_one_is_renamed():
    registry = Registry()
    registry.info("build").set({"version": "1.2"})
    [one] = read_series(registry, "")
    [number] = split_points([one])
    assert number.labels == (("version", "1.2"),)
    assert number.snapshot.scalar == 1
    labelled = one._replace(labels=(("version", "9"), ("x", "y")))
    [number] = split_points([labelled])
    assert dict(number.labels) == {"version": "9", "x": "y", "version_": "1.2"}


def test_series_come_by_name_and_then_by_labels():
    registry = Registry()
    hits = registry.counters("b", labels=("shop",))
    hits.labels("z").inc()
    hits.labels("a").inc()
    registry.gauge("a")
    found = [(one.name, one.labels) for one in read_series(registry, "")]
    assert found == [("a", ()), ("b", (("shop", "a"),)), ("b", (("shop", "z"),))]


def test_durations_are_known_for_what_they_are_in_families_too():
    registry = Registry()
    registry.timer("a", sampled=True)
    registry.resetting_timers("b", labels=("shop",)).labels("x")
    registry.histogram("c", unit="seconds")
    found = [(one.name, one.is_timer, one.resets) for one in read_series(registry, "")]
    assert found == [("a", True, False), ("b", True, True), ("c", False, False)]
