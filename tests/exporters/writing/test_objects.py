"""Objects are valid JSON whatever is in them."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.writing.objects import finite_only, written

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
