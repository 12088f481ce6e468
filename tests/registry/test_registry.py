"""Names are registered and unregistered, in one thread or many; each has one instrument."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import (
    Counter,
    DuplicateMetricError,
    Family,
    Meter,
    Registry,
    Ticker,
)
from metrics.registry._inner import store_of


def test_a_name_leads_to_its_instrument():
    registry = Registry()
    counter = registry.register("requests", Counter())
    assert registry.get("requests") is counter
    assert registry.get("others") is None
    assert "requests" in registry
    assert "others" not in registry
    assert 5 not in registry


def test_an_empty_registry_is_true():
    assert Registry()
    assert len(Registry()) == 0
    assert Registry().names() == ()


def test_registering_during_iteration_does_not_change_the_iteration():
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


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (5, r"it has no snapshot\(\) method; register an instrument"),
        (Counter().snapshot(), "it is a snapshot and never changes; register the instrument"),
        (Family(Meter, ("a",)).snapshot(), "it is a snapshot and never changes; .*"),
    ],
)
def test_an_object_that_is_no_instrument_is_refused(enabled, wrong, reason):
    registry = Registry("app", enabled=enabled)
    message = rf"^cannot register .* as 'app/x': {reason}$"
    with pytest.raises(TypeError, match=message):
        registry.register("x", wrong)
    with pytest.raises(TypeError, match=message):
        registry.get_or_register("x", lambda: wrong)
    assert len(registry) == 0


def test_names_that_formats_write_alike_may_both_be_registered():
    registry = Registry()
    slash, dot = registry.counter("a/b"), registry.counter("a.b")
    assert slash is not dot
    registry.register("a_b", Counter())
    assert registry.names() == ("a.b", "a/b", "a_b")
    assert registry.unregister("a/b")
    assert registry.get("a.b") is dot


def test_description_and_unit_stay_with_the_name():
    registry = Registry()
    registry.counter("sent", description=" Bytes\n  sent. ", unit="bytes")
    registry.timer("took", description="Time.")
    registry.counter("sent", description="too late", unit="calls")
    sent, took = store_of(registry).entries()
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


def test_get_or_register_creates_one_instrument_for_many_threads():
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


def test_names_are_registered_and_unregistered_in_threads_while_others_read():
    registry = Registry(ticker=Ticker())

    def work(number: int) -> None:
        for k in range(50):
            registry.meter(f"m{number}").mark()
            names = registry.names()
            assert list(names) == sorted(names)
            registry.snapshot()
            if k % 2:
                assert registry.unregister(f"m{number}")

    at_once(6, work)
    assert registry.names() == ()


def test_unregister_returns_whether_the_name_was_registered():
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


def test_clear_of_a_child_leaves_the_names_of_its_parent():
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
        if action == "clear":
            registry.clear()
            model = {k: v for k, v in model.items() if not k.startswith(registry.prefix)}
        elif action == "unregister":
            assert registry.unregister(name) == (model.pop(full, None) is not None)
        elif action == "obtain" and full in model:
            assert registry.meter(name) is model[full]
        elif full in model:
            with pytest.raises(DuplicateMetricError):
                registry.register(name, Meter())
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
