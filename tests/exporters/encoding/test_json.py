"""Any value is valid JSON."""

import json
import math

from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters._encoding.json import finite_only, object_text

VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()


def refuse(name):
    raise AssertionError(f"{name} is not JSON")


@given(st.dictionaries(st.text(), VALUES | st.dictionaries(st.text(), VALUES)))
def test_an_object_reads_back_with_null_for_nan_and_infinities(members):
    text = "".join(object_text(members.items()))
    assert json.loads(text, parse_constant=refuse) == finite_only(members)


def test_a_number_outside_json_is_null_and_any_other_value_a_string():
    members = {"a": math.nan, "b": {"c": -math.inf, "d": 10**400}, "e": 1 + 2j}
    text = "".join(object_text(members.items()))
    assert json.loads(text) == {"a": None, "b": {"c": None, "d": None}, "e": "(1+2j)"}


def test_no_members_are_an_empty_object():
    assert "".join(object_text([])) == "{}"
