"""A recording tells what changed in its block, of every kind of instrument, and nothing else."""

import asyncio
import json
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics import Registry
from metrics.testing import ManualClock, ManualTicker, assert_recorded, recorded
from metrics.testing.recording import _block as recording


@settings(deadline=None)
@given(before=st.integers(0, 10**20), inside=st.integers(0, 10**20))
def test_a_count_is_what_was_counted_in_the_block(before, inside):
    registry = Registry()
    counter, meter = registry.counter("a"), registry.meter("b")
    updown = registry.updown_counter("c")
    counter.inc(before)
    meter.mark(before)
    updown.inc(before)
    with recorded(registry) as changes:
        counter.inc(inside)
        meter.mark(inside)
        updown.dec(inside)
        assert changes["a"].count == changes["b"].count == -changes["c"].count == inside
    counter.inc()
    meter.mark()
    assert changes["a"].count == changes["b"].count == -changes["c"].count == inside
    assert list(changes) == (["a", "b", "c"] if inside else [])


def test_the_last_value_counts_for_what_is_set():
    registry = Registry()
    gauge, info = registry.gauge("g"), registry.info("i")
    check = registry.healthcheck("h", lambda: False)
    gauge.set(1.0)
    with recorded(registry) as changes:
        assert len(changes) == 0
        for value in (5.0, 2.0, 3.0):
            gauge.set(value)
        info.set({"version": "2"})
        check.check()
    assert changes["g"].value == 3.0
    assert changes["i"].value == {"version": "2"}
    assert "returned False" in changes["h"].error
    assert list(changes) == ["g", "h", "i"]
    assert (changes["g"].before.value, changes["g"].after.value) == (1.0, 3.0)


def test_a_gauge_that_still_is_not_a_number_has_not_changed():
    registry = Registry()
    registry.gauge("g").set(float("nan"))
    with recorded(registry) as changes:
        pass
    assert list(changes) == []


def test_children_are_told_apart_by_labels_and_added_up_for_their_family():
    registry = Registry()
    requests = registry.counters("http/requests", labels=("method", "status"))
    requests.labels("GET", 200).inc(100)
    with recorded(registry) as changes:
        requests.labels("GET", 200).inc(2)
        requests.labels("POST", 500).inc(3)
    family = changes["http/requests"]
    assert family.count == 5
    assert changes["http/requests", {"status": 200, "method": "GET"}].count == 2
    assert family.labels("POST", "500").count == family.labels(status=500, method="POST").count == 3
    assert family.labels("PUT", 200).count == 0
    assert requests.children().keys() == {("GET", "200"), ("POST", "500")}
    assert changes['http/requests{method="GET",status="200"}'].count == 2
    assert list(changes) == [
        'http/requests{method="GET",status="200"}',
        'http/requests{method="POST",status="500"}',
    ]


def test_labels_that_do_not_match_the_family_are_refused():
    registry = Registry()
    registry.counters("a", labels=("method",))
    registry.counter("b")
    with recorded(registry) as changes:
        for labels in ({}, {"metod": 1}, {"method": 1, "status": 2}):
            with pytest.raises(
                ValueError, match=r"does not match the family's labels \('method',\)"
            ):
                changes["a", labels]
        with pytest.raises(ValueError, match=r"labels\(\('GET', 1\)\) does not match"):
            changes["a"].labels("GET", 1)
        with pytest.raises(
            TypeError, match=r"^'b' is no family and has no labels, got {'method': 1}"
        ):
            changes["b", {"method": 1}]


def test_a_child_that_was_removed_keeps_what_it_counted_and_a_new_one_begins_at_nothing():
    registry = Registry()
    family = registry.counters("a", labels=("x",))
    family.labels(1).inc(5)
    family.labels(2).inc(5)
    with recorded(registry) as changes:
        family.labels(1).inc()
        family.clear()
        family.labels(2).inc(3)
    assert {values: child.count for values, child in changes["a"].children.items()} == {
        ("1",): 1,
        ("2",): 3,
    }


def test_what_counted_before_it_was_registered_is_not_recorded():
    registry, made = Registry(), Registry().counter("x")
    made.inc(5)
    with recorded(registry) as changes:
        registry.register("x", made)
        made.inc()
    assert changes["x"].count == 1


def test_the_instrument_that_took_a_name_last_stands_for_it():
    registry = Registry()
    registry.counter("x").inc(5)
    with recorded(registry) as changes:
        registry.counter("x").inc()
        registry.unregister("x")
        registry.gauge("x").set(7)
    assert changes["x"].value == 7.0


def test_a_counter_that_was_cleared_counts_from_then():
    registry = Registry()
    counter = registry.counter("x")
    counter.inc(5)
    with recorded(registry) as changes:
        counter.clear()
        counter.inc(2)
    assert changes["x"].count == 2


def test_a_name_may_have_the_prefix_of_its_registry_or_not():
    registry = Registry("geth")
    child = registry.child("rpc")
    requests = child.counter("requests")
    other = registry.counter("other")
    with recorded(child) as of_child, recorded(registry) as of_all:
        requests.inc()
        other.inc()
        child.counter("new").inc()
        registry.counter("newer").inc()
    assert of_child["requests"].count == of_child["geth/rpc/requests"].count == 1
    assert of_all["rpc/requests"].count == 1
    assert list(of_child) == ["geth/rpc/new", "geth/rpc/requests"]
    assert [*of_all] == ["geth/newer", "geth/other", "geth/rpc/new", "geth/rpc/requests"]
    assert "requests" in of_child
    assert "other" not in of_child


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rpc/request", "did you mean 'rpc/requests'"),
        ("geth/rpc/reqests", "did you mean 'geth/rpc/requests'"),
        ("requests", "did you mean 'rpc/requests'"),
        ("rpc.Requests", "did you mean 'rpc/requests'"),
        ('http{method="GTE"}', """did you mean 'http{method="GET"}'"""),
    ],
)
def test_a_name_that_is_not_known_has_the_right_one_suggested(name, hint):
    registry = Registry("geth")
    registry.counter("rpc/requests")
    registry.counters("http", labels=("method",)).labels("GET")
    with recorded(registry) as changes, pytest.raises(KeyError) as caught:
        changes[name]
    assert caught.value.args[0] == f"no instrument {name!r} was registered; {hint}" + (
        "?" if "did" in hint else ""
    )


def test_nobody_else_who_reads_the_registry_notices():
    registry = Registry()
    timer = registry.resetting_timer("t")
    timer.update(1)
    timer.snapshot("reporter")
    with recorded(registry) as outer:
        timer.update(2)
        with recorded(registry) as inner:
            timer.update(3)
            assert inner["t"].values == (3.0,)
            assert outer["t"].values == (2.0, 3.0)
    assert timer.snapshot("reporter").values == (2.0, 3.0)
    assert timer.snapshot().values == (1.0, 2.0, 3.0)
    with recorded(registry) as again:
        timer.update(4)
    assert again["t"].values == (4.0,)


def test_blocks_that_overlap_each_have_their_own():
    registry = Registry()
    sizes = registry.histogram("s")
    first, second = recorded(registry), recorded(registry)
    one = first.__enter__()
    sizes.update(1)
    two = second.__enter__()
    sizes.update(2)
    first.__exit__(None, None, None)
    sizes.update(3)
    second.__exit__(None, None, None)
    sizes.update(4)
    assert (one["s"].values, two["s"].values) == ((1.0, 2.0), (2.0, 3.0))


def test_updates_of_other_tasks_and_threads_are_recorded():
    registry = Registry()
    counter, sizes = registry.counter("c"), registry.histogram("s")

    async def work() -> None:
        await asyncio.sleep(0)
        counter.inc()

    async def main():
        with recorded(registry) as changes:
            await asyncio.gather(*[work() for _ in range(5)])
            assert_recorded("c", count=5)
            threads = [
                threading.Thread(target=lambda: [sizes.update(1) for _ in range(1000)])
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return changes

    assert asyncio.run(main())["s"].count == 4000


def test_what_cannot_be_read_raises_when_it_is_asked_for_and_is_listed_nowhere():
    def broken() -> float:
        raise OSError("closed")

    registry = Registry()
    registry.gauge("broken", function=broken)
    counter = registry.counter("c")
    with recorded(registry) as changes:
        counter.inc()
        with pytest.raises(OSError, match="closed"):
            changes["broken"]
    with pytest.raises(OSError, match="closed"):
        changes["broken"]
    assert list(changes) == ["c"]


def test_many_recordings_leave_nothing_behind_in_what_they_read():
    registry = Registry()
    timer = registry.resetting_timer("t")
    for _ in range(100):
        with recorded(registry), recorded(registry):
            timer.update(1)
    assert len(timer._reservoir._read) <= 2
    assert recording._recordings.get() == ()
    assert recording._everywhere == []


def golden() -> str:
    with ManualTicker(clock=ManualClock()) as ticker:
        registry = Registry("app", ticker=ticker, clock=ticker.clock)
        registry.gauge("still").set(1)
        with recorded(registry) as changes:
            registry.timer("took").update(0.25)
            registry.histogram("sizes").update(3)
            registry.histogram("sizes").update(1)
            registry.meter("events").mark(3)
            registry.info("build").set({"commit": "abc"})
            for method in ("POST", "GET"):
                registry.counters("requests", labels=("method",)).labels(method).inc()
            registry.bucket_histogram("depth", bounds=(1, 2)).update(1.5)
            ticker.advance(60)
        return json.dumps([changes.to_dict(), changes.to_dict(durations=True)["app/took"]])


def test_a_dict_of_it_is_the_same_every_time_in_name_order_and_without_times():
    expected = {
        "app/build": {"value": {"commit": "abc"}},
        "app/depth": {"count": 1, "sum": 1.5, "values": [1.5], "counts": {"2.0": 1}},
        "app/events": {"count": 3},
        'app/requests{method="GET"}': {"count": 1},
        'app/requests{method="POST"}': {"count": 1},
        "app/sizes": {"count": 2, "sum": 4.0, "values": [3.0, 1.0]},
        "app/took": {"count": 1},
    }
    durations = {"count": 1, "sum": 0.25, "values": [0.25], "counts": {"0.25": 1}}
    assert golden() == golden() == json.dumps([expected, durations])
