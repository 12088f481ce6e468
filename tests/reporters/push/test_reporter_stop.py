"""A reporter ends on time and with everything delivered, whatever its server does."""

import threading
from time import monotonic

import pytest

from metrics.errors import LifecycleError, StopTimeoutError
from metrics.reporters._push import reporter as reporter_module
from metrics.reporters._transports.endpoint import endpoint_of
from metrics.reporters._transports.http import Http
from metrics.reporters._transports.tcp import Tcp
from metrics.reporters._transports.transport import Unavailable
from metrics.testing import ManualClock
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
from tests.reporters.standins import Recorded
from tests.reporters.waiting import DEADLINE, FOREVER, ended
from tests.reporters.workers import OFTEN, Numbers, reporter_of


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


@pytest.fixture
def cut_soon(monkeypatch):
    """Cut a last report after 0.2 of the `DEADLINE` seconds that a busy machine may take to end."""
    monkeypatch.setattr(reporter_module, "WORKING", 0.02)


@pytest.mark.usefixtures("cut_soon")
@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("handler", [silent, dripping(b"HTTP/1.1 2"), hanging_up])
def test_a_server_that_fails_does_not_hold_up_the_stop(handler, secure):
    with Server(handler) as server:
        url = server.url.replace("http:", "https:") if secure else server.url
        transport = Http(endpoint_of(url), headers={}, connect_timeout=FOREVER)
        reporter = reporter_of(Numbers(), transport)
        reporter.start()
        ended(lambda: reporter.stop(DEADLINE))
        assert not reporter.running


@pytest.mark.usefixtures("cut_soon")
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
        ended(lambda: reporter.stop(DEADLINE))
        assert not reporter.running


@pytest.mark.usefixtures("cut_soon")
def test_a_server_that_does_not_accept_does_not_hold_up_the_stop():
    with full_backlog() as port:
        reporter = reporter_of(Numbers(), Tcp(LOOPBACK, port, connect_timeout=FOREVER))
        reporter.start()
        ended(lambda: reporter.stop(DEADLINE))
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
    # What it was report, and the last report.
    assert transport.payloads == [b"1", b"2"]
    numbers.action = None
    reporter.start()
    reporter.stop()
    # One more, or several if the interval has passed meanwhile.
    assert len(transport.payloads) > 2
    assert transport.payloads == [b"%d" % n for n, _ in enumerate(transport.payloads, 1)]


def test_nothing_is_lost_when_a_server_is_killed_and_restarted():
    """The server is away for some reports; every one arrives, once and in order."""
    clock = ManualClock()
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
