"""Short cuts make an instrument, or a family, once, and refuse one of another type."""

import pytest

from metrics import (
    BucketHistogram,
    Family,
    FamilySnapshot,
    Healthcheck,
    Info,
    MetricTypeError,
    Registry,
    Ticker,
    UniformReservoir,
)
from metrics.registry._inner import store_of
from metrics.testing import ManualClock
from tests.registry.makers import MAKERS, make


@pytest.mark.parametrize("maker", MAKERS)
def test_a_short_cut_makes_an_instrument_once(maker: str):
    registry = Registry()
    made = make(registry, maker)
    assert type(made) is MAKERS[maker]
    assert make(registry, maker) is made
    assert registry.get("x") is made


@pytest.mark.parametrize("maker", MAKERS)
def test_a_short_cut_with_labels_makes_a_family_once(maker: str):
    registry = Registry()
    family = make(registry, maker, labels=["method", "status"], max_children=1)
    kind = BucketHistogram if maker == "histogram" else MAKERS[maker]
    assert type(family) is Family
    assert family.kind is kind
    assert family.labelnames == ("method", "status")
    assert make(registry, maker, labels=("method", "status")) is family
    child = family.labels("GET", "200")
    assert type(child) is kind
    assert family.labels("PUT", "200") is family.labels("GET", "404")
    assert isinstance(registry.snapshot()["x"], FamilySnapshot)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("labels", [None, ("a",)])
def test_a_short_cut_refuses_a_name_of_another_type(maker: str, labels):
    registry = Registry()
    registry.info("x")
    with pytest.raises(MetricTypeError, match=r"^name 'x' is already an Info; asked for an? "):
        make(registry, maker, labels=labels)


def test_the_other_two_short_cuts():
    registry = Registry()
    info = registry.info("info", description="Facts.")
    check = registry.healthcheck("check", lambda: None)
    assert type(info) is Info
    assert type(check) is Healthcheck
    assert registry.info("info") is info
    assert registry.healthcheck("check", lambda: False) is check
    assert [entry.description for entry in store_of(registry).entries()] == ["", "Facts."]
    with pytest.raises(MetricTypeError):
        registry.info("check")
    with pytest.raises(MetricTypeError):
        registry.healthcheck("info", lambda: None)


def test_type_errors_say_what_is_there_and_what_was_asked_for():
    registry = Registry("app")
    registry.counter("plain")
    registry.counters("family", labels=("method",))
    for use, message in [
        (lambda: registry.gauge("plain"), "already a Counter; asked for a Gauge"),
        (lambda: registry.int_gauge("plain"), "already a Counter; asked for an IntGauge"),
        (
            lambda: registry.counters("plain", labels=("a",)),
            "already a Counter; asked for a Family of Counter",
        ),
    ]:
        with pytest.raises(MetricTypeError) as raised:
            use()
        assert str(raised.value) == f"name 'app/plain' is {message}"
    for use, message in [
        (lambda: registry.counter("family"), "is already a Family of Counter; asked for a Counter"),
        (
            lambda: registry.gauges("family", labels=("method",)),
            "is already a Family of Counter; asked for a Family of Gauge",
        ),
        (
            lambda: registry.counters("family", labels=("a", "b")),
            "already has the labels ('method',); asked for ('a', 'b')",
        ),
    ]:
        with pytest.raises(MetricTypeError) as raised:
            use()
        assert str(raised.value) == f"name 'app/family' {message}"


def test_malformed_labels_and_options_leave_nothing_registered():
    registry = Registry()
    with pytest.raises(ValueError, match="one or more different label names"):
        registry.counters("x", labels=())
    with pytest.raises(ValueError, match="reserved"):
        registry.counters("x", labels=("le",))
    with pytest.raises(TypeError, match="did you mean"):
        registry.counters("x", labels="method")
    with pytest.raises(ValueError, match="max_children"):
        registry.counters("x", labels=("a",), max_children=0)
    with pytest.raises(ValueError):
        registry.bucket_histogram("x", bounds=(2.0, 1.0))
    assert len(registry) == 0


def test_options_reach_the_instrument():
    registry = Registry()
    assert registry.gauge("g", function=lambda: 2.5).value == 2.5
    assert registry.int_gauge("i", function=lambda: 7).value == 7
    reservoir = UniformReservoir(4)
    registry.histogram("h", reservoir=reservoir).update(1.0)
    assert reservoir.count == 1
    buckets = BucketHistogram((1.0,))
    registry.timer("t", histogram=buckets).update(0.5)
    assert buckets.count == 1
    plain = registry.bucket_histogram("b", bounds=iter((1.0, 2.0)))
    labelled = registry.bucket_histograms("l", bounds=iter((1.0, 2.0)), labels=("a",))
    plain.update(1.5)
    for value in "xy":
        labelled.labels(value).update(1.5)
        assert labelled.labels(value).snapshot() == plain.snapshot()


def test_the_clock_and_the_tickers_interval_reach_the_instruments():
    clock = ManualClock()
    registry = Registry(ticker=Ticker(2.0), clock=clock)
    meter = registry.meter("m")
    labelled = registry.child("c").meters("m", labels=("a",)).labels("x")
    timers = [
        registry.timer("t"),
        registry.resetting_timer("r"),
        registry.timers("f", labels=("a",)).labels("x"),
    ]
    for each in (meter, labelled):
        each.mark(10)
    clock.advance(4.0)
    for each in (meter, labelled):
        each.tick()
        assert (each.snapshot().rate_mean, each.snapshot().rate1) == (2.5, 5.0)
    for timer in timers:
        with timer.time():
            clock.advance(1.5)
    assert [values["max"] for values in map(registry.to_dict().get, "tr")] == [1.5, 1.5]
    assert timers[2].snapshot().sum == 1.5
