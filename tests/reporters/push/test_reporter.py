"""A reporter reports once an interval, ends on time, and reports all that there was."""

import logging
import os
import threading
from time import monotonic

import pytest

from metrics.clock import SYSTEM_CLOCK
from metrics.testing import ManualClock
from tests.reporters.standins import Recorded
from tests.reporters.waiting import DEADLINE
from tests.reporters.workers import OFTEN, Numbers, reporter_of, workers


def test_it_reports_every_interval_from_one_thread():
    transport = Recorded()
    reporter = reporter_of(Numbers(), transport, interval=OFTEN)
    assert workers() == []
    with reporter:
        assert reporter.running
        assert workers() == ["metrics-reporter-db"]
        transport.wait_for(3)
    assert not reporter.running
    assert workers() == []
    assert transport.payloads[:3] == [b"1", b"2", b"3"]
    assert transport.closed == 1


def test_the_last_report_is_made_at_the_stop_and_once():
    transport = Recorded()
    reporter = reporter_of(Numbers(), transport)
    reporter.start()
    reporter.start()
    reporter.stop()
    assert transport.payloads == [b"1"]
    reporter.stop()
    assert transport.payloads == [b"1"]


def test_reports_are_due_on_a_grid_and_those_missed_are_skipped():
    clock = ManualClock()
    transport = Recorded()
    numbers = Numbers()
    reporter = reporter_of(numbers, transport, interval=10.0, clock=clock)
    reporter._due = clock.monotonic() + 10.0
    for passed, count in ((9.9, 0), (0.1, 1), (0.0, 1), (9.0, 1), (1.0, 2), (35.0, 3), (4.0, 3)):
        clock.advance(passed)
        reporter._step()
        assert numbers.count == count
    clock.advance(1.0)
    reporter._step()
    assert transport.payloads == [b"1", b"2", b"3", b"4"]


def test_collecting_that_takes_longer_than_the_interval_does_not_keep_from_delivering():
    clock = ManualClock()
    transport = Recorded()
    reporter = reporter_of(
        Numbers(lambda: clock.advance(25.0)), transport, clock=clock, interval=10
    )
    for count in range(1, 4):
        clock.advance(10.0)
        reporter._step()
        assert len(transport.payloads) == count


def test_a_server_slower_than_the_interval_gets_what_it_can_take():
    clock = ManualClock()
    transport = Recorded(lambda _: clock.advance(25.0))
    reporter = reporter_of(Numbers(), transport, clock=clock, interval=10, buffered=3)
    for count in range(1, 6):
        clock.advance(10.0)
        reporter._step()
        assert len(transport.payloads) >= count
    assert transport.payloads == sorted(transport.payloads)


def test_what_cannot_be_read_is_logged_once_until_it_can(caplog):
    clock = ManualClock()
    faults = [ZeroDivisionError("a"), SystemExit(), KeyboardInterrupt(), None, ValueError("b")]

    def collect():
        fault = faults.pop(0)
        if fault is not None:
            raise fault
        yield b"fine"

    transport = Recorded()
    reporter = reporter_of(collect, transport, clock=clock, interval=10.0)
    for _ in range(5):
        clock.advance(10.0)
        reporter._step()
    assert transport.payloads == [b"fine"]
    assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError, ValueError]
    assert "db cannot read what it reports; it tries again every 10 s, which" in caplog.text


def test_a_failing_read_does_not_end_the_worker():
    transport = Recorded()
    numbers = Numbers()

    def fail_at_first():
        if numbers.count < 3:
            raise SystemExit

    numbers.action = fail_at_first
    with reporter_of(numbers, transport, interval=OFTEN):
        transport.wait_for(2)
    assert transport.payloads[0] == b"3"


def test_what_a_report_gave_before_it_failed_is_delivered():
    def collect():
        yield b"half"
        raise ValueError

    transport = Recorded()
    with reporter_of(collect, transport):
        pass
    assert transport.payloads == [b"half"]


def test_it_can_be_started_again():
    transport = Recorded()
    numbers = Numbers()
    reporter = reporter_of(numbers, transport)
    for count in (1, 2, 3):
        reporter.start()
        reporter.stop()
        assert len(transport.payloads) == transport.closed == count


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("interval", 0, ValueError),
        ("interval", "10", TypeError),
        ("timeout", -1, ValueError),
        ("timeout", float("inf"), ValueError),
        ("buffered", 0, ValueError),
        ("buffered", 1.5, TypeError),
        ("buffered_bytes", 0, ValueError),
    ],
)
def test_a_wrong_option_is_named(option, value, error):
    with pytest.raises(error, match=f"^{option} takes"):
        reporter_of(Numbers(), Recorded(), **{option: value})


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_nothing_runs_in_a_forked_process():
    transport = Recorded()
    reporter = reporter_of(Numbers(), transport)
    reporter.start()
    child = os.fork()
    if child == 0:
        started = monotonic()
        reporter.stop(DEADLINE)
        quiet = workers() == [] and not reporter.running and not transport.tries
        os._exit(0 if quiet and monotonic() - started < DEADLINE else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    reporter.stop()
    assert transport.payloads == [b"1"]


def test_no_thread_is_an_error_of_the_start(monkeypatch):
    def start(_thread):
        raise RuntimeError("can't start new thread")

    reporter = reporter_of(Numbers(), Recorded())
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        reporter.start()
    assert not reporter.running
    reporter.stop()


def test_its_repr_says_what_it_does(caplog):
    caplog.set_level(logging.DEBUG)
    reporter = reporter_of(Numbers(), Recorded(), clock=SYSTEM_CLOCK, interval=30)
    assert repr(reporter) == "<Reporter 'db' every 30.0 s, stopped>"
    assert reporter.name == "db"
    with reporter:
        assert repr(reporter).endswith("running>")
    assert caplog.text == ""
