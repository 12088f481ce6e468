"""Increments are read once, however totals grow, vanish or are reset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters._series.deltas import Deltas


def read(deltas: Deltas, now_ns: int, totals: dict[str, int]) -> dict[str, tuple[int, int]]:
    deltas.begin(10, now_ns)
    added = {}
    for key, total in totals.items():
        since_ns, (value,) = deltas.added(key, (total,))
        added[key] = (since_ns, value)
    deltas.end()
    return added


@given(st.lists(st.lists(st.integers(0, 1 << 70), min_size=3, max_size=3), max_size=9))
def test_what_was_added_makes_the_total(passes):
    deltas = Deltas()
    totals, sums = [0, 0, 0], [0, 0, 0]
    for index, amounts in enumerate(passes):
        totals = [total + amount for total, amount in zip(totals, amounts, strict=True)]
        deltas.begin(0, index)
        _, added = deltas.added("a", tuple(totals))
        deltas.end()
        sums = [total + amount for total, amount in zip(sums, added, strict=True)]
    assert sums == totals


def test_every_interval_begins_where_the_last_one_ended():
    deltas = Deltas()
    assert read(deltas, 20, {"a": 1}) == {"a": (10, 1)}
    assert read(deltas, 30, {"a": 3}) == {"a": (20, 2)}
    assert read(deltas, 40, {"a": 3}) == {"a": (30, 0)}


def test_what_is_new_has_been_there_since_the_last_pass_at_most():
    deltas = Deltas()
    read(deltas, 20, {"a": 1})
    assert read(deltas, 30, {"a": 1, "b": 5}) == {"a": (20, 0), "b": (20, 5)}


def test_a_total_that_was_reset_counts_whole():
    deltas = Deltas()
    read(deltas, 20, {"a": 7})
    assert read(deltas, 30, {"a": 2}) == {"a": (20, 2)}


def test_the_first_of_totals_that_belong_together_says_whether_they_were_reset():
    deltas = Deltas()
    deltas.begin(0, 1)
    deltas.added("a", (2, 5.0))
    deltas.end()
    deltas.begin(0, 2)
    assert deltas.added("a", (3, 4.0)) == (1, (1, -1.0))
    deltas.end()
    deltas.begin(0, 3)
    assert deltas.added("a", (1, 9.0)) == (2, (1, 9.0))


def test_what_was_gone_for_a_pass_is_new():
    deltas = Deltas()
    read(deltas, 20, {"a": 7})
    read(deltas, 30, {})
    assert read(deltas, 40, {"a": 9}) == {"a": (30, 9)}


def test_a_pass_that_was_abandoned_is_not_read_twice():
    deltas = Deltas()
    read(deltas, 20, {"a": 1, "b": 1})
    deltas.begin(10, 30)
    assert deltas.added("a", (4,)) == (20, (3,))
    assert read(deltas, 40, {"a": 5, "b": 5}) == {"a": (30, 1), "b": (20, 4)}


@pytest.mark.parametrize("now_ns", [5, 15])
def test_no_interval_ends_before_it_begins(now_ns):
    deltas = Deltas()
    read(deltas, 20, {"a": 1})
    assert read(deltas, now_ns, {"a": 2, "b": 1}) == {"a": (now_ns, 1), "b": (now_ns, 1)}
