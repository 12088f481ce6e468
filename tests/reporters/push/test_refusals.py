"""A payload that a server does not take costs the others nothing, and little of itself."""

import logging
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.reporters._push.payloads import LINES
from metrics.reporters._push.sender import HALVINGS, REFUSALS, TRIES
from metrics.reporters._transports.transport import (
    Malformed,
    PartlyTaken,
    Rejected,
    TooLarge,
    Unavailable,
)
from metrics.testing import ManualClock
from tests.reporters.standins import Recorded, new_sender, new_statistics

BROKEN = "h:1 answered 500 oops"


class Bench:
    """A sender of lines and all that belongs to it."""

    def __init__(self, fault=bool, **options) -> None:
        self.clock = ManualClock()
        self.transport = Recorded(fault)
        self.statistics = new_statistics()
        options = {"codec": LINES, "size": 1 << 20, **options}
        self.sender = new_sender(self.transport, self.clock, self.statistics, **options)

    def deliver(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.sender.add(payload)
        self.sender.deliver()

    def retry(self) -> None:
        self.clock.advance(60.0)
        self.sender.deliver()

    @property
    def lines(self) -> list[bytes]:
        return [line for payload in self.transport.payloads for line in LINES.decode(payload)]

    @property
    def counts(self) -> tuple[int, int, int]:
        sent, failed, dropped, _ = self.statistics
        return sent.count, failed.count, dropped.count


def numbers(count: int, first: int = 0) -> bytes:
    return LINES.encode([b"%d" % number for number in range(first, first + count)])


def logged(caplog) -> list[str]:
    return [f"{record.levelname} {record.getMessage()}" for record in caplog.records]


@pytest.fixture(autouse=True)
def everything_is_logged(caplog):
    caplog.set_level(logging.INFO)


def poisoned(payload: bytes) -> None:
    if b"bad" in payload:
        raise Unavailable(BROKEN, blames_payload=True)


@pytest.mark.parametrize("codec", [None, LINES])
def test_a_payload_that_a_server_cannot_handle_is_dropped_after_some_tries(caplog, codec):
    bench = Bench(poisoned, codec=codec)
    bench.deliver(b"1", b"bad", b"2", b"3")
    for wait in (1.0, 2.0):
        assert bench.transport.payloads == [b"1"]
        assert bench.sender.due == bench.clock.monotonic() + wait
        bench.clock.advance(wait)
        bench.sender.deliver()
    # The pause after the last failure is one before the next payload.
    assert bench.transport.payloads == [b"1"]
    bench.clock.advance(4.0)
    bench.sender.deliver()
    assert bench.transport.payloads == [b"1", b"2", b"3"]
    assert [payload for payload, _ in bench.transport.tries].count(b"bad") == TRIES
    assert bench.counts == (3, TRIES, 1)
    outage, dropped, back, again = logged(caplog)
    assert outage.startswith("WARNING db cannot deliver: h:1 answered 500 oops; it keeps")
    assert dropped.startswith("ERROR db: a payload was refused and is dropped")
    assert dropped.endswith("h:1 answered 500 oops (3 times)")
    assert back == "INFO db reaches its server again, after 7 s and 3 tries; it dropped no payload"
    assert again == "INFO db: payloads are taken again, after 1 refusal"


def test_poisoned_payloads_in_a_row_are_one_line_in_the_log(caplog):
    bench = Bench(poisoned)
    bench.deliver(b"bad 1", b"bad 2", b"bad 3", b"good")
    for _ in range(3 * TRIES):
        bench.retry()
    assert bench.transport.payloads == [b"good"]
    assert bench.counts == (1, 3 * TRIES, 3)
    assert [line.split()[0] for line in logged(caplog)] == ["WARNING", "ERROR", "INFO", "INFO"]
    assert logged(caplog)[-1].endswith("after 3 refusals")


def test_the_pauses_of_a_server_that_handles_nothing_go_on_growing():
    bench = Bench(poisoned)
    bench.deliver(b"bad 1", b"bad 2", b"bad 3")
    waits = []
    while bench.sender.due < float("inf"):
        waits.append(bench.sender.due - bench.clock.monotonic())
        bench.clock.advance(waits[-1])
        bench.sender.deliver()
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


def test_a_server_that_is_away_costs_no_payload():
    faults = [Unavailable("refused"), Unavailable("busy", 3.0), Unavailable("", unanswered=True)]

    def away(_payload: bytes) -> None:
        raise faults[len(bench.transport.tries) % 3]

    bench = Bench(away)
    bench.deliver(b"1", b"2")
    for _ in range(100):
        bench.retry()
    assert {payload for payload, _ in bench.transport.tries} == {b"1"}
    bench.transport.fault = bool
    bench.retry()
    assert bench.transport.payloads == [b"1", b"2"]
    assert bench.counts == (2, 101, 0)


def test_answers_are_counted_also_with_lost_connections_between_them():
    errors = [Unavailable(BROKEN, blames_payload=True), Unavailable("reset", unanswered=True)]

    def fault(payload: bytes) -> None:
        if payload == b"bad":
            raise errors[len(bench.transport.tries) % 2]

    bench = Bench(fault)
    bench.deliver(b"bad", b"good")
    for _ in range(2 * TRIES):
        bench.retry()
    assert bench.transport.payloads == [b"good"]
    assert bench.counts[2] == 1


def test_in_the_end_a_poisoned_payload_holds_up_no_other():
    bench = Bench(poisoned)
    bench.sender.ends = bench.clock.monotonic() + 5.0
    bench.deliver(b"bad", b"1", b"bad", b"2")
    assert bench.transport.payloads == [b"1", b"2"]
    assert bench.counts == (2, 2, 2)


def test_in_the_end_a_broken_server_does_not_get_everything():
    bench = Bench(poisoned, payloads=100)
    bench.sender.ends = bench.clock.monotonic() + 5.0
    bench.deliver(*[b"bad %d" % number for number in range(50)])
    bench.sender.finish()
    assert len(bench.transport.tries) == TRIES + 1
    assert bench.counts == (0, TRIES + 1, 50)


def at_most(size: int):
    def fault(payload: bytes) -> None:
        if len(payload) > size:
            raise TooLarge(f"answered 413 to {len(payload)} B")

    return fault


def test_a_payload_too_large_is_halved_until_it_fits(caplog):
    bench = Bench(at_most(100))
    bench.deliver(numbers(300))
    assert sorted(map(int, bench.lines)) == list(range(300))
    assert all(len(payload) <= 100 for payload in bench.transport.payloads)
    # Once for each halving, however many bodies there are: the others of that size are not tried.
    refused = bench.statistics.failed.count
    assert refused <= ceil(log2(len(numbers(300)) / 100)) + 2
    assert bench.counts == (1, refused, 0)
    assert logged(caplog) == []


def test_the_size_is_remembered():
    bench = Bench(at_most(100))
    bench.deliver(numbers(300))
    failed = bench.statistics.failed.count
    for report in range(5):
        bench.deliver(numbers(300, 1000 * report))
    # Lines are a little longer now.
    assert bench.statistics.failed.count <= failed + 1
    assert len(set(bench.lines)) == 300 + 4 * 300
    assert bench.statistics.dropped.count == 0


def test_the_one_series_too_large_is_named_and_left_out(caplog):
    bench = Bench(at_most(100))
    bench.deliver(numbers(50) + b"x" * 200 + b"\n" + numbers(50, 50))
    assert sorted(map(int, bench.lines)) == list(range(100))
    assert bench.statistics.dropped.count == 1
    (line,) = logged(caplog)
    assert f"{'x' * 200}: answered 413 to 201 B" in line
    # The next ones are as large as the server takes.
    bench.deliver(numbers(100, 200))
    assert len(bench.lines) == 200
    assert all(len(payload) > 50 for payload in bench.transport.payloads[-4:])


def test_a_server_for_which_everything_is_too_large_gets_a_bounded_number_of_requests(caplog):
    bench = Bench(at_most(0))
    for _ in range(3):
        before = len(bench.transport.tries)
        bench.deliver(numbers(2000))
        assert len(bench.transport.tries) - before <= REFUSALS
    assert bench.counts[2] == 3
    (line,) = logged(caplog)
    assert "answered 413" in line


def without(*bad: int):
    def fault(payload: bytes) -> None:
        if {b"%d" % number for number in bad} & set(LINES.decode(payload)):
            raise Malformed("h:1 answered 400 bad value")

    return fault


@pytest.mark.parametrize("bad", [0, 1, 500, 998, 999])
def test_a_refused_series_is_found_and_named_and_the_rest_is_delivered(caplog, bad):
    bench = Bench(without(bad))
    bench.deliver(numbers(1000), b"next\n")
    assert sorted(map(int, bench.lines[:-1])) == sorted(set(range(1000)) - {bad})
    assert bench.lines[-1] == b"next"
    assert len(bench.transport.tries) <= 2 * ceil(log2(1000)) + 2
    assert (bench.counts[0], bench.counts[2]) == (1, 1)
    (line,) = logged(caplog)
    assert line.startswith("ERROR db: the server refused a series, which is dropped")
    assert line.endswith(f"{bad}: h:1 answered 400 bad value")


def test_a_refused_series_is_logged_once_for_all_reports(caplog):
    bench = Bench(without(7, 70))
    for _ in range(5):
        bench.deliver(numbers(100))
    assert len(bench.lines) == 5 * 98
    first, second = logged(caplog)
    assert first.endswith("7: h:1 answered 400 bad value")
    assert second.endswith("70: h:1 answered 400 bad value")
    assert bench.counts[2] == 5


@pytest.mark.parametrize(
    ("bad", "delivered"), [(range(1000, 1020), 1900), ((5, 700, 1500), 1900), (range(2000), 0)]
)
def test_many_refused_series_cost_a_bounded_number_of_requests(caplog, bad, delivered):
    bench = Bench(without(*bad))
    bench.deliver(numbers(2000))
    assert len(bench.transport.tries) <= 1 + 2 * HALVINGS
    assert len(bench.lines) >= delivered
    assert "or one of the" in caplog.text


def test_a_server_that_takes_nothing_is_tested_once_until_it_takes_a_payload(caplog):
    def refuse(_payload: bytes) -> None:
        raise Malformed("h:1 answered 400 no such database")

    bench = Bench(refuse)
    bench.deliver(numbers(100))
    assert len(bench.transport.tries) <= 1 + 2 * HALVINGS
    tries = len(bench.transport.tries)
    for _ in range(5):
        bench.deliver(numbers(100))
    assert len(bench.transport.tries) == tries + 5
    assert bench.counts[2] == 6
    (line,) = logged(caplog)
    assert line.startswith("ERROR db: a payload was refused and is dropped")
    assert "no such database" in line
    bench.transport.fault = bool
    bench.deliver(numbers(3))
    bench.transport.fault = without(5)
    bench.deliver(numbers(10))
    assert len(bench.lines) == 3 + 9


def test_the_only_series_of_a_payload_is_named(caplog):
    bench = Bench(without(0))
    bench.deliver(numbers(1))
    (line,) = logged(caplog)
    assert line.endswith("h:1 answered 400 bad value; series: 0")


@pytest.mark.parametrize("error", [Rejected("answered 401"), Malformed("answered 400")])
def test_a_payload_that_cannot_be_split_is_refused_as_a_whole(error):
    def refuse(_payload: bytes) -> None:
        raise error

    bench = Bench(refuse, codec=None)
    bench.deliver(numbers(10), numbers(10))
    assert len(bench.transport.tries) == 2
    assert bench.counts == (0, 2, 2)


def test_a_refusal_that_is_not_about_series_is_not_narrowed_down():
    def refuse(_payload: bytes) -> None:
        raise Rejected("answered 401")

    bench = Bench(refuse)
    bench.deliver(numbers(10))
    assert len(bench.transport.tries) == 1


def test_the_rest_of_a_payload_that_is_partly_taken_is_not_sent_again(caplog):
    def take_partly(_payload: bytes) -> None:
        raise PartlyTaken("left out 3 points")

    bench = Bench(take_partly)
    bench.deliver(numbers(10), numbers(10))
    assert len(bench.transport.tries) == 2
    assert bench.counts == (0, 2, 2)
    (line,) = logged(caplog)
    assert line.endswith("left out 3 points")


@given(st.sets(st.integers(0, 63)), st.lists(st.booleans(), max_size=60), st.integers(20, 400))
def test_whatever_is_refused_no_line_is_delivered_twice_and_the_others_are_not_held_up(
    bad, outages, size
):
    away = iter(outages)

    def fault(payload: bytes) -> None:
        if next(away, False):
            raise Unavailable("away")
        at_most(size)(payload)
        without(*bad)(payload)

    bench = Bench(fault)
    bench.deliver(numbers(64), b"next\n")
    for _ in outages:
        bench.retry()
    assert bench.lines[-1] == b"next"
    delivered = [int(line) for line in bench.lines[:-1]]
    assert len(set(delivered)) == len(delivered)
    assert not bad & set(delivered)
    if len(bad) <= 2:
        assert set(delivered) == set(range(64)) - bad
    assert bench.statistics.failed.count - sum(outages) <= REFUSALS + 1
    assert bench.counts[2] == (1 if bad else 0)
