import logging
import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import (
    BucketHistogram,
    Counter,
    DuplicateMetricError,
    Family,
    FamilySnapshot,
    FloatCounter,
    Gauge,
    GaugeSnapshot,
    Healthcheck,
    HealthcheckError,
    Histogram,
    Info,
    IntGauge,
    Meter,
    MetricTypeError,
    Registry,
    ResettingTimer,
    Ticker,
    Timer,
    UniformReservoir,
    UpDownCounter,
)
from metrics.names import exported_name
from metrics.testing import ManualClock
from metrics.ticker import THREAD_NAME

MAKERS: dict[str, type] = {
    "counter": Counter,
    "float_counter": FloatCounter,
    "updown_counter": UpDownCounter,
    "gauge": Gauge,
    "int_gauge": IntGauge,
    "meter": Meter,
    "histogram": Histogram,
    "bucket_histogram": BucketHistogram,
    "timer": Timer,
    "resetting_timer": ResettingTimer,
}


def test_a_name_leads_to_its_instrument():
    registry = Registry()
    counter = registry.register("requests", Counter())
    assert registry.get("requests") is counter
    assert registry.get("others") is None
    assert "requests" in registry
    assert "others" not in registry
    assert 5 not in registry


@pytest.mark.parametrize(
    ("prefix", "full"),
    [
        ("", "requests"),
        ("rpc", "rpc/requests"),
        ("rpc/", "rpc/requests"),
        ("rpc.", "rpc.requests"),
        ("rpc_", "rpc_requests"),
        ("rpc-", "rpc-requests"),
        ("rpc:", "rpc:requests"),
        ("a/b", "a/b/requests"),
    ],
)
def test_the_prefix_stands_before_every_name(prefix: str, full: str):
    registry = Registry(prefix)
    counter = registry.counter("requests")
    assert registry.names() == (full,)
    assert registry.prefix + "requests" == full
    assert registry.get("requests") is counter
    assert full == "requests" or registry.get(full) is None


def test_children_share_the_names_of_their_parent():
    root = Registry("app")
    rpc = root.child("rpc")
    http = rpc.child("http.")
    counter = http.counter("requests")
    root.counter("rpc.")
    assert http.prefix == "app/rpc/http."
    assert root.names() == ("app/rpc.", "app/rpc/http.requests")
    assert rpc.names() == http.names() == ("app/rpc/http.requests",)
    assert root.get("rpc/http.requests") is counter
    assert root.child("rpc").child("http.").get("requests") is counter
    with pytest.raises(DuplicateMetricError):
        root.register("rpc/http.requests", Counter())


def test_a_child_of_a_registry_without_prefix():
    root = Registry()
    root.child("a").counter("x")
    root.counter("ab")
    assert root.names() == ("a/x", "ab")
    assert root.child("a").names() == ("a/x",)


def test_iteration_and_length_speak_of_what_is_under_the_prefix():
    root = Registry()
    b, a = root.counter("b"), root.gauge("a")
    child = root.child("c")
    c = child.meter("m")
    assert list(root) == [("a", a), ("b", b), ("c/m", c)]
    assert list(child) == [("c/m", c)]
    assert (len(root), len(child)) == (3, 1)
    assert repr(child) == "<Registry 'c/', 1 instruments>"


def test_an_empty_registry_is_true():
    assert Registry()
    assert len(Registry()) == 0
    assert Registry().names() == ()


def test_registering_during_iteration_disturbs_nobody():
    registry = Registry()
    registry.counter("a")
    for name, _ in registry:
        registry.counter(name + name)
    assert registry.names() == ("a", "aa")


def test_a_taken_name_is_refused():
    registry = Registry("app")
    first = registry.register("requests", Counter())
    with pytest.raises(
        DuplicateMetricError, match=r"^name 'app/requests' is already registered, as a Counter$"
    ):
        registry.register("requests", Counter())
    assert registry.get("requests") is first


def test_two_names_that_are_exported_alike_are_refused():
    registry = Registry()
    registry.counter("a/b")
    message = r"^name 'a\.b' would be exported as 'a_b', which 'a/b' already is$"
    with pytest.raises(DuplicateMetricError, match=message):
        registry.register("a.b", Counter())
    with pytest.raises(DuplicateMetricError, match=message):
        registry.counter("a.b")
    assert registry.names() == ("a/b",)
    assert registry.unregister("a/b")
    registry.counter("a.b")


@pytest.mark.parametrize("name", ["", " a", "a ", "a\nb", "a\x00", "\t"])
@pytest.mark.parametrize(
    "use",
    [
        lambda registry, name: registry.register(name, Counter()),
        lambda registry, name: registry.counter(name),
        lambda registry, name: registry.get_or_register(name, Counter),
    ],
)
@pytest.mark.parametrize("enabled", [True, False])
def test_a_malformed_name_is_refused(use, name: str, enabled):
    registry = Registry(enabled=enabled)
    with pytest.raises(ValueError, match=r"^a name is one or more printable characters") as raised:
        use(registry, name)
    assert repr(name) in str(raised.value)
    assert len(registry) == 0


@pytest.mark.parametrize("name", [None, 5, b"a"])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(TypeError, match=r"^a name is a str, got "):
        Registry().counter(name)


@pytest.mark.parametrize("prefix", [" a", "a\n"])
def test_a_malformed_prefix_is_refused(prefix: str):
    with pytest.raises(ValueError, match=r"^a prefix is one or more printable characters"):
        Registry(prefix)
    with pytest.raises(ValueError, match=r"^a prefix is one or more printable characters"):
        Registry().child(prefix)


def test_a_prefix_that_is_no_text_or_a_child_without_one_is_refused():
    with pytest.raises(TypeError, match=r"^a prefix is a str, got 5 \(int\)$"):
        Registry(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="a prefix is one or more"):
        Registry().child("")


@pytest.mark.parametrize("enabled", [True, False])
def test_what_is_no_instrument_is_refused(enabled):
    registry = Registry("app", enabled=enabled)
    with pytest.raises(TypeError, match=r"^'app/x' takes an instrument, got 5$"):
        registry.register("x", 5)  # type: ignore[type-var]
    with pytest.raises(TypeError, match=r"^'app/x' takes an instrument, got 5$"):
        registry.get_or_register("x", lambda: 5)  # type: ignore[type-var, return-value]
    assert len(registry) == 0


def test_description_and_unit_stay_with_the_name():
    registry = Registry()
    registry.counter("sent", description=" Bytes\n  sent. ", unit="bytes")
    registry.timer("took", description="Time.")
    registry.counter("sent", description="too late", unit="calls")
    sent, took = registry.entries()
    assert (sent.name, sent.description, sent.unit) == ("sent", "Bytes sent.", "bytes")
    assert (took.description, took.unit) == ("Time.", "seconds")
    assert registry.snapshot().entry("sent") is sent


def at_once(count: int, work: Callable[[int], object]) -> None:
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait(10)
        work(number)

    threads = [threading.Thread(target=run, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_get_or_register_makes_one_instrument_however_many_ask():
    registry = Registry()
    made: list[Counter] = []
    got: list[Counter] = []

    def make() -> Counter:
        made.append(Counter())
        return made[-1]

    at_once(16, lambda number: got.append(registry.get_or_register("requests", make)))
    assert len(made) == 1
    assert len(got) == 16
    assert all(counter is made[0] for counter in got)


def test_registering_one_name_from_many_threads_succeeds_once():
    registry = Registry()
    results: list[object] = []

    def register(number: int) -> None:
        try:
            results.append(registry.register("requests", Counter()))
        except DuplicateMetricError as error:
            results.append(error)

    at_once(16, register)
    assert len(results) == 16
    (winner,) = [result for result in results if isinstance(result, Counter)]
    assert registry.get("requests") is winner


def test_names_come_and_go_in_threads_while_others_read():
    registry = Registry(ticker=Ticker())

    def work(number: int) -> None:
        for k in range(50):
            registry.meter(f"m{number}").mark()
            assert list(registry.names()) == sorted(registry.names())
            registry.snapshot()
            if k % 2:
                assert registry.unregister(f"m{number}")

    at_once(6, work)
    assert registry.names() == ()


def test_unregister_tells_whether_the_name_was_there():
    registry = Registry("app")
    counter = registry.counter("requests")
    assert not registry.unregister("app/requests")
    assert registry.unregister("requests")
    assert not registry.unregister("requests")
    assert registry.get("requests") is None
    counter.inc()
    assert registry.counter("requests") is not counter


def test_unregister_spares_the_name_of_another_instrument():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    old = registry.meter("requests")
    registry.unregister("requests")
    new = registry.meter("requests")
    assert not registry.unregister("requests", old)
    assert registry.get("requests") is new
    assert len(ticker) == 1
    assert registry.unregister("requests", new)


def test_clear_of_a_child_leaves_what_is_the_parents():
    ticker = Ticker()
    root = Registry(ticker=ticker)
    root.meter("m")
    child = root.child("c")
    child.meter("m")
    child.child("d").meter("m")
    root.counter("c.m2")
    assert len(ticker) == 3
    child.clear()
    assert root.names() == ("c.m2", "m")
    assert len(ticker) == 1
    root.clear()
    assert root.names() == ()
    assert len(ticker) == 0


def test_a_snapshot_holds_the_values_in_name_order():
    registry = Registry("app")
    registry.gauge("b").set(2.0)
    registry.counter("a").inc(1)
    snapshot = registry.snapshot()
    assert list(snapshot) == ["app/a", "app/b"]
    assert len(snapshot) == 2
    assert snapshot["app/b"] == GaugeSnapshot(2.0)
    assert "app/c" not in snapshot
    assert repr(snapshot) == (
        "RegistrySnapshot({'app/a': CounterSnapshot(count=1), 'app/b': GaugeSnapshot(value=2.0)})"
    )
    with pytest.raises(KeyError):
        snapshot.entry("app/c")


def test_a_snapshot_is_not_changed_by_what_comes_later():
    registry = Registry()
    counter = registry.counter("a")
    labelled = registry.counter("f", labels=("x",))
    labelled.labels("1").inc()
    before = registry.snapshot()
    copied = dict(before)
    counter.inc()
    labelled.labels("1").inc()
    labelled.labels("2").inc()
    registry.unregister("a")
    registry.counter("b")
    assert dict(before) == copied
    assert before["a"].to_dict() == {"count": 0}
    assert before["f"].to_dict() == {'{x="1"}': {"count": 1}}
    with pytest.raises(TypeError):
        before["a"] = before["f"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        before["a"].count = 5  # type: ignore[attr-defined]


def test_what_cannot_be_read_is_logged_and_left_out(caplog: pytest.LogCaptureFixture):
    registry = Registry()
    registry.gauge("broken", function=lambda: 1 / 0)
    registry.counter("whole").inc()
    snapshot = registry.snapshot()
    assert list(snapshot) == ["whole"]
    with pytest.raises(KeyError):
        snapshot.entry("broken")
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("metrics.registry", logging.ERROR)
    assert record.getMessage() == "'broken' cannot be read and is left out until it can be"
    assert "ZeroDivisionError" in caplog.text
    assert list(registry.to_dict()) == ["whole"]


def test_what_resets_resets_for_each_reader_alone():
    registry = Registry()
    timer = registry.resetting_timer("took")

    def counts(reader: str) -> object:
        return registry.snapshot(reader)["took"].to_dict()["count"]

    timer.update(1.0)
    assert counts("a") == 1
    assert counts("b") == 1
    timer.update(1.0)
    assert (counts("a"), counts("a"), counts("b")) == (1, 0, 1)
    timer.update(1.0)
    assert registry.to_dict("a")["took"]["count"] == 1
    assert counts("b") == 1


HISTOGRAM_KEYS = ["count", "min", "max", "mean", "stddev", "median", "75%", "95%", "99%", "99.9%"]
METER_KEYS = ["count", "1m.rate", "5m.rate", "15m.rate", "mean.rate"]


def test_to_dict_has_go_ethereums_keys():
    registry = Registry()
    registry.counter("counter").inc(3)
    registry.updown_counter("updown").dec()
    registry.gauge("gauge").set(1.5)
    registry.info("info").set({"version": "1.2"})
    registry.meter("meter")
    registry.histogram("histogram").update(2.0)
    registry.timer("timer")
    registry.resetting_timer("resetting")
    registry.healthcheck("health", lambda: None)
    family = registry.counter("family", labels=("method",))
    family.labels("GET").inc(2)
    values = registry.to_dict()
    assert values["counter"] == {"count": 3}
    assert values["updown"] == {"count": -1}
    assert values["gauge"] == {"value": 1.5}
    assert values["info"] == {"value": {"version": "1.2"}}
    assert list(values["meter"]) == METER_KEYS
    assert list(values["histogram"]) == HISTOGRAM_KEYS
    assert values["timer"].keys() == {*HISTOGRAM_KEYS, *METER_KEYS}
    assert list(values["resetting"]) == HISTOGRAM_KEYS
    assert values["health"] == {"error": None}
    assert values['family{method="GET"}'] == {"count": 2}
    assert "family" not in values


def test_run_healthchecks_runs_every_check_under_the_prefix():
    root = Registry()
    child = root.child("db")
    lost = ConnectionError("lost")

    def fail() -> None:
        raise lost

    child.healthcheck("primary", fail)
    child.healthcheck("replica", lambda: False)
    root.healthcheck("disk", lambda: None)
    root.counter("other")
    errors = root.run_healthchecks()
    assert list(errors) == ["db/primary", "db/replica", "disk"]
    assert errors["db/primary"] is lost
    assert isinstance(errors["db/replica"], HealthcheckError)
    assert errors["disk"] is None
    assert list(child.run_healthchecks()) == ["db/primary", "db/replica"]


def make(registry: Registry, maker: str, name: str = "x", **options):
    return getattr(registry, maker)(name, **options)


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
    assert [entry.description for entry in registry.entries()] == ["", "Facts."]
    with pytest.raises(MetricTypeError):
        registry.info("check")
    with pytest.raises(MetricTypeError):
        registry.healthcheck("info", lambda: None)


def test_type_errors_say_what_is_there_and_what_was_asked_for():
    registry = Registry("app")
    registry.counter("plain")
    registry.counter("family", labels=("method",))
    for use, message in [
        (lambda: registry.gauge("plain"), "already a Counter; asked for a Gauge"),
        (lambda: registry.int_gauge("plain"), "already a Counter; asked for an IntGauge"),
        (
            lambda: registry.counter("plain", labels=("a",)),
            "already a Counter; asked for a Family of Counter",
        ),
    ]:
        with pytest.raises(MetricTypeError) as raised:
            use()
        assert str(raised.value) == f"name 'app/plain' is {message}"
    for use, message in [
        (lambda: registry.counter("family"), "is already a Family of Counter; asked for a Counter"),
        (
            lambda: registry.gauge("family", labels=("method",)),
            "is already a Family of Counter; asked for a Family of Gauge",
        ),
        (
            lambda: registry.counter("family", labels=("a", "b")),
            "already has the labels ('method',); asked for ('a', 'b')",
        ),
    ]:
        with pytest.raises(MetricTypeError) as raised:
            use()
        assert str(raised.value) == f"name 'app/family' {message}"


def test_malformed_labels_and_options_leave_nothing_registered():
    registry = Registry()
    with pytest.raises(ValueError, match="one or more different label names"):
        registry.counter("x", labels=())
    with pytest.raises(ValueError, match="reserved"):
        registry.counter("x", labels=("le",))
    with pytest.raises(TypeError, match="did you mean"):
        registry.counter("x", labels="method")
    with pytest.raises(ValueError, match="max_children"):
        registry.counter("x", labels=("a",), max_children=0)
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
    labelled = registry.bucket_histogram("l", bounds=iter((1.0, 2.0)), labels=("a",))
    plain.update(1.5)
    for value in "xy":
        labelled.labels(value).update(1.5)
        assert labelled.labels(value).snapshot() == plain.snapshot()


def test_the_clock_and_the_tickers_interval_reach_the_instruments():
    clock = ManualClock()
    registry = Registry(ticker=Ticker(2.0), clock=clock)
    meter = registry.meter("m")
    labelled = registry.child("c").meter("m", labels=("a",)).labels("x")
    timers = [
        registry.timer("t"),
        registry.resetting_timer("r"),
        registry.timer("f", labels=("a",)).labels("x"),
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


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("labels", [None, ("a",)])
def test_the_ticker_gets_what_ticks_and_only_that(maker: str, labels):
    ticker = Ticker()
    registry = Registry(ticker=ticker).child("c")
    made = make(registry, maker, labels=labels)
    make(registry, maker, labels=labels)
    kind = made.kind if labels else type(made)
    assert len(ticker) == hasattr(kind, "tick")
    assert registry.unregister("x")
    assert len(ticker) == 0


def test_what_averages_or_ages_has_a_tick_and_what_only_counts_has_none():
    ticking = {maker for maker, kind in MAKERS.items() if hasattr(kind, "tick")}
    assert ticking >= {"meter", "histogram", "timer"}
    assert not ticking & {"counter", "float_counter", "updown_counter", "gauge", "int_gauge"}


def test_register_adds_to_the_ticker_and_a_refused_one_is_not_added():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    registry.register("m", Meter())
    with pytest.raises(DuplicateMetricError):
        registry.register("m", Meter())
    assert len(ticker) == 1


def test_a_family_of_counters_starts_no_worker_and_a_family_of_meters_does():
    def workers() -> int:
        return sum(thread.name == THREAD_NAME for thread in threading.enumerate())

    with Ticker(3600.0) as ticker:
        registry = Registry(ticker=ticker)
        registry.counter("c", labels=("a",)).labels("x").inc()
        assert workers() == 0
        registry.meter("m", labels=("a",))
        assert workers() == 1
    assert workers() == 0


def test_a_tick_reaches_every_child_of_a_family():
    ticker = Ticker()
    meters = Registry(ticker=ticker).meter("m", labels=("a",))
    for value in "xy":
        meters.labels(value).mark(10)
    ticker.tick()
    assert [meters.labels(value).snapshot().rate1 for value in "xy"] == [2.0, 2.0]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_disabled_registry_hands_out_no_ops_and_stays_empty(maker: str):
    ticker = Ticker()
    registry = Registry("app", ticker=ticker, enabled=False)
    assert not registry.enabled
    assert not registry.child("c").enabled
    plain = make(registry, maker)
    family = make(registry, maker, "f", labels=("a",))
    for made in (plain, family.labels("x"), make(registry.child("c"), maker)):
        for update in ("inc", "set", "mark", "update"):
            if hasattr(type(plain), update) or hasattr(MAKERS[maker], update):
                getattr(made, update)(5)
        assert {made.snapshot().to_dict().get(key, 0) for key in ("count", "value")} == {0}
    assert isinstance(plain, MAKERS[maker])
    assert isinstance(family, Family)
    assert registry.names() == ()
    assert registry.to_dict() == {}
    assert len(registry.snapshot()) == 0
    assert len(ticker) == 0


def test_a_disabled_registry_neither_keeps_nor_refuses_anything():
    registry = Registry(enabled=False)
    counter = Counter()
    noop = registry.register("x", counter)
    noop.inc()
    assert counter.count == 0
    assert registry.gauge("x") is not None
    assert registry.get("x") is None
    assert not registry.unregister("x")
    registry.healthcheck("h", lambda: False)
    assert registry.run_healthchecks() == {}
    registry.clear()


@given(st.permutations(["b", "a/c", "a", "B", "a.b"]))
def test_names_are_in_order_whatever_the_order_of_registration(order: list[str]):
    registry = Registry()
    for name in order:
        registry.counter(name)
    assert registry.names() == ("B", "a", "a.b", "a/c", "b")
    assert tuple(registry.snapshot()) == registry.names()


PREFIXES = st.sampled_from(["", "a", "a/b", "b."])
NAMES = st.sampled_from(["a", "b", "a/b", "a.b", "b/x", "x"])
STEPS = st.tuples(st.sampled_from(["register", "obtain", "unregister", "clear"]), PREFIXES, NAMES)


@given(st.lists(STEPS, max_size=30))
def test_it_behaves_like_a_dict_of_full_names(steps: list[tuple[str, str, str]]):
    ticker = Ticker()
    root = Registry(ticker=ticker)
    model: dict[str, Meter] = {}
    for action, prefix, name in steps:
        registry = root.child(prefix) if prefix else root
        full = registry.prefix + name
        exported = {exported_name(taken) for taken in model}
        if action == "clear":
            registry.clear()
            model = {k: v for k, v in model.items() if not k.startswith(registry.prefix)}
        elif action == "unregister":
            assert registry.unregister(name) == (model.pop(full, None) is not None)
        elif action == "obtain" and full in model:
            assert registry.meter(name) is model[full]
        elif exported_name(full) in exported:
            with pytest.raises(DuplicateMetricError):
                registry.register(name, Meter()) if action == "register" else registry.meter(name)
        else:
            model[full] = (
                registry.register(name, Meter()) if action == "register" else registry.meter(name)
            )
        assert registry.get(name) is model.get(full)
        assert list(root) == sorted(model.items())
        under = sorted(key for key in model if key.startswith(registry.prefix))
        assert list(registry.names()) == under
        assert len(ticker) == len(model)


def test_a_factory_may_register_others():
    registry = Registry()

    def make() -> Counter:
        registry.counter("inner")
        return Counter()

    registry.get_or_register("outer", make)
    assert registry.names() == ("inner", "outer")


def test_a_factory_that_raises_leaves_nothing_and_no_lock_behind():
    registry = Registry()

    def fail() -> Counter:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        registry.get_or_register("a", fail)
    other = threading.Thread(target=registry.counter, args=("a",), daemon=True)
    other.start()
    other.join(10)
    assert registry.names() == ("a",)


def test_an_instrument_under_two_names_is_ticked_until_both_are_gone():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    meter = registry.register("a", registry.register("b", Meter()))
    registry.unregister("a")
    assert len(ticker) == 1
    registry.unregister("b")
    assert len(ticker) == 0
    meter.mark()


def test_buckets_do_not_need_a_ticker():
    ticker = Ticker()
    registry = Registry(ticker=ticker)
    registry.bucket_histogram("a")
    registry.histogram("b", labels=("c",))
    assert len(ticker) == 0


def test_an_unreadable_gauge_is_logged_once_until_it_can_be_read_again(caplog):
    registry = Registry()
    broken = [True]

    def read() -> float:
        if broken[0]:
            raise OSError("gone")
        return 1.0

    registry.gauge("x", function=read)
    for state in (True, True, False, True):
        broken[0] = state
        assert ("x" in registry.snapshot()) is not state
    assert len(caplog.records) == 2
