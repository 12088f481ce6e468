"""Numbers are written in the fewest digits that read back as the same number."""

import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metrics import Registry
from tests.exporters.page_reading import page


def written(value: float) -> str:
    registry = Registry()
    registry.gauge("x").set(value)
    return page(registry).rpartition(" ")[2].removesuffix("\n")


def written_count(value: int) -> str:
    registry = Registry()
    registry.int_gauge("x").set(value)
    return page(registry).rpartition(" ")[2].removesuffix("\n")


def following(value: float, steps: int) -> float:
    """Return the float so many steps after a positive one."""
    (bits,) = struct.unpack("<q", struct.pack("<d", value))
    (result,) = struct.unpack("<d", struct.pack("<q", bits + steps))
    return result


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(0.0)
@example(-0.0)
@example(5e-324)
@example(0.1 + 0.2)
@example(1e16)
def test_floats_are_written_as_repr_writes_them(value):
    assert written(value) == repr(value)


@given(
    st.integers(-7, 41),
    st.integers(-3, 3) | st.integers(0, 2**52),
    st.sampled_from([1.0, -1.0]),
)
def test_floats_beside_powers_of_two_are_written_as_repr_writes_them(exponent, steps, sign):
    value = sign * following(2.0**exponent, steps)
    assert written(value) == repr(value)


@given(st.integers(0, 10**12), st.integers(0, 9))
def test_decimals_are_written_as_repr_writes_them(digits, places):
    value = digits / 10**places
    assert written(value) == repr(value)


@given(st.integers(0, 2**39), st.integers(1, 40))
def test_ties_are_rounded_as_repr_rounds_them(whole, bits):
    value = whole + 2.0**-bits
    assert written(value) == repr(value)


@given(st.lists(st.sampled_from([0.042, 0.1, 0.3, 1 / 3, 7.7]), min_size=1, max_size=50))
def test_sums_are_written_as_repr_writes_them(amounts):
    assert written(sum(amounts)) == repr(float(sum(amounts)))


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf")]
)
def test_what_is_no_number_has_the_word_of_the_format(value, text):
    assert written(value) == text


@given(st.integers() | st.integers(-1100, 1100) | st.integers(10**5, 10**7))
@example(999)
@example(1000)
@example(999_999)
@example(1_000_000)
@example(1_000_000_000)
@example(2**60 - 1)
@example(2**60)
@example(2**63)
def test_ints_are_written_exactly(value):
    assert written_count(value) == str(value)


@pytest.mark.parametrize(("value", "text"), [(10**400, "+Inf"), (-(10**400), "-Inf")])
def test_ints_beyond_a_float_are_infinite(value, text):
    assert written_count(value) == text
