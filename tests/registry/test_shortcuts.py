"""Shortcuts create an instrument or a family once, and refuse one of another type."""

import inspect
import typing

import pytest

from metrics import (
    BucketHistogram,
    BucketHistogramSnapshot,
    Counter,
    Family,
    FamilySnapshot,
    Healthcheck,
    Histogram,
    HistogramSnapshot,
    Info,
    Meter,
    MetricTypeError,
    Registry,
    ResettingTimer,
    StateSet,
    SystemClock,
    Ticker,
    Timer,
    UniformReservoir,
    resources,
)
from metrics.instruments._buckets import DURATION_BOUNDS
from metrics.registry._inner import KINDS, Shortcuts, store_of
from metrics.testing import ManualClock
from tests.registry.makers import ALL, PLURAL, SINGULAR, make


def test_every_kind_has_a_singular_and_a_plural():
    assert set(SINGULAR.values()) == KINDS.keys()
    assert len(SINGULAR) == len(KINDS)
    methods = {name for name, _ in inspect.getmembers(Shortcuts, inspect.isfunction)}
    assert {n for n in methods if n[0] != "_"} == {*ALL, "family", "register"}


@pytest.mark.parametrize("shortcut", SINGULAR)
def test_the_arguments_of_a_plural_are_those_of_the_singular_and_labels_after_the_name(shortcut):
    one = inspect.signature(getattr(Shortcuts, shortcut)).parameters
    many = inspect.signature(getattr(Shortcuts, f"{shortcut}s")).parameters
    assert list(many)[:3] == ["self", "name", "labels"]
    assert list(many)[-1] == "options"
    own = set(many) - {"self", "name", "labels", "options"}
    # `function` (and the limit of its run) is that of one instrument; the rest is in the options.
    assert set(one) - own == {"self", "name"} | (
        set(one) & {"description", "unit", "ticker", "function", "timeout"}
    )
    assert own <= set(one)


@pytest.mark.parametrize("shortcut", [*ALL, "family"])
def test_every_shortcut_has_a_hook_with_the_same_arguments_after_the_registry(shortcut: str):
    _, *expected = inspect.signature(getattr(Shortcuts, shortcut)).parameters.values()
    registry, *found = inspect.signature(getattr(resources, shortcut)).parameters.values()
    if expected[-1].name == "options":
        options = typing.get_type_hints(typing.get_args(expected.pop().annotation)[0])
        expected += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=..., annotation=kind)
            for name, kind in options.items()
        ]
    assert registry.name == "registry"
    assert found == expected


@pytest.mark.parametrize("shortcut", SINGULAR)
def test_a_singular_shortcut_creates_an_instrument_once(shortcut: str):
    registry = Registry()
    made = make(registry, shortcut)
    assert type(made) is SINGULAR[shortcut]
    assert make(registry, shortcut) is made
    assert registry.get("x") is made


@pytest.mark.parametrize("shortcut", SINGULAR)
def test_a_singular_shortcut_takes_no_labels(shortcut: str):
    registry = Registry()
    with pytest.raises(TypeError, match="labels"):
        make(registry, shortcut, labels=("a",))
    assert len(registry) == 0


@pytest.mark.parametrize("shortcut", PLURAL)
def test_a_plural_shortcut_creates_a_family_once(shortcut: str):
    registry = Registry()
    family = make(registry, shortcut, labels=["method", "status"], max_children=1)
    kind = PLURAL[shortcut]
    assert type(family) is Family
    assert family.kind is kind
    assert family.labelnames == ("method", "status")
    assert make(registry, shortcut, labels=("method", "status")) is family
    assert make(registry, shortcut, labels=iter(("method", "status"))) is family
    child = family.labels("GET", "200")
    assert type(child) is kind
    assert family.labels("PUT", "200") is family.labels("GET", "404")
    assert isinstance(registry.snapshot()["x"], FamilySnapshot)


@pytest.mark.parametrize("shortcut", PLURAL)
def test_a_child_has_the_type_of_snapshot_that_one_instrument_has(shortcut: str):
    registry = Registry()
    one = make(registry, shortcut.removesuffix("s"), "one").snapshot()
    child = make(registry, shortcut, "many").labels("x").snapshot()
    assert type(child) is type(one)
    assert type(child.distribution) is type(one.distribution)


@pytest.mark.parametrize("shortcut", [name for name in ALL if name != "info"])
def test_a_shortcut_refuses_a_name_of_another_type(shortcut: str):
    registry = Registry()
    registry.info("x")
    with pytest.raises(MetricTypeError, match=r"^name 'x' is already an Info; asked for an? "):
        make(registry, shortcut)


def test_info_and_health_checks_are_found_by_name_as_well():
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


def test_type_errors_name_the_existing_and_the_requested_type():
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
    with pytest.raises(ValueError, match="bounds are required for unit 'percent'"):
        registry.bucket_histograms("x", ("a",), unit="percent")
    with pytest.raises(ValueError, match="reserved"):
        registry.counters("x", labels=("le",))
    with pytest.raises(TypeError, match="did you mean"):
        registry.counters("x", labels="method")
    with pytest.raises(ValueError, match="max_children"):
        registry.counters("x", labels=("a",), max_children=0)
    with pytest.raises(TypeError, match="no_such_option"):
        registry.counters("x", labels=("a",), no_such_option=1)
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
    timer = registry.resetting_timer("r", size=2)
    child = registry.resetting_timers("rs", ("a",), size=2).labels("x")
    for each in (timer, child):
        for _ in range(9):
            each.update(1.0)
        snapshot = each.snapshot()
        assert snapshot.count == 9
        # The newest two at least, and twice as many at most.
        assert 2 <= len(snapshot.values) <= 4


def test_descriptions_and_units_of_families_are_kept():
    registry = Registry()
    registry.counters("c", ("a",), description=" Bytes\nsent. ", unit="bytes")
    registry.timers("t", ("a",), description="Time.")
    registry.family("u", Meter, ("a",), unit="bytes")
    assert [(e.description, e.unit) for e in store_of(registry).entries()] == [
        ("Bytes sent.", "bytes"),
        ("Time.", "seconds"),
        ("", "bytes"),
    ]


class Forms:
    """Timers of one registry, plain and labelled, with the same options."""

    def __init__(self, **options):
        registry = Registry()
        factory = options.get("histogram")
        one = options if factory is None else {**options, "histogram": factory()}
        self.timer = registry.timer("t", **one)
        family = registry.timers("ts", ("a",), **options)
        self.children = [family.labels("x"), family.labels("y")]

    @property
    def snapshots(self):
        for each in (self.timer, *self.children):
            each.update(0.5)
        return [each.snapshot().durations for each in (self.timer, *self.children)]


def test_timers_count_in_buckets_with_default_bounds():
    for snapshot in Forms().snapshots:
        assert isinstance(snapshot, BucketHistogramSnapshot)
        assert snapshot.bounds == DURATION_BOUNDS


@pytest.mark.parametrize("bounds", [(0.1, 1.0), [0.1, 1.0], iter((0.1, 1.0))])
def test_timers_count_in_buckets_with_bounds_of_their_own(bounds):
    # An iterator is used up by the first timer.
    bounds = tuple(bounds)
    for snapshot in Forms(bounds=bounds).snapshots:
        assert isinstance(snapshot, BucketHistogramSnapshot)
        assert (snapshot.bounds, snapshot.counts) == ((0.1, 1.0), (0, 1, 0))


def test_children_of_timers_share_bounds_from_an_iterator():
    family = Registry().timers("t", ("a",), bounds=iter((0.1, 1.0)))
    bounds = [family.labels(x).snapshot().durations.bounds for x in "xy"]
    assert bounds == [(0.1, 1.0)] * 2


def test_timers_sample_on_request():
    for snapshot in Forms(sampled=True).snapshots:
        assert isinstance(snapshot, HistogramSnapshot)
        assert snapshot.values == (0.5,)


def test_every_child_of_timers_has_a_histogram_of_its_own():
    for snapshot in Forms(histogram=lambda: Histogram(UniformReservoir(4))).snapshots:
        assert isinstance(snapshot, HistogramSnapshot)
        assert snapshot.count == 1


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    "options",
    [
        {"bounds": (1.0,), "sampled": True},
        {"histogram": BucketHistogram, "sampled": True},
        {"histogram": BucketHistogram, "bounds": (1.0,)},
        {"histogram": BucketHistogram, "bounds": (1.0,), "sampled": True},
    ],
)
def test_a_timer_takes_one_of_these_options(options, enabled):
    registry = Registry(enabled=enabled)
    for use in (
        lambda: registry.timer("x", **options),
        lambda: registry.timers("x", ("a",), **options),
    ):
        with pytest.raises(ValueError, match=r"only one of `histogram`, `bounds` and `sampled`"):
            use()
    assert len(registry) == 0


def test_histograms_create_a_reservoir_for_each_child():
    made = []

    def reservoir():
        made.append(UniformReservoir(4))
        return made[-1]

    family = Registry().histograms("h", ("a",), reservoir)
    family.labels("x").update(1.0)
    family.labels("y").update(2.0)
    assert [each.count for each in made] == [1, 1]


def test_a_family_of_any_kind_has_the_defaults_of_the_registry_or_a_factory():
    clock = ManualClock()
    registry = Registry(clock=clock)
    for kind in KINDS.keys() - {StateSet}:
        family = registry.family(kind.__name__, kind, ("a",), unit="seconds")
        assert type(family.labels("x")) is kind
    assert registry.family("Timer", Timer, ("a",)) is registry.timers("Timer", ("a",))
    with registry.get("ResettingTimer").labels("y").time():
        clock.advance(3.0)
    assert registry.get("ResettingTimer").labels("y").snapshot().values == (3.0,)
    made = registry.family("made", Counter, ("a",), lambda: counter)
    counter = Counter()
    assert made.labels("x") is counter
    with pytest.raises(ValueError, match="use one or more different names"):
        registry.family("StateSet", StateSet, ("a",))


def test_a_family_of_a_class_of_the_program():
    class Depth:
        def snapshot(self, reader=""):
            return Counter().snapshot(reader)

    registry = Registry()
    family = registry.family("x", Depth, ("a",), max_children=1)
    assert type(family.labels("a")) is Depth
    assert family.labels("b") is family.labels("c")
    assert registry.family("x", Depth, ("a",)) is family


def test_the_clock_and_the_tickers_interval_reach_the_instruments():
    clock = ManualClock()
    registry = Registry(ticker=Ticker(2.0), clock=clock)
    meter = registry.meter("m")
    labelled = registry.child("c").meters("m", labels=("a",)).labels("x")
    timers = [
        registry.timer("t", sampled=True),
        registry.resetting_timer("r"),
        registry.timers("f", labels=("a",)).labels("x"),
        registry.timers("s", labels=("a",), sampled=True).labels("x"),
    ]
    for each in (meter, labelled):
        each.mark(10)
    clock.advance(1.0)
    for each in (meter, labelled):
        each.tick()
        # Over an interval of the ticker, though the meters are younger.
        assert (each.snapshot().rate_mean, each.snapshot().rate1) == (10.0, 5.0)
    for timer in timers:
        with timer.time():
            clock.advance(1.5)
    assert [values["max"] for values in map(registry.to_dict().get, "tr")] == [1.5, 1.5]
    assert [timers[at].snapshot().sum for at in (0, 2, 3)] == [1.5] * 3


def test_a_resetting_timer_with_a_size_has_the_registrys_clock():
    clock = ManualClock()
    timer: ResettingTimer = Registry(clock=clock).resetting_timer("r", size=4)
    with timer.time():
        clock.advance(2.0)
    assert timer.snapshot().values == (2.0,)


def test_states_in_one_str_are_refused_by_the_shortcuts():
    registry = Registry()
    with pytest.raises(TypeError, match="use a sequence of str"):
        registry.state_set("phase", "on")
    with pytest.raises(TypeError, match="use a sequence of str"):
        registry.state_sets("phases", ("job",), "on")


@pytest.mark.parametrize("shortcut", ["gauge", "int_gauge"])
def test_a_gauge_refuses_an_initial_value_in_place_of_its_function(shortcut):
    registry = Registry()
    with pytest.raises(TypeError, match="takes a function without arguments, got 3; to hold a val"):
        getattr(registry, shortcut)("depth", 3)
    assert "depth" not in registry


@pytest.mark.parametrize("wrong", [5, Ticker])
def test_a_registry_refuses_a_ticker_that_is_none(wrong):
    with pytest.raises(TypeError, match=r"Registry\(ticker\) takes a ticker"):
        Registry(ticker=wrong)
    registry = Registry()
    with pytest.raises(TypeError, match="ticker= takes a ticker"):
        registry.meter("rate", ticker=wrong)
    with pytest.raises(TypeError, match="ticker= takes a ticker"):
        registry.meters("rates", ("method",), ticker=wrong)
    with pytest.raises(TypeError, match="ticker= takes a ticker"):
        registry.register("count", Counter(), ticker=wrong)
    assert not registry.names()


@pytest.mark.parametrize("wrong", [5, SystemClock])
def test_a_registry_refuses_a_clock_that_is_none(wrong):
    with pytest.raises(TypeError, match=r"Registry\(clock\) takes a clock"):
        Registry(clock=wrong)


def test_an_unknown_option_of_a_family_is_an_error_that_lists_the_options():
    message = "unknown option 'expire' of a family; use description, expire_after, max_children"
    with pytest.raises(TypeError, match=message):
        Registry().counters("x", ("a",), expire=3)
