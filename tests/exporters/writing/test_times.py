import pytest

from metrics.exporters.writing.times import checked_ns, checked_seconds, per_second


def test_nanoseconds_stay_and_seconds_are_whole():
    assert checked_ns(1_999_999_999) == 1_999_999_999
    assert checked_seconds(1_999_999_999) == 1
    assert checked_ns(2**63 - 1) == 2**63 - 1


@pytest.mark.parametrize("wrong", [-1, 2**63])
def test_times_before_1970_and_beyond_63_bits_are_refused(wrong):
    with pytest.raises(ValueError, match="timestamp_ns"):
        checked_ns(wrong)


@pytest.mark.parametrize("wrong", [1.5, "1", None])
def test_what_is_no_int_is_refused(wrong):
    with pytest.raises(TypeError, match="timestamp_ns"):
        checked_seconds(wrong)


@pytest.mark.parametrize(
    ("unit", "count"),
    [("seconds", 1), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)],
)
def test_a_second_has_so_many(unit, count):
    assert per_second(unit) == count


def test_another_unit_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"one of seconds, milliseconds.*got 'hours'"):
        per_second("hours")
