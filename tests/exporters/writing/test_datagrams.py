"""Payloads hold whole lines, all of them, and no more than fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.writing.datagrams import datagrams

lines = st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), min_size=1))


@given(lines, st.integers(1, 60))
def test_every_line_arrives_once_or_is_reported(texts, size):
    dropped = []
    payloads = list(datagrams([f"{t}\n" for t in texts], dropped=dropped.append, size=size))
    assert all(0 < len(payload) <= size for payload in payloads)
    arrived = [line for payload in payloads for line in payload.decode().split("\n")]
    assert arrived == [text for text in texts if len(text.encode()) <= size]
    assert dropped == [f"{text}\n" for text in texts if len(text.encode()) > size]


def test_as_much_as_fits_goes_into_one_payload():
    texts = ["aa\n", "bb\n", "c\n", "d\n"]
    assert list(datagrams(texts, dropped=pytest.fail, size=5)) == [b"aa\nbb", b"c\nd"]


def test_lines_that_belong_together_travel_together():
    texts = ["aaaa:1|g\n", "b:0|g\nb:-1|g\n"]
    payloads = list(datagrams(texts, dropped=pytest.fail, size=16))
    assert payloads == [b"aaaa:1|g", b"b:0|g\nb:-1|g"]


def test_no_lines_are_no_payload():
    assert list(datagrams([], dropped=pytest.fail)) == []


def test_a_size_that_holds_nothing_is_refused_at_once():
    with pytest.raises(ValueError, match="size"):
        datagrams([], dropped=pytest.fail, size=0)
