"""Payloads arrive in order, what can be kept is kept, and the log tells an operator what to do."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.reporters._transports.transport import Rejected, Unavailable
from metrics.testing import ManualClock
from tests.reporters.standins import Recorded, new_sender, new_statistics


def away(_payload: bytes) -> None:
    raise Unavailable("h:1: refused")


def refuse(_payload: bytes) -> None:
    raise Rejected("h:1 answered 400 no such database")


class Bench:
    """A sender and all that belongs to it."""

    def __init__(self, **options) -> None:
        self.clock = ManualClock()
        self.transport = Recorded()
        self.statistics = new_statistics()
        self.sender = new_sender(self.transport, self.clock, self.statistics, **options)

    def add(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.sender.add(payload)

    @property
    def counts(self) -> tuple[int, int, int]:
        sent, failed, dropped, _ = self.statistics
        return sent.count, failed.count, dropped.count


@pytest.fixture
def bench(caplog):
    caplog.set_level(logging.INFO)
    return Bench()


def lines(caplog) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


def test_payloads_are_delivered_in_order_and_nothing_is_logged(bench, caplog):
    bench.add(b"1", b"2", b"3")
    bench.sender.deliver()
    assert bench.transport.payloads == [b"1", b"2", b"3"]
    assert bench.counts == (3, 0, 0)
    assert bench.statistics.latency.snapshot().count == 3
    assert lines(caplog) == []


def test_after_a_failure_it_waits_longer_and_longer_and_then_goes_on_where_it_was(bench):
    bench.transport.fault = away
    bench.add(b"1", b"2")
    for wait in (1.0, 2.0, 4.0):
        bench.sender.deliver()
        assert bench.sender.due == bench.clock.monotonic() + wait
        bench.clock.advance(wait - 0.01)
        bench.sender.deliver()
        bench.clock.advance(0.01)
    assert [payload for payload, _ in bench.transport.tries] == [b"1"] * 3
    bench.transport.fault = bool
    bench.sender.deliver()
    assert bench.transport.payloads == [b"1", b"2"]
    assert bench.counts == (2, 3, 0)


def test_a_server_that_asks_for_time_gets_it(bench):
    def busy(_payload):
        raise Unavailable("busy", retry_after=30.0)

    bench.transport.fault = busy
    bench.add(b"1")
    bench.sender.deliver()
    assert bench.sender.due == bench.clock.monotonic() + 30.0


def test_an_outage_is_logged_once_and_so_is_its_end(bench, caplog):
    bench.transport.fault = away
    bench.add(b"1")
    for _ in range(3):
        bench.sender.deliver()
        bench.clock.advance(60.0)
    bench.transport.fault = bool
    bench.sender.deliver()
    assert lines(caplog) == [
        (
            "WARNING db cannot deliver: h:1: refused; it keeps up to 5 payloads or 100 B, "
            "tries again in 1.0 s, then less and less often, and logs when it works again"
        ),
        "INFO db reaches its server again, after 180 s and 3 tries; it dropped no payload",
    ]


def test_the_next_outage_is_logged_again(bench, caplog):
    for _ in range(2):
        bench.transport.fault = away
        bench.add(b"1")
        bench.sender.deliver()
        bench.clock.advance(60.0)
        bench.transport.fault = bool
        bench.sender.deliver()
    assert [line.split()[0] for line in lines(caplog)] == ["WARNING", "INFO"] * 2


def test_the_oldest_are_dropped_and_counted_and_it_is_logged_how_many(bench, caplog):
    bench.transport.fault = away
    bench.add(*[b"%d" % number for number in range(4)])
    bench.sender.deliver()
    bench.add(*[b"%d" % number for number in range(4, 8)])
    bench.clock.advance(60.0)
    bench.transport.fault = bool
    bench.sender.deliver()
    assert bench.transport.payloads == [b"3", b"4", b"5", b"6", b"7"]
    assert bench.counts == (5, 1, 3)
    told = lines(caplog)
    assert len(told) == 3
    assert told[1].startswith("ERROR db drops payloads, the oldest first: it keeps up to 5 ")
    assert "`buffered`" in told[1]
    assert told[2].startswith("WARNING db reaches its server again")
    assert told[2].endswith("after 60 s and 1 try; it dropped 3 payloads")


def test_a_report_larger_than_the_buffer_is_delivered_while_it_is_made(bench, caplog):
    payloads = [b"%d" % number for number in range(50)]
    bench.add(*payloads)
    bench.sender.deliver()
    assert bench.transport.payloads == payloads
    assert bench.counts == (50, 0, 0)
    assert lines(caplog) == []


def test_a_payload_that_can_never_be_kept_is_logged_once(bench, caplog):
    for _ in range(3):
        bench.add(bytes(101), b"fits")
        bench.sender.deliver()
    assert bench.transport.payloads == [b"fits"] * 3
    assert bench.counts == (3, 0, 3)
    (line,) = lines(caplog)
    assert "the newest has 101 B" in line
    assert "`buffered_bytes`" in line


def test_where_the_newest_replaces_what_was_before_nothing_is_said_of_it(caplog):
    caplog.set_level(logging.INFO)
    bench = Bench(payloads=1, size=10)
    bench.transport.fault = away
    bench.add(b"1")
    bench.sender.deliver()
    bench.add(b"2", b"3")
    bench.transport.fault = bool
    bench.clock.advance(60)
    bench.sender.deliver()
    assert bench.transport.payloads == [b"3"]
    assert bench.counts == (1, 1, 0)
    assert [line.split()[0] for line in lines(caplog)] == ["WARNING", "INFO"]
    assert lines(caplog)[-1].endswith("it dropped no payload")
    bench.add(b"x" * 11)
    assert lines(caplog)[-1].startswith("ERROR db drops payloads")
    assert bench.counts == (1, 1, 1)


def test_what_is_refused_is_dropped_not_retried_and_logged_once(bench, caplog):
    bench.transport.fault = refuse
    bench.add(b"1", b"2", b"3")
    bench.sender.deliver()
    assert [payload for payload, _ in bench.transport.tries] == [b"1", b"2", b"3"]
    assert bench.counts == (0, 3, 3)
    (line,) = lines(caplog)
    assert line.startswith("ERROR db: a payload was refused and is dropped")
    assert line.endswith("h:1 answered 400 no such database")
    bench.transport.fault = bool
    bench.add(b"4")
    bench.sender.deliver()
    bench.transport.fault = refuse
    bench.add(b"5")
    bench.sender.deliver()
    _, again, refused = lines(caplog)
    assert again == "INFO db: payloads are taken again, after 3 refusals"
    assert refused == line


def test_a_server_that_comes_back_and_refuses_is_no_longer_away(bench, caplog):
    bench.transport.fault = away
    bench.add(b"1", b"2")
    bench.sender.deliver()
    bench.clock.advance(60.0)
    bench.transport.fault = refuse
    bench.sender.deliver()
    assert bench.counts == (0, 3, 2)
    assert [line.split()[0] for line in lines(caplog)] == ["WARNING", "INFO", "ERROR"]


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), SystemExit(), KeyboardInterrupt()])
def test_a_fault_of_the_transport_costs_that_payload_only(bench, caplog, error):
    def fault(payload):
        if payload == b"bad":
            raise error

    bench.transport.fault = fault
    bench.add(b"1", b"bad", b"2")
    bench.sender.deliver()
    assert bench.transport.payloads == [b"1", b"2"]
    assert bench.counts == (2, 1, 1)
    assert type(error).__name__ in caplog.text


def test_it_makes_way_for_what_is_due_but_gets_on(bench):
    bench.add(b"1", b"2", b"3")
    bench.sender.deliver(bench.clock.monotonic())
    assert bench.transport.payloads == [b"1"]
    bench.sender.deliver(bench.clock.monotonic() + 1.0)
    assert bench.transport.payloads == [b"1", b"2", b"3"]


def test_in_the_end_a_server_that_was_away_is_tried_once_more(bench):
    bench.transport.fault = away
    bench.add(b"1")
    bench.sender.deliver()
    bench.transport.fault = bool
    bench.sender.ends = bench.clock.monotonic() + 2.0
    bench.sender.deliver()
    assert bench.transport.payloads == [b"1"]
    assert [timeout for _, timeout in bench.transport.tries] == [5.0, 2.0]


def test_when_the_time_is_over_nothing_is_tried(bench, caplog):
    bench.sender.ends = bench.clock.monotonic()
    bench.add(b"1", b"2")
    bench.sender.deliver()
    bench.sender.finish()
    assert bench.transport.tries == []
    assert bench.counts == (0, 0, 2)
    (line,) = lines(caplog)
    assert line == (
        "ERROR db ends and has lost 2 payloads that it could not deliver: "
        "the time for its end was over"
    )


def test_what_is_left_is_counted_once_and_forgotten(bench, caplog):
    bench.transport.fault = away
    bench.sender.ends = bench.clock.monotonic() + 2.0
    bench.add(b"1", b"2")
    bench.sender.deliver()
    bench.sender.finish()
    bench.sender.finish()
    assert bench.counts == (0, 1, 2)
    assert bench.transport.closed == 2
    (line,) = lines(caplog)
    assert line.endswith("2 payloads that it could not deliver: h:1: refused")


def test_what_was_dropped_meanwhile_is_told_with_what_is_lost_in_the_end(bench, caplog):
    bench.transport.fault = away
    bench.add(b"1")
    bench.sender.deliver()
    bench.add(*[b"%d" % number for number in range(2, 9)])
    bench.sender.finish()
    assert bench.counts == (0, 1, 8)
    assert lines(caplog)[-1].startswith("ERROR db ends and has lost 8 payloads that it could not")


@given(st.lists(st.sampled_from(["add", "add", "deliver", "fail", "refuse", "work", "wait"])))
def test_whatever_happens_the_order_holds_and_every_payload_is_accounted_for(steps):
    bench = Bench(payloads=3)
    added = 0
    faults = {"fail": away, "refuse": refuse, "work": bool}
    for step in steps:
        if step == "add":
            bench.add(b"%d" % added)
            added += 1
        elif step == "deliver":
            bench.sender.deliver()
        elif step == "wait":
            bench.clock.advance(60.0)
        else:
            bench.transport.fault = faults[step]
    bench.sender.finish()
    delivered = [int(payload) for payload in bench.transport.payloads]
    assert delivered == sorted(set(delivered))
    sent, _, dropped = bench.counts
    assert sent == len(delivered)
    assert sent + dropped == added
