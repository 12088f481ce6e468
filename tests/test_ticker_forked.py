"""A ticker in a forked process: the same object, with a worker of the child's own."""

import os
import threading

import pytest

from metrics import Meter, Registry, Ticker, _fork
from metrics.exporters import prometheus
from metrics.testing import ManualClock
from metrics.ticker import THREAD_NAME
from tests.forks import DEADLINE, forking, hammered, in_child

pytestmark = forking


class Bell:
    """A member that can be waited for."""

    def __init__(self, action=int):
        self.rung = threading.Event()
        self.action = action

    def tick(self):
        self.action()
        self.rung.set()

    def wait(self):
        self.rung.clear()
        return self.rung.wait(DEADLINE)


def workers():
    return sum(thread.name == THREAD_NAME for thread in threading.enumerate())


def by_reading(ticker, registry):
    prometheus.render(registry)


def by_checking(ticker, registry):
    registry.run_healthchecks()


def by_its_own_check(ticker, registry):
    ticker.check()


def by_adding(ticker, registry):
    ticker.add(Bell())


def by_starting(ticker, registry):
    ticker.start()


def by_registering(ticker, registry):
    registry.meter("new")


@pytest.mark.parametrize(
    "need", [by_reading, by_checking, by_its_own_check, by_adding, by_starting, by_registering]
)
def test_the_worker_starts_at_the_first_need_and_ticks_what_was_added_before(need):
    bell = Bell()
    with Ticker(0.01) as ticker:
        registry = Registry(ticker=ticker)
        ticker.add(bell)

        def use():
            before = ticker.running, workers()
            need(ticker, registry)
            rung, during = bell.wait(), workers()
            ticker.stop(DEADLINE)
            return before, rung, during, ticker.running, workers()

        assert in_child(use) == ((True, 0), True, 1, False, 0)
        assert bell.wait()


def test_a_ticker_that_was_stopped_or_has_no_members_starts_none():
    stopped, empty = Ticker(0.01), Ticker(0.01)
    stopped.add(Bell())
    empty.start()

    def use():
        _fork.resume()
        before = workers()
        stopped.start()
        empty.add(Bell())
        during = workers()
        stopped.stop(DEADLINE)
        empty.stop(DEADLINE)
        return before, during, workers()

    assert in_child(use) == (0, 2, 0)
    empty.stop()


def test_a_child_that_is_forked_by_a_child_has_its_own_worker_too():
    bell = Bell()
    with Ticker(0.01) as ticker:
        ticker.add(bell)

        def use():
            _fork.resume()
            rung = bell.wait(), workers()
            ticker.stop(DEADLINE)
            return rung

        assert in_child(in_child, use) == (True, 1)
        assert in_child(lambda: (in_child(use), use())) == ((True, 1), (True, 1))


def test_a_dormant_ticker_is_not_overdue():
    clock = ManualClock()
    with Ticker(3600.0, clock) as ticker:
        ticker.add(Bell())

        def use():
            clock.advance(1e6)
            ticker.check()
            ticker.stop(DEADLINE)
            return True

        assert in_child(use)


def test_the_ticker_is_free_in_the_child_whatever_other_threads_did():
    ticker = Ticker(0.001)
    ticker.start()
    members = [Meter() for _ in range(50)]

    def change():
        for member in members:
            ticker.add(member)
        ticker.tick()
        for member in members:
            ticker.discard(member)

    def use():
        bell = Bell()
        ticker.add(bell)
        rung = bell.wait()
        ticker.discard(bell)
        ticker.tick()
        ticker.stop(DEADLINE)
        return rung, workers()

    with hammered(change):
        outcomes = [in_child(use) for _ in range(5)]
    ticker.stop()
    assert outcomes == [(True, 0)] * 5


@pytest.mark.parametrize("in_worker", [True, False])
def test_a_tick_that_forks_goes_on_and_the_child_has_a_ticker_of_its_own(in_worker):
    outcomes, parent = [], os.getpid()

    def use():
        bell = Bell()
        ticker.add(bell)
        ticker.start()
        rung = bell.wait()
        ticker.stop(DEADLINE)
        return rung, workers()

    def fork():
        if os.getpid() == parent and not outcomes:
            outcomes.append(in_child(use))

    bell, ticker = Bell(fork), Ticker(0.01)
    ticker.add(bell)
    if in_worker:
        with ticker:
            assert bell.wait()
    else:
        ticker.tick()
    assert [rung for rung, _ in outcomes] == [True]


def test_a_worker_that_comes_back_from_a_fork_in_its_tick_ends_there():
    reader, writer = os.pipe()
    parent = os.getpid()

    def fork():
        if os.getpid() == parent and not forked:
            child = os.fork()
            forked.append(child)

    forked = []
    bell, ticker = Bell(fork), Ticker(0.01)
    ticker.add(bell)
    worked = ticker._work

    def work():
        worked()
        if os.getpid() != parent:
            os.write(writer, b"ended")
            os._exit(0)

    ticker._started_at = ticker._clock.monotonic()
    thread = threading.Thread(target=work, name=THREAD_NAME, daemon=True)
    ticker._worker, ticker._working = thread, True
    thread.start()
    assert bell.wait()
    assert os.read(reader, 10) == b"ended"
    os.waitpid(forked[0], 0)
    ticker.stop(DEADLINE)
    thread.join(DEADLINE)
    os.close(reader)
    os.close(writer)
