import pytest

from metrics._units import SCALES, base_unit, scale_of


@pytest.mark.parametrize("unit", SCALES)
def test_a_value_is_rounded_once(unit: str):
    scale = scale_of(unit)
    assert 1 in {scale.times, scale.over}
    assert scale.base == base_unit(unit)


def test_a_unit_that_is_not_listed_is_its_own():
    assert scale_of("celsius").of(2**70) == 2**70
    assert scale_of("celsius").base == base_unit("celsius") == "celsius"
