"""Durations are read as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.duration import seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5s", 5.0),
        ("500ms", 0.5),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("1.5s", 1.5),
        (" 7 ", 7.0),
        (3, 3.0),
        (0.25, 0.25),
    ],
)
def test_a_duration_becomes_seconds(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "s", "5 s", "-5s", "0", "0s", "soon", "5y", "nan", "inf", None, True, [], -1]
)
def test_what_is_no_duration_is_an_error_that_shows_it(text):
    with pytest.raises(ValueError, match="is not a duration above 0") as raised:
        seconds(text)
    assert repr(text) in str(raised.value)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_terms_add_up(hours, minutes, rest):
    assert seconds(f"{hours}h{minutes}m{rest}s") == hours * 3600 + minutes * 60 + rest
