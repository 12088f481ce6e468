"""Units are written as OpenTelemetry's conventions want them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.writing.ucum import code_of, code_of_rate


@pytest.mark.parametrize(
    ("unit", "code"),
    [
        ("", ""),
        ("seconds", "s"),
        ("bytes", "By"),
        ("mebibytes", "MiBy"),
        ("percent", "%"),
        ("ratio", "1"),
        ("By", "By"),
        ("requests", "{requests}"),
        ("open files", "{open_files}"),
        ("{x}", "{_x_}"),
    ],
)
def test_a_unit_has_its_code(unit, code):
    assert code_of(unit) == code


@pytest.mark.parametrize(("code", "rate"), [("", "1/s"), ("1", "1/s"), ("By", "By/s")])
def test_so_much_in_a_second_has_a_code(code, rate):
    assert code_of_rate(code) == rate


@given(st.text(min_size=1))
def test_any_other_unit_is_an_annotation_in_printable_ascii(unit):
    code = code_of(unit)
    assert code.isascii()
    assert code.isprintable()
    assert " " not in code
