import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.writing.paths import checked_prefix, node, path, plain, tag_name


@given(st.text())
def test_plain_keeps_letters_digits_and_four_marks_in_their_places(text):
    found = plain(text)
    assert len(found) == len(text)
    for before, after in zip(text, found, strict=True):
        kept = before.isalpha() or before in "0123456789-_./"
        assert after == (before if kept else "_")


@given(st.lists(st.text(), max_size=4))
def test_a_path_has_no_empty_node_and_nothing_that_ends_a_path(names):
    nodes = path(*names).split(".")
    assert all(nodes)
    assert not re.search(r"[\s/;:|@#]", path(*names))


@given(st.text())
def test_a_node_is_one_node(text):
    assert path("a", node(text), "b").split(".") == ["a", node(text), "b"]


def test_slashes_and_dots_both_part_nodes():
    assert path("geth.", "rpc/requests.total//x", "") == "geth.rpc.requests.total.x"
    assert node("/a.b") == "_a_b"


@pytest.mark.parametrize(("function", "text"), [(path, "/"), (node, ""), (tag_name, "")])
def test_what_must_not_be_empty_is_an_underscore(function, text):
    assert function(text) == "_"


def test_a_prefix_is_text():
    assert checked_prefix("namespace", "geth.") == "geth."
    with pytest.raises(TypeError, match="namespace is a str, got None"):
        checked_prefix("namespace", None)
