"""Waits double, half of each is chance, and what a server asks for counts."""

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.reporters._push.backoff import LONGEST, LONGEST_REQUESTED, Backoff


class Chance:
    """A random source that gives what it is told."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        return self.value


def waits(chance: float, count: int) -> list[float]:
    backoff = Backoff(Chance(chance))
    return [backoff.wait_after_failure() for _ in range(count)]


def test_waits_double_up_to_a_minute():
    assert waits(1.0, 9) == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_half_of_a_wait_is_chance():
    assert waits(0.0, 4) == [0.5, 1.0, 2.0, 4.0]
    assert waits(0.5, 2) == [0.75, 1.5]


def test_two_clients_do_not_wait_alike():
    first, second = Backoff(random.Random(1)), Backoff(random.Random(2))
    assert [first.wait_after_failure() for _ in range(5)] != [
        second.wait_after_failure() for _ in range(5)
    ]


def test_a_success_begins_anew():
    backoff = Backoff(Chance(1.0))
    for _ in range(5):
        backoff.wait_after_failure()
    assert backoff.failures == 5
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.wait_after_failure() == 1.0


@pytest.mark.parametrize(
    ("asked", "wait"), [(0.0, 1.0), (0.2, 1.0), (30.0, 30.0), (1e9, LONGEST_REQUESTED)]
)
def test_what_the_server_asks_for_is_the_least_within_reason(asked, wait):
    assert Backoff(Chance(1.0)).wait_after_failure(asked) == wait


@given(st.floats(0.0, 1.0, exclude_max=True), st.integers(1, 3000))
def test_waits_are_bounded_and_never_shrink_however_often_it_fails(chance, count):
    values = waits(chance, count)
    assert all(0.5 <= value <= LONGEST for value in values)
    assert all(before <= after for before, after in pairwise(values))
