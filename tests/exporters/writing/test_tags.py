import pytest

from metrics.exporters.writing.tags import checked_tags, merged


def upper(text: str) -> str:
    return text.upper()


def test_tags_come_in_name_order():
    assert list(checked_tags({"b": "1", "a": "2"}).items()) == [("a", "2"), ("b", "1")]


@pytest.mark.parametrize("wrong", [None, [("a", "b")], {"a": 1}, {1: "a"}])
def test_tags_that_are_not_text_are_refused(wrong):
    with pytest.raises(TypeError, match="mapping of str to str"):
        checked_tags(wrong)


def test_a_tag_without_a_name_is_refused():
    with pytest.raises(ValueError, match="tags holds one without a name"):
        checked_tags({"": "x"})


def test_a_label_takes_the_place_of_a_tag():
    assert merged({"host": "a", "z": "1"}, (("host", "b"),), str, str) == [
        ("host", "b"),
        ("z", "1"),
    ]


def test_an_empty_value_is_left_out_and_takes_no_place():
    assert merged({"host": "a", "z": ""}, (("host", ""),), str, str) == [("host", "a")]


def test_names_that_are_written_alike_stay_apart():
    pairs = merged({}, (("a", "1"), ("A", "2"), ("time", "3")), upper, str, {"TIME"})
    assert pairs == [("A", "2"), ("A_", "1"), ("TIME_", "3")]
