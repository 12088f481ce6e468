"""prometheus_client's parser, which is strict, accepts every page and reads back what is there."""

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from metrics import (
    BucketHistogram,
    Counter,
    CounterSnapshot,
    Family,
    FloatCounter,
    Histogram,
    Meter,
    Registry,
    ResettingTimer,
    Timer,
)
from metrics._units import SCALES
from metrics.exporters import openmetrics, prometheus
from metrics.testing import ManualClock
from tests.exporters.everything import everything

START = 1_700_000_000.0


def page(registry: Registry, **options) -> str:
    return openmetrics.render(registry, **options).decode()


def samples(registry: Registry, **options) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page(registry, **options))
        for sample in family.samples
    }


def test_a_counter_has_its_suffix_on_samples_only():
    registry = Registry(clock=ManualClock())
    registry.counter("sent", unit="bytes", description='Sent "quickly" \\ seen').inc(3)
    assert page(registry, created=True) == (
        '# HELP sent_bytes Sent \\"quickly\\" \\\\ seen\n'
        "# TYPE sent_bytes counter\n"
        "# UNIT sent_bytes bytes\n"
        "sent_bytes_total 3\n"
        "sent_bytes_created 1700000000.0\n"
        "# EOF\n"
    )


def test_facts_are_of_type_info():
    registry = Registry()
    registry.info("build", description="Build.").set({"version": '1"2'})
    assert page(registry) == (
        '# HELP build Build.\n# TYPE build info\nbuild_info{version="1\\"2"} 1\n# EOF\n'
    )


@pytest.mark.parametrize("name", ["info", "_info", "total", "_total", "a/info", "a/total"])
def test_a_name_that_is_a_suffix_still_has_one(name: str):
    for make in ("info", "counter", "meter"):
        registry = Registry()
        getattr(registry, make)(name)
        assert samples(registry)


def test_every_family_has_its_type_and_its_unit_where_the_name_ends_in_it():
    families = {f.name: f for f in text_string_to_metric_families(page(everything()))}
    assert {name: (f.type, f.unit) for name, f in families.items()} == {
        "rpc_requests": ("counter", ""),
        "cpu_seconds": ("counter", "seconds"),
        "in_flight": ("gauge", ""),
        "temperature_celsius": ("gauge", "celsius"),
        "height": ("gauge", ""),
        "build": ("info", ""),
        "blocks": ("counter", ""),
        "blocks_per_second": ("gauge", ""),
        "size_bytes": ("summary", "bytes"),
        "wait_seconds": ("histogram", "seconds"),
        "call_seconds": ("summary", "seconds"),
        "call_per_second": ("gauge", ""),
        "pause_seconds": ("summary", "seconds"),
        "db_healthy": ("gauge", ""),
        "hits": ("counter", ""),
        "served_seconds": ("histogram", "seconds"),
        "served_per_second": ("gauge", ""),
        "sent_bytes": ("histogram", "bytes"),
        "seen": ("counter", ""),
        "seen_per_second": ("gauge", ""),
    }
    assert all(f.documentation for f in families.values())


def test_a_unit_without_an_underscore_before_it_is_not_declared():
    registry = Registry()
    registry.gauge("readbytes", unit="bytes")
    assert "# UNIT" not in page(registry)


def sample_lines(page: str) -> list[str]:
    return [line for line in page.splitlines() if line[0] != "#"]


def test_the_samples_are_those_of_the_text_format():
    registry = everything()
    text = prometheus.render(registry).decode()
    assert sorted(sample_lines(page(registry))) == sorted(sample_lines(text))


def test_times_of_creation_are_written_on_request_only():
    registry = everything()
    without = set(sample_lines(page(registry)))
    assert not [line for line in without if "_created" in line]
    times = set(sample_lines(page(registry, created=True))) - without
    assert times
    assert all("_created" in line for line in times)


def created(registry: Registry) -> dict[object, float]:
    found = {key: value - START for key, value in samples(registry, created=True).items()}
    found = {key: value for key, value in found.items() if "_created" in key[0]}
    return {key[1] or key[0]: value for key, value in found.items()}


def test_a_total_began_when_it_was_registered_until_it_is_cleared():
    clock = ManualClock()
    registry = Registry(clock=clock)
    clock.advance(1.0)
    counter = registry.counter("x")
    clock.advance(1.0)
    counter.inc(5)
    assert created(registry) == {"x_created": 1.0}
    clock.advance(1.0)
    counter.inc(5)
    assert created(registry) == {"x_created": 1.0}
    clock.advance(1.0)
    counter.clear()
    counter.inc(2)
    clock.advance(1.0)
    assert created(registry) == {"x_created": 4.0}
    clock.advance(1.0)
    assert created(registry) == {"x_created": 4.0}


CLEARABLE = {
    Counter: lambda counter: counter.inc(1),
    FloatCounter: lambda counter: counter.inc(0.5),
    Histogram: lambda histogram: histogram.update(1.5),
}


@pytest.mark.parametrize("kind", CLEARABLE)
@pytest.mark.parametrize("between_pages", [True, False])
def test_a_clear_is_seen_though_the_total_is_no_less_than_before(kind, between_pages):
    update = CLEARABLE[kind]
    clock = ManualClock()
    registry = Registry(clock=clock)
    alone = registry.register("x", kind())
    family = registry.register("y", Family(kind, ("a",), clock=clock))
    child, other = family.labels("1"), family.labels("2")
    for instrument in (alone, child, other):
        update(instrument)
    if between_pages:
        assert set(created(registry).values()) == {0.0}
    clock.advance(5.0)
    for instrument in (alone, child):
        instrument.clear()
        clock.advance(1.0)
        for _ in range(3):
            update(instrument)
    clock.advance(10.0)
    first, second, untouched = created(registry).values()
    assert (first, second, untouched) == (5.0, 6.0, 0.0)
    # Of several clears it is the last.
    child.clear()
    assert list(created(registry).values()) == [5.0, 17.0, 0.0]


def test_every_child_began_when_it_was_created_whenever_pages_are_read():
    clock = ManualClock()
    registry = Registry(clock=clock)
    family = registry.counters("x", labels=("a",))
    clock.advance(1.0)
    family.labels("1").inc()
    clock.advance(1.0)
    family.labels("2").inc()
    clock.advance(5.0)
    assert created(registry) == {(("a", "1"),): 1.0, (("a", "2"),): 2.0}
    family.remove("1")
    family.labels("3").inc()
    assert created(registry) == {(("a", "2"),): 2.0, (("a", "3"),): 7.0}
    clock.advance(1.0)
    # It counts further than the child before it had.
    family.labels("1").inc(5)
    clock.advance(1.0)
    assert created(registry) == {(("a", "2"),): 2.0, (("a", "3"),): 7.0, (("a", "1"),): 8.0}
    family.clear()
    family.labels("2").inc(9)
    assert created(registry) == {(("a", "2"),): 9.0}


@pytest.mark.parametrize(
    "kind",
    [
        Counter,
        FloatCounter,
        Meter,
        Histogram,
        partial(BucketHistogram, (1.0,)),
        Timer,
        lambda: Timer(Histogram()),
        ResettingTimer,
    ],
)
def test_children_of_every_cumulative_kind_have_their_own_time(kind):
    clock = ManualClock()
    registry = Registry(clock=clock)
    family = registry.register("x", Family(type(kind()), ("a",), kind, 2, clock=clock))
    for values in ("1", "2", "more"):
        clock.advance(1.0)
        family.labels(values)
    clock.advance(1.0)
    family.labels("still more")
    times = {key[0][1]: time for key, time in created(registry).items()}
    assert times == {"1": 1.0, "2": 2.0, "_overflow": 3.0}


def test_a_family_registered_later_and_twice_keeps_the_times_of_its_children():
    clock = ManualClock()
    family = Family(Counter, ("a",), clock=clock)
    clock.advance(1.0)
    family.labels("1").inc()
    clock.advance(1.0)
    first, second = Registry(clock=clock), Registry(clock=clock)
    first.register("x", family)
    clock.advance(1.0)
    second.register("x", family)
    assert created(first) == created(second) == {(("a", "1"),): 1.0}


def test_an_instrument_registered_twice_began_when_it_was_registered_first():
    clock = ManualClock()
    first, second = Registry(clock=clock), Registry(clock=clock)
    clock.advance(1.0)
    counter = first.counter("x")
    clock.advance(1.0)
    second.register("y", counter)
    assert created(second) == {"y_created": 1.0}
    counter.clear()
    assert created(first) == {"x_created": 2.0}
    assert created(second) == {"y_created": 2.0}


def test_an_instrument_of_a_program_began_when_it_was_registered():
    class Own:
        def snapshot(self, reader=""):
            return CounterSnapshot(7)

    clock = ManualClock()
    registry = Registry(clock=clock)
    clock.advance(3.0)
    registry.register("x", Own())
    registry.register("y", Family(Own, ("a",), clock=clock)).labels("1")
    assert created(registry) == {"x_created": 3.0, (("a", "1"),): 3.0}


def test_histograms_summaries_and_timers_have_their_beginning_too():
    registry = Registry(clock=ManualClock())
    registry.histogram("a")
    registry.bucket_histogram("b", (1.0,))
    registry.timer("c", sampled=True)
    registry.meter("d")
    registry.gauge("e")
    assert created(registry) == {
        "a_created": 0.0,
        "b_created": 0.0,
        "c_seconds_created": 0.0,
        "d_created": 0.0,
    }


def test_what_is_below_zero_and_has_no_place_is_left_out():
    registry = Registry(clock=ManualClock())
    registry.histogram("skew").update(-2.0)
    registry.bucket_histograms("offset", bounds=(-1, 1), labels=("x",)).labels(" -1").update(0.5)
    registry.bucket_histogram("drift", bounds=(1,)).update(-0.5)
    values = {key[0] for key in samples(registry) if "_created" not in key[0]}
    assert values == {"skew_count", "offset_bucket", "drift_bucket"}


def test_percentiles_above_zero_stay_beside_those_below():
    registry = Registry()
    histogram = registry.histogram("skew")
    for value in (-1.0, -1.0, 5.0, 5.0, 5.0):
        histogram.update(value)
    values = samples(registry)
    assert values["skew", (("quantile", "0.5"),)] == 5.0
    assert values["skew_sum", ()] == 13.0


def test_a_family_may_be_asked_for_by_its_own_name_and_by_a_samples():
    registry = Registry(clock=ManualClock())
    registry.counter("x")
    registry.gauge("y")
    for name in ("x", "x_total", "x_created"):
        text = openmetrics.render(registry, names=[name]).decode()
        (family,) = text_string_to_metric_families(text)
        assert [sample.name for sample in family.samples] == ["x_total"]
    assert openmetrics.render(registry, names=["z"]) == b"# EOF\n"


VALUES = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.text(),
    st.dictionaries(st.text(), st.integers(0, 2**53), max_size=5),
    st.lists(VALUES, max_size=5),
    st.lists(VALUES, min_size=1, max_size=4, unique=True).map(sorted),
    st.dictionaries(st.text(), st.text(), max_size=3),
    # A unit that is converted changes the numbers, and one that is called `total` the samples.
    st.text(st.characters(categories=("L", "P", "S")), max_size=8).filter(
        lambda unit: unit not in SCALES and not unit.endswith("total")
    ),
)
def test_every_page_is_valid_whatever_is_in_it(description, counts, values, bounds, facts, unit):
    registry = Registry()
    about = {"description": description, "unit": unit}
    family = registry.counters("family", labels=("label",), **about)
    for label, count in counts.items():
        family.labels(label).inc(count)
    sample = registry.histogram("sample", **about)
    buckets = registry.register("buckets", BucketHistogram(bounds), **about)
    resetting = registry.resetting_timer("resetting")
    for value in values:
        sample.update(value)
        buckets.update(value)
        resetting.update(abs(value))
    registry.gauge("gauge", **about).set(sum(values))
    registry.info("facts").set(facts)
    read = samples(registry)
    totals = {dict(k[1])["label"]: v for k, v in read.items() if k[0].endswith("_total")}
    assert totals == counts
    assert sum(key[0] == "facts_info" for key in read) == 1
