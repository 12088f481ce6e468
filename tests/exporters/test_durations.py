"""Durations are written in the unit that was asked for."""

import pytest

from metrics.exporters.durations import per_second


@pytest.mark.parametrize(
    ("unit", "count"),
    [("seconds", 1), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)],
)
def test_a_second_has_so_many(unit, count):
    assert per_second(unit) == count


def test_another_unit_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"one of seconds, milliseconds.*got 'hours'"):
        per_second("hours")
