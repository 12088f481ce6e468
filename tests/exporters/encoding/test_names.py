"""Names and tags keep their letters and places, and nothing in them ends a name or a line."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters._encoding.names import (
    checked_prefix,
    checked_tags,
    merge_tags,
    node,
    path,
    plain,
    tag_name,
)


@given(st.text())
def test_letters_digits_and_four_marks_are_kept_in_their_places(text):
    found = plain(text)
    assert len(found) == len(text)
    for before, after in zip(text, found, strict=True):
        kept = before.isalpha() or before in "0123456789-_./"
        assert after == (before if kept else "_")


@given(st.lists(st.text(), max_size=4))
def test_a_path_has_no_empty_node_and_no_character_that_ends_a_path(names):
    nodes = path(*names).split(".")
    assert all(nodes)
    assert not re.search(r"[\s/;:|@#]", path(*names))


@given(st.text())
def test_a_node_is_one_node(text):
    assert path("a", node(text), "b").split(".") == ["a", node(text), "b"]


def test_slashes_and_dots_both_separate_nodes():
    assert path("geth.", "rpc/requests.total//x", "") == "geth.rpc.requests.total.x"
    assert node("/a.b") == "_a_b"


@pytest.mark.parametrize(("function", "text"), [(path, "/"), (node, ""), (tag_name, "")])
def test_an_empty_path_node_or_name_is_an_underscore(function, text):
    assert function(text) == "_"


def test_a_prefix_is_text():
    assert checked_prefix("namespace", "geth.") == "geth."
    with pytest.raises(TypeError, match="invalid namespace None"):
        checked_prefix("namespace", None)


def test_tags_come_in_name_order():
    assert list(checked_tags({"b": "1", "a": "2"}).items()) == [("a", "2"), ("b", "1")]


@pytest.mark.parametrize("wrong", [None, [("a", "b")], {"a": 1}, {1: "a"}])
def test_tags_that_are_not_text_are_refused(wrong):
    with pytest.raises(TypeError, match="mapping of str to str"):
        checked_tags(wrong)


def test_a_tag_without_a_name_is_refused():
    with pytest.raises(ValueError, match="use a name that is not empty"):
        checked_tags({"": "x"})


def test_a_label_takes_the_place_of_a_tag():
    assert merge_tags({"host": "a", "z": "1"}, (("host", "b"),), str, str) == [
        ("host", "b"),
        ("z", "1"),
    ]


def test_an_empty_value_is_left_out_and_takes_no_place():
    assert merge_tags({"host": "a", "z": ""}, (("host", ""),), str, str) == [("host", "a")]


def test_names_that_are_written_alike_stay_apart():
    pairs = merge_tags({}, (("a", "1"), ("A", "2"), ("time", "3")), str.upper, str, {"TIME"})
    assert pairs == [("A", "2"), ("A_", "1"), ("TIME_", "3")]
