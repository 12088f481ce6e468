"""Numbers read back as they were, in the notation of each format."""

import math
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.utils import floatToGoString

from metrics.exporters._encoding.numbers import canonical, clamp, decimal, finite, go_float


@given(st.integers(-(2**1023) + 1, 2**1023 - 1) | st.floats(allow_nan=False))
def test_a_number_within_the_range_of_floats_stays_as_it_is(value):
    assert clamp(value) == value
    assert type(clamp(value)) is type(value)
    float(clamp(value))


def test_an_int_beyond_every_float_is_infinite():
    assert clamp(10**5000) == math.inf
    assert clamp(-(10**5000)) == -math.inf


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_reads_back_as_it_was(value):
    text = decimal(value)
    assert float(text) == value
    assert set(text) <= set("-.0123456789")
    assert "." in text


@given(st.integers())
def test_an_int_is_exact_up_to_64_bits_and_a_float_beyond(value):
    found = finite(value)
    if -(2**63) <= value < 2**63:
        assert (type(found), decimal(found)) == (int, str(value))
    else:
        assert (type(found), found) == (float, float(value))


@pytest.mark.parametrize("value", [nan, inf, -inf, 10**400, -(10**400), None, "1"])
def test_a_value_that_is_no_finite_number_is_none(value):
    assert finite(value) is None


def test_a_bool_is_an_int():
    assert decimal(finite(True)) == "1"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e21, "1000000000000000000000.0"),
        (1.5e-7, "0.00000015"),
        (-1e16, "-10000000000000000.0"),
        (0.1, "0.1"),
        (7, "7"),
    ],
)
def test_large_and_small_numbers_have_all_their_zeros(value, text):
    assert decimal(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (12_500_000.0, "1.25e+07"),
        (12345.0, "12345"),
        (54321.98, "54321.98"),
        (0.0, "0"),
        (-0.0, "-0"),
        (999_999.0, "999999"),
        (1e6, "1e+06"),
        (123_456_789.0, "1.23456789e+08"),
        (-1.5e21, "-1.5e+21"),
        (1e100, "1e+100"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (5e-324, "5e-324"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_floats_are_written_as_go_writes_them(value: float, text: str):
    assert go_float(value) == text


@given(st.floats(allow_nan=False))
def test_a_float_of_go_reads_back_as_it_was(value: float):
    assert float(go_float(value)) == value
    assert float(canonical(value)) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_digit_is_written_that_is_not_needed(value: float):
    def digits(text: str) -> str:
        mantissa = text.partition("e")[0].removesuffix(".0")
        return mantissa.replace(".", "").strip("-0")

    assert digits(go_float(value)) == digits(repr(value))


@pytest.mark.parametrize("exponent", range(-10, 11))
def test_powers_of_ten_are_canonical(exponent: int):
    value = float(f"1e{exponent}")
    assert canonical(value) == floatToGoString(value).replace("e+010", "e+10")


@given(st.integers(0, 10_000))
def test_thousandths_up_to_ten_are_canonical(thousandths: int):
    assert canonical(thousandths / 1000) == floatToGoString(thousandths / 1000)
