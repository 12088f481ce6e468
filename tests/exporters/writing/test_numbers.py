"""Numbers stay what they are as long as a float can hold them."""

import math

from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.writing.numbers import bounded


@given(st.integers(-(2**1023) + 1, 2**1023 - 1) | st.floats(allow_nan=False))
def test_what_a_float_can_hold_stays_as_it_is(value):
    assert bounded(value) == value
    assert type(bounded(value)) is type(value)
    float(bounded(value))


def test_an_int_beyond_every_float_is_infinite():
    assert bounded(10**5000) == math.inf
    assert bounded(-(10**5000)) == -math.inf
