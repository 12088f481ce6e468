"""Exemplars of single updates, and of no other instruments than those whose formats have them."""

import copy
import gc
import logging
import pickle
import threading
import time
import weakref
from collections import UserDict
from contextvars import ContextVar, copy_context
from typing import Any, NamedTuple

import pytest

from metrics import (
    BucketHistogram,
    BucketHistogramSnapshot,
    Counter,
    CounterSnapshot,
    Exemplar,
    ExpDecayReservoir,
    FloatCounter,
    Gauge,
    Histogram,
    Meter,
    Registry,
    ResettingTimer,
    Timer,
    TimerSnapshot,
)
from metrics.instruments import _exemplars
from metrics.testing import ManualClock
from tests.forks import forking, in_child

TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c"}
PAIRS = tuple(TRACE.items())

TAKERS = {
    "Counter": (Counter, Counter.inc, 3, 3),
    "FloatCounter": (FloatCounter, FloatCounter.inc, 0.5, 0.5),
    "Meter": (Meter, Meter.mark, 3, 3),
    "BucketHistogram": (lambda: BucketHistogram((1.0, 5.0)), BucketHistogram.update, 0.5, 1),
    "Timer": (Timer, Timer.update, 0.5, 1),
}


class Taker(NamedTuple):
    """An instrument that takes exemplars, its update, a value, and the count of one update."""

    instrument: Any
    update: Any
    value: float
    one: float

    @property
    def updates(self):
        return self.instrument.count / self.one


@pytest.fixture(params=TAKERS.values(), ids=TAKERS)
def taker(request):
    new, *rest = request.param
    return Taker(new(), *rest)


@pytest.fixture(autouse=True)
def nothing_logged(monkeypatch):
    monkeypatch.setattr(_exemplars.EXPLICIT, "_warned", False)


def only(snapshot):
    (exemplar,) = [each for each in snapshot.exemplars if each is not None]
    return exemplar


def test_an_update_leaves_its_labels_its_value_and_its_time(taker):
    instrument, update, value, _ = taker
    clock = ManualClock()
    Registry(clock=clock).register("name", instrument)
    clock.advance(5.0)
    update(instrument, value, exemplar=TRACE)
    assert only(instrument.snapshot()) == Exemplar(PAIRS, value, clock.time())
    assert taker.updates == 1


def test_the_latest_exemplar_replaces_the_one_before(taker):
    instrument, update, value, _ = taker
    update(instrument, value, exemplar={"a": "1"})
    update(instrument, value, {"b": "2"})
    assert only(instrument.snapshot()).labels == (("b", "2"),)


def test_updates_without_an_exemplar_leave_the_one_before(taker):
    instrument, update, value, _ = taker
    update(instrument, value, exemplar=TRACE)
    update(instrument, value)
    update(instrument, value, exemplar=None)
    update(instrument, value, exemplar={})
    assert only(instrument.snapshot()).labels == PAIRS
    assert taker.updates == 4


def test_an_instrument_without_exemplars_has_an_empty_view(taker):
    instrument, update, value, _ = taker
    update(instrument, value)
    assert instrument.snapshot().exemplars == ()
    update(instrument, value, exemplar={})
    assert instrument.snapshot().exemplars == ()


def test_a_detached_instrument_takes_the_time_of_the_system(taker):
    instrument, update, value, _ = taker
    before = time.time()
    update(instrument, value, exemplar=TRACE)
    assert before <= only(instrument.snapshot()).timestamp <= time.time()


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (5, TypeError),
        ("trace_id=1", TypeError),
        ([("a", "1")], TypeError),
        ({"a": 1}, TypeError),
        ({1: "a"}, TypeError),
        ({"a": b"1"}, TypeError),
        ({"": "1"}, ValueError),
        ({"trace-id": "1"}, ValueError),
        ({"__name__": "1"}, ValueError),
        ({"le": "1"}, ValueError),
    ],
)
def test_malformed_labels_are_an_error_and_count_nothing(taker, wrong, error):
    instrument, update, value, _ = taker
    with pytest.raises(error):
        update(instrument, value, exemplar=wrong)
    assert instrument.count == 0
    assert instrument.snapshot().exemplars == ()


def test_a_malformed_value_leaves_no_exemplar(taker):
    instrument, update, _, _ = taker
    for wrong in ("1", float("nan"), None):
        with pytest.raises((TypeError, ValueError)):
            update(instrument, wrong, exemplar=TRACE)
    assert instrument.snapshot().exemplars == ()


def test_any_mapping_is_taken_and_copied(taker):
    class Text(str):
        __slots__ = ()

    instrument, update, value, _ = taker
    labels = UserDict({Text("a"): Text("1")})
    update(instrument, value, exemplar=labels)
    labels["a"] = "2"
    ((name, text),) = only(instrument.snapshot()).labels
    assert (name, text) == ("a", "1")
    assert type(name) is type(text) is str


def test_an_exemplar_has_at_most_128_characters(taker):
    instrument, update, value, _ = taker
    update(instrument, value, exemplar={"name": "\N{OLD ITALIC LETTER A}" * 124})
    exemplar = only(instrument.snapshot())
    update(instrument, value, exemplar={"name": "x" * 125})
    update(instrument, value, exemplar={"a" * 64: "x" * 64, "b": ""})
    assert taker.updates == 3
    assert only(instrument.snapshot()) is exemplar


def test_a_longer_exemplar_is_logged_once_without_its_values(caplog):
    counter = Counter()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            counter.inc(exemplar={"user": "secret" * 40})
    (record,) = caplog.records
    assert record.name == "metrics.instruments"
    assert "244 characters in labels ['user'], and OpenMetrics allows 128" in record.getMessage()
    assert "secret" not in record.getMessage()


def test_each_bucket_keeps_its_own_exemplar():
    histogram = BucketHistogram((1.0, 5.0))
    histogram.update(7.0, exemplar={"a": "last"})
    histogram.update(0.5, exemplar={"a": "first"})
    histogram.update(1.0, exemplar={"a": "bound"})
    histogram.update(3.0)
    low, middle, high = histogram.snapshot().exemplars
    assert middle is None
    assert [(each.labels, each.value) for each in (low, high)] == [
        ((("a", "bound"),), 1.0),
        ((("a", "last"),), 7.0),
    ]


def test_an_exemplar_has_an_exact_value_above_the_floats():
    counter = Counter()
    counter.inc(10**400, exemplar=TRACE)
    assert only(counter.snapshot()).value == 10**400


def test_every_way_to_record_a_duration_takes_an_exemplar():
    clock = ManualClock()
    timer = Timer(clock=clock)
    start = clock.monotonic()
    clock.advance(0.25)
    for record, argument in (
        (timer.update, 0.25),
        (timer.update_ns, 250_000_000),
        (timer.update_since, start),
    ):
        record(argument, exemplar={"by": record.__name__})
        exemplar = only(timer.snapshot())
        assert exemplar.labels == (("by", record.__name__),)
        assert exemplar.value == 0.25
    with timer.time(exemplar={"by": "time"}):
        clock.advance(0.25)
    assert only(timer.snapshot()).labels == (("by", "time"),)
    assert timer.snapshot().exemplars == timer.snapshot().distribution.exemplars


def test_a_block_that_raises_leaves_its_exemplar():
    timer = Timer()
    with pytest.raises(KeyError), timer.time({"a": "1"}):
        raise KeyError
    assert only(timer.snapshot()).labels == (("a", "1"),)


def test_a_block_refuses_malformed_labels_before_it_begins():
    timer = Timer()
    with pytest.raises(TypeError, match="invalid exemplar 5"):
        timer.time(5)
    labels = {"a": "1"}
    with timer.time(labels):
        labels["a"] = 5
    assert only(timer.snapshot()).labels == (("a", "1"),)
    assert timer.count == 1


def test_a_negative_duration_has_no_exemplar():
    timer = Timer()
    timer.update(-1.0, exemplar=TRACE)
    timer.update_ns(-1, exemplar=TRACE)
    assert timer.ignored == 2
    assert timer.snapshot().exemplars == ()


@pytest.mark.parametrize("new", [ResettingTimer, lambda: Timer(Histogram())])
def test_a_timer_without_buckets_ignores_exemplars(new):
    timer = new()
    timer.update(0.5, exemplar=TRACE)
    timer.update_ns(5, exemplar=TRACE)
    with timer.time(exemplar=TRACE):
        pass
    snapshot = timer.snapshot()
    assert snapshot.count == 3
    assert snapshot.exemplars == ()


def test_instruments_whose_formats_have_no_exemplars_take_none():
    for update in (Gauge().set, Histogram().update, ExpDecayReservoir().update):
        with pytest.raises(TypeError):
            update(1.0, exemplar=TRACE)


def test_clearing_drops_exemplars_with_the_total():
    for counter in (Counter(), FloatCounter()):
        counter.inc(exemplar=TRACE)
        counter.clear()
        assert counter.snapshot().exemplars == ()
        counter.inc(exemplar={"a": "1"})
        assert only(counter.snapshot()).labels == (("a", "1"),)


def test_counts_from_elsewhere_drop_the_exemplars_of_earlier_updates():
    histogram = BucketHistogram((1.0,))
    histogram.update(0.5, exemplar=TRACE)
    histogram.set_counts([3, 4])
    assert histogram.snapshot().exemplars == ()


# Snapshots.


def test_a_snapshot_keeps_its_exemplars():
    counter = Counter()
    counter.inc(exemplar=TRACE)
    snapshot = counter.snapshot()
    counter.inc(exemplar={"a": "1"})
    assert only(snapshot).labels == PAIRS


@pytest.mark.parametrize("new", [Counter, FloatCounter, lambda: BucketHistogram((1.0,))])
def test_exemplars_are_no_part_of_the_value(new):
    plain, labelled = new(), new()
    (plain.inc if hasattr(plain, "inc") else plain.update)(1)
    (labelled.inc if hasattr(plain, "inc") else labelled.update)(1, TRACE)
    one, other = plain.snapshot(), labelled.snapshot()
    assert (one, hash(one), repr(one)) == (other, hash(other), repr(other))
    assert one.to_dict() == other.to_dict()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_snapshot_has_its_exemplars(taker, protocol):
    instrument, update, value, _ = taker
    update(instrument, value, exemplar=TRACE)
    snapshot = instrument.snapshot()
    twin = pickle.loads(pickle.dumps(snapshot, protocol))
    assert twin == snapshot
    assert twin.exemplars == snapshot.exemplars != ()
    assert type(only(twin)) is Exemplar
    assert copy.deepcopy(snapshot) is snapshot


def test_a_snapshot_can_be_made_with_exemplars():
    exemplar = Exemplar((("a", "1"),), 1.0, 5.0)
    assert CounterSnapshot(1, (exemplar,)).exemplars == (exemplar,)
    buckets = BucketHistogramSnapshot((1.0,), (1, 0), 0.5, exemplars=(exemplar, None))
    assert buckets.exemplars == (exemplar, None)
    assert TimerSnapshot(buckets, Meter().snapshot()).exemplars == (exemplar, None)
    assert hash(exemplar) == hash(Exemplar((("a", "1"),), 1.0, 5.0))


# The function of a source.


def attached(instrument, function):
    source = _exemplars.ExemplarSource(function)
    instrument._attach(source)
    return source


def test_the_function_labels_updates_without_exemplars_of_their_own(taker):
    instrument, update, value, _ = taker
    attached(instrument, lambda: TRACE)
    update(instrument, value)
    assert only(instrument.snapshot()).labels == PAIRS
    update(instrument, value, exemplar={"a": "own"})
    assert only(instrument.snapshot()).labels == (("a", "own"),)


def test_the_function_is_not_called_for_an_update_with_labels(taker):
    instrument, update, value, _ = taker
    attached(instrument, lambda: pytest.fail("called"))
    update(instrument, value, exemplar=TRACE)
    update(instrument, value, exemplar={})
    assert only(instrument.snapshot()).labels == PAIRS


@pytest.mark.parametrize("nothing", [None, {}])
def test_a_function_without_labels_leaves_no_exemplar(taker, nothing):
    instrument, update, value, _ = taker
    attached(instrument, lambda: nothing)
    update(instrument, value)
    assert instrument.snapshot().exemplars == ()


def test_the_function_is_called_in_the_thread_and_the_context_of_the_update(taker):
    instrument, update, value, _ = taker
    span = ContextVar("span", default="none")
    attached(instrument, lambda: {"span": span.get(), "thread": threading.current_thread().name})

    def work():
        span.set("inner")
        update(instrument, value)

    thread = threading.Thread(target=copy_context().run, args=(work,), name="worker")
    thread.start()
    thread.join()
    assert dict(only(instrument.snapshot()).labels) == {"span": "inner", "thread": "worker"}


def test_a_timed_block_has_the_labels_of_its_end():
    timer = Timer()
    labels = {"a": "start"}
    attached(timer, lambda: labels)
    with timer.time():
        labels = {"a": "end"}
    assert only(timer.snapshot()).labels == (("a", "end"),)
    timer.timed(lambda: None)()
    counter = Counter()
    attached(counter, lambda: {"a": "1"})
    with pytest.raises(OSError), counter.count_exceptions():
        raise OSError
    assert only(counter.snapshot()).labels == (("a", "1"),)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: 5, "TypeError: invalid exemplar 5"),
        (lambda: {"a": 5}, "TypeError: invalid exemplar label a=5"),
        (lambda: {"a b": "5"}, "ValueError: label name 'a b' is malformed"),
        (lambda: {"a": "x" * 128}, "129 characters in labels ['a']"),
        (lambda _required: {}, "TypeError: "),
    ],
)
def test_a_failure_of_the_function_is_logged_once_and_reaches_no_program(
    taker, caplog, function, reason
):
    instrument, update, value, _ = taker
    attached(instrument, function)
    for _ in range(3):
        update(instrument, value)
    assert taker.updates == 3
    assert instrument.snapshot().exemplars == ()
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "exemplar dropped, later ones are dropped silently: " in record.getMessage()
    assert reason in record.getMessage()


def test_the_interruption_of_a_function_counts_nothing(taker):
    instrument, update, value, _ = taker
    answers = [KeyboardInterrupt, None]

    def function():
        if answer := answers.pop(0):
            raise answer

    attached(instrument, function)
    with pytest.raises(KeyboardInterrupt):
        update(instrument, value)
    assert instrument.count == 0
    update(instrument, value)
    assert taker.updates == 1


def test_an_update_within_the_function_calls_it_no_second_time(taker):
    instrument, update, value, _ = taker
    calls = []

    def function():
        calls.append(1)
        update(instrument, value)
        return TRACE

    attached(instrument, function)
    update(instrument, value)
    assert len(calls) == 1
    assert taker.updates == 2
    update(instrument, value)
    assert len(calls) == 2
    assert only(instrument.snapshot()).labels == PAIRS


def test_a_detached_source_is_called_no_longer(taker):
    instrument, update, value, _ = taker
    source = attached(instrument, lambda: TRACE)
    instrument._detach(source)
    update(instrument, value)
    assert instrument.snapshot().exemplars == ()
    other = attached(instrument, lambda: {"a": "other"})
    instrument._detach(source)
    update(instrument, value)
    assert only(instrument.snapshot()).labels == (("a", "other"),)
    instrument._detach(other)
    update(instrument, value)
    assert only(instrument.snapshot()).labels == (("a", "other"),)


def test_a_function_has_to_be_callable():
    with pytest.raises(TypeError, match=r"^invalid exemplars 5: pass a function"):
        _exemplars.ExemplarSource(5)


# Threads and forks.


@pytest.mark.usefixtures("eager_switching")
def test_exemplars_of_many_threads_are_never_torn():
    """Labels, value and bucket of an exemplar are those of one update."""
    histogram = BucketHistogram((10.0, 20.0, 30.0))
    counter = Counter()
    done = threading.Event()

    def update(number):
        labels = {"number": str(number)}
        for _ in range(2000):
            histogram.update(float(number), labels)
            counter.inc(number, labels)
        done.set()

    threads = [threading.Thread(target=update, args=(number,)) for number in (5, 15, 25, 35)]
    for thread in threads:
        thread.start()
    seen = 0
    while not done.is_set() or not seen:
        for index, exemplar in enumerate(histogram.snapshot().exemplars):
            if exemplar is not None:
                assert exemplar.labels == (("number", str(int(exemplar.value))),)
                assert index == exemplar.value // 10
                seen += 1
        for exemplar in counter.snapshot().exemplars:
            assert exemplar.labels == (("number", str(exemplar.value)),)
    for thread in threads:
        thread.join()
    assert histogram.count == 8000
    assert counter.count == 2000 * 80


@forking[0]
@forking[1]
def test_a_forked_process_has_no_exemplars_of_its_parent(taker):
    instrument, update, value, _ = taker
    registry = Registry(exemplars=lambda: {"a": "function"})
    registry.register("name", instrument)
    update(instrument, value, exemplar=TRACE)

    def read():
        before = instrument.snapshot().exemplars
        update(instrument, value)
        return before, only(instrument.snapshot()).labels

    assert in_child(read) == ((), (("a", "function"),))
    assert only(instrument.snapshot()).labels == PAIRS


@pytest.mark.parametrize(
    ("new", "update", "value"), [row[:3] for row in TAKERS.values()], ids=TAKERS
)
def test_an_owner_whose_registry_calls_it_for_exemplars_is_collected(new, update, value):
    class Owner:
        def __init__(self) -> None:
            registry = self.registry = Registry(exemplars=self.exemplar)
            child = registry.family("many", type(new()), ["code"], new).labels("200")
            for instrument in (registry.register("one", new()), child):
                update(instrument, value)
                assert only(instrument.snapshot()).labels == PAIRS

        def exemplar(self) -> dict[str, str]:
            return TRACE

    reference = weakref.ref(Owner())
    gc.collect()
    assert reference() is None
