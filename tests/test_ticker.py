import logging
import threading
from collections.abc import Callable
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Meter, StopTimeoutError, Ticker, Timer, _fork
from metrics.testing import ManualClock
from metrics.ticker import CHUNK, THREAD_NAME, next_due

OFTEN = 0.002
HOUR = 3600.0
DEADLINE = 10.0


class Probe:
    """Something to tick that tells who ticked it, and does what the test wants."""

    def __init__(self, action: Callable[[], object] | None = None, name: str = "probe") -> None:
        self.action = action
        self.name = name
        self.threads: list[threading.Thread] = []
        self._ticked = threading.Condition()

    @property
    def count(self) -> int:
        return len(self.threads)

    def tick(self) -> None:
        with self._ticked:
            self.threads.append(threading.current_thread())
            self._ticked.notify_all()
        if self.action is not None:
            self.action()

    def wait_for(self, count: int) -> threading.Thread:
        """Return the thread of the tick with this number, once it has begun."""
        with self._ticked:
            assert self._ticked.wait_for(lambda: self.count >= count, DEADLINE)
            return self.threads[count - 1]

    def __repr__(self) -> str:
        return f"<{self.name}>"


class ReadClock(ManualClock):
    """A clock that stands still and tells how often it was read."""

    def __init__(self) -> None:
        super().__init__()
        self._reads = 0
        self._read = threading.Condition()

    def monotonic(self) -> float:
        with self._read:
            self._reads += 1
            self._read.notify_all()
        return super().monotonic()

    def wait_for_reads(self, more: int) -> None:
        with self._read:
            wanted = self._reads + more
            assert self._read.wait_for(lambda: self._reads >= wanted, DEADLINE)


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def ends(thread: threading.Thread) -> bool:
    thread.join(DEADLINE)
    return not thread.is_alive()


def test_no_worker_before_there_is_something_to_tick():
    with Ticker(HOUR) as ticker:
        assert ticker.running
        assert workers() == []
        ticker.add(Probe())
        (worker,) = workers()
        assert (worker.name, worker.daemon) == ("metrics-ticker", True)


def test_no_worker_before_start():
    ticker = Ticker(HOUR)
    ticker.add(Probe())
    assert not ticker.running
    assert workers() == []
    ticker.start()
    assert len(workers()) == 1
    ticker.stop(DEADLINE)


def test_the_worker_ends_after_the_last_discard_and_comes_back_with_the_next_add():
    first, second = Probe(), Probe()
    with Ticker(HOUR) as ticker:
        ticker.add(first)
        ticker.add(second)
        (worker,) = workers()
        ticker.discard(first)
        ticker.discard(second)
        assert ends(worker)
        assert ticker.running
        ticker.add(first)
        assert len(workers()) == 1


def test_starting_twice_starts_one_worker():
    with Ticker(HOUR) as ticker:
        ticker.add(Probe())
        ticker.add(Probe())
        ticker.start()
        assert len(workers()) == 1


def test_one_worker_ticks_however_adds_discards_and_starts_race():
    barrier = threading.Barrier(6)
    ticker = Ticker(0.0005)

    def churn() -> None:
        member = Probe()
        barrier.wait(DEADLINE)
        for _ in range(300):
            ticker.add(member)
            ticker.discard(member)

    def restart() -> None:
        barrier.wait(DEADLINE)
        for _ in range(30):
            ticker.start()
            ticker.stop(DEADLINE)

    threads = [threading.Thread(target=churn, daemon=True) for _ in range(4)]
    threads += [threading.Thread(target=restart, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert all(ends(thread) for thread in threads)
    ticker.start()
    survivor = Probe()
    ticker.add(survivor)
    worker = survivor.wait_for(1)
    assert all(ends(other) for other in workers() if other is not worker)
    survivor.wait_for(20)
    assert set(survivor.threads) == {worker}
    ticker.stop(DEADLINE)
    assert len(ticker) == 1


def test_stop_does_not_wait_for_the_interval():
    ticker = Ticker(HOUR)
    probe = Probe()
    ticker.add(probe)
    ticker.start()
    ticker.stop(DEADLINE)
    assert not ticker.running
    assert workers() == []
    assert probe.count == 0


def test_stop_of_a_stopped_ticker_does_nothing():
    ticker = Ticker(HOUR)
    ticker.stop()
    ticker.start()
    ticker.stop()
    ticker.stop()
    assert not ticker.running


def test_stop_from_inside_a_tick_returns_and_the_worker_ends_after_that_tick():
    ticker = Ticker(OFTEN)
    stopped = threading.Event()

    def stop() -> None:
        ticker.stop()
        stopped.set()

    probe = Probe(stop)
    ticker.add(probe)
    ticker.start()
    assert stopped.wait(DEADLINE)
    assert ends(probe.threads[0])
    assert probe.count == 1


def test_stop_from_inside_a_tick_by_hand_ends_the_worker():
    ticker = Ticker(HOUR)
    ticker.add(Probe(ticker.stop))
    ticker.start()
    (worker,) = workers()
    ticker.tick()
    worker.join(DEADLINE)
    assert not worker.is_alive()


def test_stop_from_inside_a_tick_by_hand_does_not_wait_for_a_worker_that_is_due():
    here = threading.current_thread()
    due = threading.Event()

    class DueClock(ManualClock):
        def monotonic(self) -> float:
            if threading.current_thread() is not here:
                due.set()
            return super().monotonic()

    clock = DueClock()
    ticker = Ticker(1.0, clock)

    def stop() -> None:
        if threading.current_thread() is here:
            clock.advance(10.0)
            # Wakes the worker, which finds itself due and waits for this tick to end.
            due.clear()
            ticker.add(Probe())
            ticker.discard(other)
            assert due.wait(DEADLINE)
            ticker.stop()

    other = Probe()
    ticker.add(other)
    ticker.add(Probe(stop))
    ticker.start()
    (worker,) = workers()
    ticker.tick()
    worker.join(DEADLINE)
    assert not worker.is_alive()
    assert not ticker.running


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_clock_that_raises_ends_the_worker_and_the_next_start_makes_a_new_one():
    class BrokenClock(ManualClock):
        broken = False

        def monotonic(self) -> float:
            if self.broken and threading.current_thread().name == THREAD_NAME:
                raise OSError("no time")
            return super().monotonic()

    clock = BrokenClock()
    ticker = Ticker(HOUR, clock)
    clock.broken = True
    ticker.add(Probe())
    ticker.start()
    for worker in workers():
        worker.join(DEADLINE)
    assert workers() == []
    clock.broken = False
    ticker.stop()
    ticker.start()
    assert len(workers()) == 1
    ticker.stop()
    assert workers() == []


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), KeyboardInterrupt()])
def test_a_worker_that_cannot_start_is_an_error_and_the_next_start_makes_a_new_one(
    error, monkeypatch
):
    def refuse(_thread: threading.Thread) -> None:
        raise error

    probe = Probe()
    ticker = Ticker(OFTEN)
    ticker.add(probe)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(type(error)):
            ticker.start()
    assert workers() == []
    ticker.start()
    probe.wait_for(1)
    ticker.stop(DEADLINE)
    assert workers() == []


def test_ticks_that_are_overdue_are_told_by_the_check():
    clock = ManualClock()
    ticker = Ticker(HOUR, clock)
    ticker.check()
    ticker.add(Probe())
    ticker.start()
    clock.advance(3 * HOUR)
    ticker.check()
    clock.advance(2.0)
    with pytest.raises(RuntimeError, match=r"no tick for 10802.0 s, though one is due every 3600"):
        ticker.check()
    ticker.stop()
    ticker.check()


def test_stop_with_a_timeout_names_what_blocks_it_and_the_worker_ends_when_that_returns():
    release = threading.Event()
    ticker = Ticker(OFTEN)
    stuck = Probe(lambda: release.wait(DEADLINE), "stuck")
    ticker.add(stuck)
    ticker.start()
    worker = stuck.wait_for(1)
    with pytest.raises(
        StopTimeoutError,
        match=r"^metrics-ticker is still ticking <stuck> after 0\.01 s; it ends when that returns$",
    ):
        ticker.stop(0.01)
    assert not ticker.running
    assert worker.is_alive()
    release.set()
    assert ends(worker)
    assert stuck.count == 1


def test_start_after_a_stop_that_timed_out_goes_on_with_one_worker():
    release = threading.Event()
    ticker = Ticker(OFTEN)
    stuck = Probe(lambda: release.wait(DEADLINE))
    ticker.add(stuck)
    ticker.start()
    worker = stuck.wait_for(1)
    with pytest.raises(StopTimeoutError):
        ticker.stop(0.0)
    ticker.start()
    release.set()
    assert stuck.wait_for(3) is worker
    ticker.stop(DEADLINE)


def test_adding_and_discarding_do_not_wait_for_a_tick_that_hangs():
    release = threading.Event()
    stuck, other = Probe(lambda: release.wait(DEADLINE)), Probe()
    with Ticker(OFTEN) as ticker:
        ticker.add(stuck)
        stuck.wait_for(1)
        ticker.add(other)
        ticker.discard(stuck)
        assert len(ticker) == 1
        release.set()
        other.wait_for(1)


def test_restart_ticks_again():
    ticker = Ticker(OFTEN)
    probe = Probe()
    ticker.add(probe)
    for _ in range(3):
        ticker.start()
        probe.wait_for(probe.count + 2)
        ticker.stop(DEADLINE)
        assert workers() == []


def test_the_context_manager_starts_and_stops_even_when_the_block_raises():
    ticker = Ticker(OFTEN)
    probe = Probe()
    ticker.add(probe)

    def block() -> None:
        with ticker as entered:
            assert entered is ticker
            probe.wait_for(1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        block()
    assert not ticker.running
    assert workers() == []


def fail() -> None:
    raise ValueError("no rate today")


def test_what_raises_is_logged_once_until_it_works_again(caplog: pytest.LogCaptureFixture):
    broken, before, after = Probe(fail, "broken"), Probe(), Probe()
    ticker = Ticker()
    for member in (before, broken, after):
        ticker.add(member)
    for _ in range(3):
        ticker.tick()
    assert (before.count, broken.count, after.count) == (3, 3, 3)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("metrics.ticker", logging.ERROR)
    assert record.getMessage() == (
        "<broken> failed to tick; further failures of it in a row are not logged"
    )
    assert "ValueError: no rate today" in caplog.text
    broken.action = None
    ticker.tick()
    broken.action = fail
    ticker.tick()
    ticker.tick()
    assert len(caplog.records) == 2


def test_what_raises_is_logged_again_after_it_was_discarded_and_added(
    caplog: pytest.LogCaptureFixture,
):
    broken = Probe(fail)
    ticker = Ticker()
    for _ in range(2):
        ticker.add(broken)
        ticker.tick()
        ticker.discard(broken)
    assert len(caplog.records) == 2


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
def test_nothing_that_is_raised_ends_the_worker(
    kind: type[BaseException], caplog: pytest.LogCaptureFixture
):
    def leave() -> None:
        raise kind("leaving")

    leaving, other = Probe(leave), Probe()
    with Ticker(OFTEN) as ticker:
        ticker.add(other)
        ticker.add(leaving)
        worker = leaving.wait_for(3)
        assert other.wait_for(3) is worker
        ticker.stop(DEADLINE)
    assert len(caplog.records) == 1


def test_an_interrupt_of_a_tick_by_hand_reaches_the_caller_and_breaks_nothing():
    def interrupt() -> None:
        raise KeyboardInterrupt

    probe = Probe(interrupt)
    ticker = Ticker()
    ticker.add(probe)
    with pytest.raises(KeyboardInterrupt):
        ticker.tick()
    probe.action = None
    ticker.tick()
    assert probe.count == 2


def test_a_tick_by_hand_works_while_stopped():
    ticker = Ticker()
    probe = Probe()
    ticker.add(probe)
    ticker.tick()
    assert probe.threads == [threading.current_thread()]
    assert not ticker.running


def test_a_tick_by_hand_waits_for_the_one_that_goes_on():
    release = threading.Event()
    stuck = Probe(lambda: release.wait(DEADLINE))
    ticker = Ticker(OFTEN)
    ticker.add(stuck)
    with ticker:
        worker = stuck.wait_for(1)
        by_hand = threading.Thread(target=ticker.tick, daemon=True)
        by_hand.start()
        by_hand.join(0.01)
        assert stuck.threads == [worker]
        release.set()
        assert ends(by_hand)
        assert by_hand in stuck.threads


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_tick_from_inside_a_tick_is_refused(by_hand):
    refused = threading.Event()

    def tick() -> None:
        with pytest.raises(RuntimeError, match=r"^Ticker\.tick\(\) was called from inside a tick$"):
            ticker.tick()
        refused.set()

    ticker = Ticker(OFTEN)
    ticker.add(Probe(tick))
    if by_hand:
        ticker.tick()
    else:
        ticker.start()
    assert refused.wait(DEADLINE)
    ticker.stop(DEADLINE)


def test_the_newest_is_ticked_first():
    order: list[str] = []
    ticker = Ticker()
    for name in "abc":
        ticker.add(Probe(lambda name=name: order.append(name)))
    ticker.tick()
    assert order == ["c", "b", "a"]


def test_adding_twice_ticks_once_and_keeps_the_place():
    order: list[str] = []
    first, second = (Probe(lambda name=name: order.append(name)) for name in "ab")
    ticker = Ticker()
    for member in (first, second, first):
        ticker.add(member)
    assert len(ticker) == 2
    ticker.tick()
    assert order == ["b", "a"]


def test_what_an_earlier_one_discards_is_not_ticked():
    older = Probe()
    ticker = Ticker()
    ticker.add(older)
    ticker.add(Probe(lambda: ticker.discard(older)))
    ticker.tick()
    assert older.count == 0


def test_what_is_added_in_a_tick_is_ticked_from_the_next_one_on():
    late = Probe()
    ticker = Ticker()
    ticker.add(Probe(lambda: ticker.add(late)))
    ticker.tick()
    assert late.count == 0
    ticker.tick()
    assert late.count == 1


def test_members_need_no_hash_and_are_told_apart_by_identity():
    class Unhashable(list[int]):
        def tick(self) -> None:
            self.append(1)

    one, other = Unhashable(), Unhashable()
    ticker = Ticker()
    ticker.add(one)
    ticker.add(other)
    ticker.tick()
    assert (one, other) == ([1], [1])
    ticker.discard(one)
    ticker.tick()
    assert (one, other) == ([1], [1, 1])


def test_discarding_what_was_never_added_does_nothing():
    ticker = Ticker()
    ticker.add(Probe())
    ticker.discard(Probe())
    assert len(ticker) == 1


@pytest.mark.parametrize("member", [object(), None, 5])
def test_what_cannot_tick_is_refused(member):
    with pytest.raises(TypeError, match=r"^Ticker\.add\(\) takes an object with a tick\(\) method"):
        Ticker().add(member)


@pytest.mark.parametrize("interval", [0, -1.0, inf, nan])
def test_an_interval_out_of_range_is_refused(interval):
    with pytest.raises(ValueError, match=r"^Ticker\(interval\) takes .* got "):
        Ticker(interval)


@pytest.mark.parametrize("interval", ["5", None])
def test_an_interval_that_is_no_number_is_refused(interval):
    with pytest.raises(TypeError, match=r"^Ticker\(interval\) takes a number, got "):
        Ticker(interval)


def test_an_interval_longer_than_the_system_can_wait_is_fine():
    with Ticker(1e12) as ticker:
        ticker.add(Probe())
        assert len(workers()) == 1


def test_an_empty_ticker_is_true_and_says_what_it_is():
    ticker = Ticker(2)
    assert ticker
    assert len(ticker) == 0
    assert ticker.interval == 2.0
    assert repr(ticker) == "<Ticker every 2.0 s, stopped, 0 members>"
    with ticker:
        assert repr(ticker) == "<Ticker every 2.0 s, running, 0 members>"


def test_hours_of_suspend_give_one_tick_and_no_burst():
    clock = ReadClock()
    probe = Probe()
    with Ticker(0.005, clock) as ticker:
        ticker.add(probe)
        clock.wait_for_reads(5)
        assert probe.count == 0
        clock.advance(3 * HOUR)
        probe.wait_for(1)
        # The worker looks at the clock again and again and finds nothing due.
        clock.wait_for_reads(5)
        assert probe.count == 1
        clock.advance(0.006)
        probe.wait_for(2)
        clock.wait_for_reads(5)
        assert probe.count == 2


def test_ticks_are_due_at_multiples_of_the_interval_since_start():
    clock = ReadClock()
    probe = Probe()
    with Ticker(0.008, clock) as ticker:
        ticker.add(probe)
        for late, expected in [(0.007, 0), (0.005, 1), (0.003, 1), (0.002, 2), (0.006, 2)]:
            clock.advance(late)
            if expected > probe.count:
                probe.wait_for(expected)
            clock.wait_for_reads(5)
            assert probe.count == expected


class CountedClock(ManualClock):
    """A clock that counts how often it was read."""

    reads = 0

    def monotonic(self) -> float:
        self.reads += 1
        return super().monotonic()


def test_meters_share_a_reading_of_the_clock():
    clock = CountedClock()
    ticker = Ticker(5.0, clock)
    meters = [Meter(clock=clock) for _ in range(2 * CHUNK)]
    for meter in meters:
        ticker.add(meter)
        meter.mark(50)
    clock.advance(5.0)
    for missed in (1, 12, 1):
        clock.reads = 0
        ticker.tick()
        assert clock.reads <= 3
        assert {meter.snapshot().rate1 for meter in meters} == {10.0}
        for meter in meters:
            meter.mark(50 * missed)
        clock.advance(5.0 * missed)


def test_an_instrument_goes_by_its_own_clock_and_not_by_the_tickers():
    clock = ManualClock()
    ticker = Ticker(5.0, ManualClock(monotonic=-1e6))
    meter, timer = Meter(clock=clock), Timer(clock=clock)
    ticker.add(meter)
    ticker.add(timer)
    for passed in (20.0, 5.0, 60.0):
        meter.mark(round(passed))
        for _ in range(round(passed)):
            timer.update(0.1)
        clock.advance(passed)
        ticker.tick()
        assert meter.snapshot().rate15 == pytest.approx(1.0)
        assert timer.snapshot().rates == meter.snapshot()


def test_a_tick_after_missed_ones_counts_for_them():
    interval = 1 / 128
    clock = ReadClock()
    meter, probe = Meter(interval, clock), Probe()
    with Ticker(interval, clock) as ticker:
        ticker.add(probe)
        ticker.add(meter)
        for number, intervals in enumerate((1, 1, 10, 500_000, 1), 1):
            meter.mark(intervals)
            # Until the worker waits for the next tick, more time would skip that one.
            clock.wait_for_reads(5)
            clock.advance(intervals * interval)
            probe.wait_for(number)
            assert meter.snapshot().rate1 == pytest.approx(128.0)


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_meter_that_cannot_be_ticked_does_not_keep_the_others_from_their_tick(
    by_hand: bool, caplog: pytest.LogCaptureFixture
):
    class NoClock(ManualClock):
        broken = False

        def monotonic(self) -> float:
            if self.broken:
                raise OSError("no time")
            return super().monotonic()

    clock, older, newer = NoClock(), Meter(), Meter()
    huge, clockless, probe = Meter(), Meter(clock=clock), Probe()
    ticker = Ticker(OFTEN)
    for member in (probe, older, huge, clockless, newer):
        ticker.add(member)
    clock.broken = True
    huge.mark(10**400)
    for meter in (older, newer):
        meter.mark(5)
    if by_hand:
        ticker.tick()
        ticker.tick()
    else:
        with ticker:
            probe.wait_for(3)
    assert older.snapshot().rate15 > 0.0
    assert newer.snapshot().rate15 > 0.0
    kinds = [record.exc_info[0] for record in caplog.records if record.exc_info]
    assert kinds == [OSError, OverflowError]
    clock.broken = False
    ticker.tick()
    clock.broken = True
    ticker.tick()
    assert len(caplog.records) == 3


def test_a_member_that_fails_after_its_own_discard_is_logged_when_it_is_added_again(
    caplog: pytest.LogCaptureFixture,
):
    ticker = Ticker()

    def leave() -> None:
        ticker.discard(member)
        raise LookupError

    member = Probe(leave)
    for number, action in enumerate((leave, fail), 1):
        member.action = action
        ticker.add(member)
        ticker.tick()
        assert len(caplog.records) == number


def test_a_member_added_by_two_hooks_belongs_to_the_first():
    first, second, member, own = object(), object(), Probe(), Probe()
    ticker = Ticker()
    ticker.add(own)
    for owner in (first, second):
        token = _fork.registering.set(owner)
        ticker.add(member)
        ticker.add(own)
        _fork.registering.reset(token)
    assert len(ticker) == 2
    ticker._drop(frozenset({id(second)}))
    assert len(ticker) == 2
    ticker._drop(frozenset({id(first)}))
    assert len(ticker) == 1
    ticker.tick()
    assert (member.count, own.count) == (0, 1)


STARTS = st.floats(-1e9, 1e9)
INTERVALS = st.floats(1e-3, 1e5)
ELAPSED = st.floats(0.0, 1e8)


@given(start=STARTS, interval=INTERVALS, elapsed=ELAPSED)
def test_the_next_due_time_is_the_first_multiple_after_now(start, interval, elapsed):
    now = start + elapsed
    due = next_due(start, interval, now)
    error = 1e-6
    assert due > now
    assert due <= now + interval + error
    k = round((due - start) / interval)
    assert k >= 1
    assert abs(start + k * interval - due) <= error


@given(start=STARTS, interval=INTERVALS, k=st.integers(0, 1000))
def test_at_a_due_time_the_next_one_is_due_an_interval_later(start, interval, k):
    dues = [start + k * interval]
    for _ in range(3):
        dues.append(next_due(start, interval, dues[-1]))
    assert all(0.0 < b - a <= interval + 1e-6 for a, b in pairwise(dues))


def test_before_the_start_the_first_due_time_is_one_interval_after_it():
    assert next_due(100.0, 5.0, 90.0) == 105.0
