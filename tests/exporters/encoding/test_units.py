"""Numbers show their units, units have codes, and timestamps are checked."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters._encoding.units import (
    checked_ns,
    checked_seconds,
    code_of,
    code_of_rate,
    per_second,
    round_text,
    several,
    size_text,
    writer_of,
)


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        ("seconds", 90.0, "90s"),
        ("seconds", 86400, "86400s"),
        ("seconds", 1.23456, "1.235s"),
        ("seconds", 0.0012, "1.2ms"),
        ("seconds", -0.0000015, "-1.5us"),
        ("seconds", 2e-9, "2ns"),
        ("seconds", 1e-12, "0.001ns"),
        ("seconds", 0.0, "0s"),
        ("seconds", math.nan, "nans"),
        ("milliseconds", 1500, "1.5s"),
        ("hours", 1, "3600s"),
        ("bytes", 0, "0B"),
        ("bytes", 1023, "1023B"),
        ("bytes", 1536, "1.5KiB"),
        ("bytes", 5 * 2**40, "5TiB"),
        ("bytes", 10**400, "infB"),
        ("kilobytes", 2.048, "2KiB"),
        ("percent", 12.3456, "12.35%"),
        ("ratio", 0.123456, "0.1235"),
        ("", 3, "3"),
    ],
)
def test_a_number_shows_its_unit(unit, value, text):
    write = writer_of(unit)
    assert write is not None
    assert write(value) == text


def test_numbers_do_not_show_a_unit_without_a_sign():
    assert writer_of("requests") is None


@given(st.integers(-(2**1023) + 1, 2**1023 - 1))
def test_ints_are_exact(value):
    assert int(round_text(value)) == value


@given(st.floats(-1e308, 1e308))
def test_floats_are_right_to_four_digits(value):
    assert math.isclose(float(round_text(value)), value, rel_tol=6e-4, abs_tol=1e-323)


@pytest.mark.parametrize("value", [9999.6, 999.96, 1e4, 1e14])
def test_numbers_of_everyday_size_have_no_exponent(value):
    assert "e" not in round_text(value)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (70, "70 B"), (1536, "1.5 KiB"), (1 << 24, "16 MiB"), (20_000_000, "19.07 MiB")],
)
def test_a_size_in_a_sentence_has_a_space_before_its_unit(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(("count", "text"), [(0, "no try"), (1, "1 try"), (1000, "1000 tries")])
def test_a_noun_in_a_sentence_agrees_with_its_count(count, text):
    assert several(count, "try", "tries") == text


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("", ""),
        ("seconds", "s"),
        ("bytes", "By"),
        ("mebibytes", "MiBy"),
        ("percent", "%"),
        ("ratio", "1"),
        ("By", "By"),
        ("requests", "{request}"),
        ("open files", "{open_file}"),
        ("queries", "{query}"),
        ("processes", "{process}"),
        ("matches", "{match}"),
        ("boxes", "{box}"),
        ("series", "{series}"),
        ("status", "{status}"),
        ("hits/day", "{hits/day}"),
        ("{x}", "{_x_}"),
    ],
)
def test_a_unit_has_its_code(unit, code):
    assert code_of(unit) == code


@pytest.mark.parametrize(("code", "rate"), [("", "1/s"), ("1", "1/s"), ("By", "By/s")])
def test_a_rate_has_a_code(code, rate):
    assert code_of_rate(code) == rate


@given(st.text(min_size=1))
def test_any_other_unit_is_an_annotation_in_printable_ascii(unit):
    code = code_of(unit)
    assert code.isascii()
    assert code.isprintable()
    assert " " not in code


def test_nanoseconds_stay_and_seconds_are_whole():
    assert checked_ns(1_999_999_999) == 1_999_999_999
    assert checked_seconds(1_999_999_999) == 1
    assert checked_ns(2**63 - 1) == 2**63 - 1


@pytest.mark.parametrize("wrong", [-1, 2**63])
def test_times_before_1970_and_beyond_63_bits_are_refused(wrong):
    with pytest.raises(ValueError, match="timestamp_ns"):
        checked_ns(wrong)


@pytest.mark.parametrize("wrong", [1.5, "1", None])
def test_a_time_that_is_no_int_is_refused(wrong):
    with pytest.raises(TypeError, match="timestamp_ns"):
        checked_seconds(wrong)


@pytest.mark.parametrize(
    ("unit", "count"),
    [("seconds", 1), ("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9)],
)
def test_a_second_has_as_many_of_each_unit(unit, count):
    assert per_second(unit) == count


def test_another_unit_is_refused_with_the_list_of_units():
    with pytest.raises(ValueError, match=r"'hours': use one of seconds, milliseconds"):
        per_second("hours")
