import pytest

from metrics.exporters.timestamps import checked_ns, checked_seconds


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
