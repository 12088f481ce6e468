import json
import math

from hypothesis import given
from hypothesis import strategies as st

from metrics import InfoSnapshot
from metrics.exporters._encoding.json import finite_only, info_text, one_line, written

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


@given(st.dictionaries(st.text(), VALUES | st.dictionaries(st.text(), VALUES)))
def test_an_object_reads_back_with_null_for_what_is_no_finite_number(members):
    text = "".join(written(members.items()))
    assert json.loads(text, parse_constant=refuse) == finite_only(members)


def test_what_json_has_no_number_for_is_null_and_what_it_has_no_form_for_a_string():
    members = {"a": math.nan, "b": {"c": -math.inf, "d": 10**400}, "e": 1 + 2j}
    text = "".join(written(members.items()))
    assert json.loads(text) == {"a": None, "b": {"c": None, "d": None}, "e": "(1+2j)"}


def test_nothing_is_an_empty_object():
    assert "".join(written([])) == "{}"


@given(st.dictionaries(st.text(), st.text()))
def test_facts_are_a_json_object_in_order_of_names(facts):
    text = info_text(InfoSnapshot(facts))
    assert json.loads(text) == facts
    assert list(json.loads(text)) == sorted(facts)


@given(st.text(alphabet=st.characters()))
def test_a_line_is_one_line_on_every_terminal(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) == (1 if text else 0)


@given(st.text().filter(str.isprintable))
def test_what_is_printable_stays_as_it_is(text):
    assert one_line(text) == text


def test_what_is_not_printable_is_escaped():
    assert one_line("a\r\n\x1b[2J\u2028\u202e\ud800") == r"a\r\n\x1b[2J\u2028\u202e\ud800"
