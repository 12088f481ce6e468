import pytest

from metrics.exporters.writing.units import FACTORS, SCALES, scale_of
from metrics.names import BASE_UNITS


def test_every_unit_with_a_base_unit_has_a_factor():
    assert FACTORS.keys() == BASE_UNITS.keys()


@pytest.mark.parametrize("unit", SCALES)
def test_a_value_is_rounded_once(unit: str):
    scale = scale_of(unit)
    assert 1 in {scale.times, scale.over}
    assert scale.base == BASE_UNITS[unit]


def test_a_unit_that_is_not_listed_is_its_own():
    assert scale_of("celsius").of(2**70) == 2**70
    assert scale_of("celsius").base == "celsius"
