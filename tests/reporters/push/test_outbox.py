"""What waits is bounded in number and in size, and the oldest goes first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.reporters._push.outbox import Outbox, Parcel
from metrics.reporters._push.payloads import LINES


def drained(outbox: Outbox) -> list[bytes]:
    payloads = []
    while (parcel := outbox.oldest()) is not None:
        payloads += parcel.bodies
        assert outbox.remove() is parcel
    return payloads


def add(outbox: Outbox, payload: bytes) -> list[bytes]:
    """Add a payload; return the evicted ones."""
    return [body for parcel in outbox.add(Parcel(payload)) for body in parcel.bodies]


def test_payloads_leave_in_the_order_in_which_they_came():
    outbox = Outbox(10, 100)
    for payload in (b"1", b"2", b"3"):
        assert add(outbox, payload) == []
    assert len(outbox) == 3
    assert drained(outbox) == [b"1", b"2", b"3"]
    assert len(outbox) == 0


def test_the_oldest_gives_way_to_the_newest():
    outbox = Outbox(2, 100)
    assert [add(outbox, b"%d" % i) for i in range(4)] == [[], [], [b"0"], [b"1"]]
    assert drained(outbox) == [b"2", b"3"]


def test_as_many_give_way_as_have_to_for_the_size():
    outbox = Outbox(10, 10)
    for payload in (b"aaaa", b"bbbb", b"cc"):
        add(outbox, payload)
    assert not outbox.has_room(1)
    assert add(outbox, b"ddddd") == [b"aaaa", b"bbbb"]
    assert drained(outbox) == [b"cc", b"ddddd"]


def test_one_that_can_never_be_held_costs_nothing_else():
    outbox = Outbox(10, 3)
    add(outbox, b"abc")
    assert add(outbox, b"abcd") == [b"abcd"]
    assert drained(outbox) == [b"abc"]


def test_it_can_be_emptied_at_once():
    outbox = Outbox(10, 3)
    add(outbox, b"ab")
    (parcel,) = outbox.clear()
    assert parcel.bodies == [b"ab"]
    assert outbox.oldest() is None
    assert outbox.has_room(3)


def test_its_limits_are_words():
    assert Outbox(5, 70).limits == "up to 5 payloads or 70 B"
    assert Outbox(1, 1 << 24).limits == "the newest payload alone, up to 16 MiB"


def test_removing_from_nothing_is_an_error():
    with pytest.raises(IndexError):
        Outbox(1, 1).remove()


@given(
    st.integers(1, 5),
    st.integers(1, 20),
    st.lists(st.one_of(st.none(), st.binary(max_size=25)), max_size=40),
)
def test_nothing_is_lost_uncounted_and_the_limits_hold(payloads, size, steps):
    outbox = Outbox(payloads, size)
    added = dropped = removed = 0
    for step in steps:
        if step is not None:
            room = outbox.has_room(len(step))
            lost = len(add(outbox, step))
            assert room == (lost == 0)
            added += 1
            dropped += lost
        elif len(outbox):
            outbox.remove()
            removed += 1
        assert added == dropped + removed + len(outbox)
    held = drained(outbox)
    assert len(held) <= payloads
    assert sum(map(len, held)) <= size
    kept = [step for step in steps if step is not None and len(step) <= size]
    assert held == kept[len(kept) - len(held) :]


def test_a_parcel_is_halved_by_series_the_halves_behind_the_other_bodies():
    parcel = Parcel(b"a\nb\nc\nd\ne\n")
    parcel.halve(LINES.decode(parcel.bodies[0]), LINES)
    assert parcel.bodies == [b"a\nb\n", b"c\nd\ne\n"]
    parcel.failures = 2
    parcel.halve(LINES.decode(parcel.bodies[0]), LINES)
    assert parcel.bodies == [b"c\nd\ne\n", b"a\n", b"b\n"]
    assert parcel.failures == 0
    parcel.advance()
    assert parcel.bodies == [b"a\n", b"b\n"]
