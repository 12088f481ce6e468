"""Numbers read back as what they were, and have no exponent."""

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.writing.decimals import decimal, finite


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
def test_what_is_no_finite_number_is_none(value):
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
