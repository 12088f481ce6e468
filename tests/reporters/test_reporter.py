"""A reporter reports once an interval, ends on time, and reports all that there was."""

import logging
import os
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

from metrics.clock import SYSTEM_CLOCK
from metrics.errors import LifecycleError, StopTimeoutError
from metrics.reporters.delivery import Unavailable
from metrics.reporters.endpoint import endpoint_of
from metrics.reporters.http import Http
from metrics.reporters.reporter import Reporter
from metrics.reporters.tcp import Tcp
from tests.fakes import FakeClock
from tests.reporters.servers import (
    LOOPBACK,
    Server,
    Web,
    dripping,
    full_backlog,
    hanging_up,
    response,
    silent,
)
from tests.reporters.transports import Recorded, new_statistics
from tests.reporters.waiting import DEADLINE, FOREVER, ended

OFTEN = 0.002


class Numbers:
    """Gives one number after another; `action` is done first."""

    def __init__(self, action=None) -> None:
        self.action = action
        self.count = 0
        self.asked = threading.Semaphore(0)

    def __call__(self) -> Iterator[bytes]:
        self.count += 1
        number = self.count
        self.asked.release()
        if self.action is not None:
            self.action()
        yield b"%d" % number


def reporter_of(collect, transport, **options) -> Reporter:
    options = {"interval": FOREVER, "timeout": FOREVER, **options}
    return Reporter("db", collect, transport, new_statistics(), **options)


def workers() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("metrics-reporter")]


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
    clock = FakeClock()
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
    clock = FakeClock()
    transport = Recorded()
    reporter = reporter_of(
        Numbers(lambda: clock.advance(25.0)), transport, clock=clock, interval=10
    )
    for count in range(1, 4):
        clock.advance(10.0)
        reporter._step()
        assert len(transport.payloads) == count


def test_a_server_slower_than_the_interval_gets_what_it_can_take():
    clock = FakeClock()
    transport = Recorded(lambda _: clock.advance(25.0))
    reporter = reporter_of(Numbers(), transport, clock=clock, interval=10, buffered=3)
    for count in range(1, 6):
        clock.advance(10.0)
        reporter._step()
        assert len(transport.payloads) >= count
    assert transport.payloads == sorted(transport.payloads)


def test_what_cannot_be_read_is_logged_once_until_it_can(caplog):
    clock = FakeClock()
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
    assert "db cannot read what it reports; it tries again every 10.0 s" in caplog.text


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


def test_a_report_is_delivered_before_the_server_was_tried_again_at_the_stop():
    def away(_):
        raise Unavailable("away", retry_after=FOREVER)

    transport = Recorded(away)
    reporter = reporter_of(Numbers(), transport, interval=OFTEN)
    with reporter:
        deadline = monotonic() + DEADLINE
        while not transport.tries:
            assert monotonic() < deadline
        transport.fault = bool
    assert transport.payloads == [
        b"%d" % number for number in range(1, len(transport.payloads) + 1)
    ]
    assert transport.payloads


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("handler", [silent, dripping(b"HTTP/1.1 2"), hanging_up])
def test_a_server_that_fails_does_not_hold_up_the_stop(handler, secure):
    with Server(handler) as server:
        url = server.url.replace("http:", "https:") if secure else server.url
        transport = Http(endpoint_of(url), headers={}, connect_timeout=FOREVER)
        reporter = reporter_of(Numbers(), transport)
        reporter.start()
        ended(lambda: reporter.stop(0.3))
        assert not reporter.running


def test_a_delivery_that_is_going_on_does_not_hold_up_the_stop():
    asked = threading.Event()

    def handler(connection) -> None:
        connection.recv(1)
        asked.set()
        silent(connection)

    with Server(handler) as server:
        transport = Http(endpoint_of(server.url), headers={}, connect_timeout=FOREVER)
        reporter = reporter_of(Numbers(), transport, interval=OFTEN)
        reporter.start()
        assert asked.wait(DEADLINE)
        ended(lambda: reporter.stop(0.3))
        assert not reporter.running


def test_a_server_that_does_not_accept_does_not_hold_up_the_stop():
    with full_backlog() as port:
        reporter = reporter_of(Numbers(), Tcp(LOOPBACK, port, connect_timeout=FOREVER))
        reporter.start()
        ended(lambda: reporter.stop(0.3))
        assert not reporter.running


def test_a_stop_with_no_time_left_ends_soon_all_the_same():
    transport = Recorded()
    reporter = reporter_of(Numbers(), transport)
    reporter.start()
    worker = reporter._worker
    try:
        reporter.stop(0.0)
    except StopTimeoutError:
        worker.join(DEADLINE)
    assert not worker.is_alive()
    assert transport.payloads == []


def test_reading_that_hangs_is_reported_and_ends_when_it_returns():
    go_on = threading.Event()
    numbers = Numbers(lambda: go_on.wait(DEADLINE))
    transport = Recorded()
    reporter = reporter_of(numbers, transport)
    reporter.start()
    worker = reporter._worker
    with pytest.raises(StopTimeoutError, match=r"metrics-reporter-db has not ended after 0\.05 s"):
        reporter.stop(0.05)
    assert reporter.running
    assert transport.aborted.is_set()
    with pytest.raises(LifecycleError, match="has not ended yet"):
        reporter.start()
    go_on.set()
    worker.join(DEADLINE)
    assert not reporter.running
    assert transport.payloads == []


def test_it_can_be_started_again():
    transport = Recorded()
    numbers = Numbers()
    reporter = reporter_of(numbers, transport)
    for count in (1, 2, 3):
        reporter.start()
        reporter.stop()
        assert len(transport.payloads) == transport.closed == count


def test_stops_at_once_wait_for_one_last_report():
    transport = Recorded()
    reporter = reporter_of(Numbers(), transport)
    reporter.start()
    gate = threading.Barrier(8)

    def stop() -> None:
        gate.wait(DEADLINE)
        reporter.stop()
        stopped.append(reporter.running)

    stopped: list[bool] = []
    threads = [threading.Thread(target=stop) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert stopped == [False] * 8
    assert transport.payloads == [b"1"]


def test_it_can_be_stopped_from_what_it_reads():
    transport = Recorded()
    numbers = Numbers()
    reporter = reporter_of(numbers, transport, interval=OFTEN)
    numbers.action = reporter.stop
    reporter.start()
    worker = reporter._worker
    worker.join(DEADLINE)
    assert not reporter.running
    # What it was reading, and the last report.
    assert transport.payloads == [b"1", b"2"]
    numbers.action = None
    reporter.start()
    reporter.stop()
    assert transport.payloads == [b"1", b"2", b"3"]


def test_nothing_is_lost_when_a_server_is_killed_and_restarted():
    """The server is away for some reports; every one arrives, once and in order."""
    clock = FakeClock()
    web = Web(response(204))
    numbers = Numbers()
    server: Server | None = Server(web)
    port = server.port
    transport = Http(endpoint_of(server.url), headers={}, connect_timeout=DEADLINE)
    reporter = reporter_of(numbers, transport, clock=clock, interval=10.0, timeout=DEADLINE)
    for up in (True, True, False, False, False, True, False, True):
        if up and server is None:
            server = Server(web, port=port)
        elif not up and server is not None:
            server.close()
            server = None
        clock.advance(70.0)
        reporter._step()
    server.close()
    transport.close()
    assert web.bodies == [b"%d" % number for number in range(1, numbers.count + 1)]
    assert numbers.count == 8


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
