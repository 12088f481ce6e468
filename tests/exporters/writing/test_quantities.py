"""Numbers are rounded sensibly and come in the unit that suits them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.writing.quantities import rounded, several, size_text, writer_of


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


def test_of_a_unit_without_a_sign_numbers_show_nothing():
    assert writer_of("requests") is None


@given(st.integers(-(2**1023) + 1, 2**1023 - 1))
def test_ints_are_exact(value):
    assert int(rounded(value)) == value


@given(st.floats(-1e308, 1e308))
def test_floats_are_right_to_four_digits(value):
    assert math.isclose(float(rounded(value)), value, rel_tol=6e-4, abs_tol=1e-323)


@pytest.mark.parametrize("value", [9999.6, 999.96, 1e4, 1e14])
def test_numbers_of_everyday_size_have_no_exponent(value):
    assert "e" not in rounded(value)


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (70, "70 B"), (1536, "1.5 KiB"), (1 << 24, "16 MiB"), (20_000_000, "19.07 MiB")],
)
def test_a_size_in_a_sentence_has_a_space_before_its_unit(size, text):
    assert size_text(size) == text


@pytest.mark.parametrize(("count", "text"), [(0, "no try"), (1, "1 try"), (1000, "1000 tries")])
def test_what_is_counted_in_a_sentence_agrees_with_its_number(count, text):
    assert several(count, "try", "tries") == text
