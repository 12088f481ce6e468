from math import exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import EWMA

KNOWN = {
    1: [0.6, 0.22072766470286553, 0.08120116994196772, 0.029872241020718428, 0.01098938333324054],
    5: [0.6, 0.49123845184678905],
    15: [0.6, 0.5613041910189706],
}
MAKERS = {1: EWMA.one_minute, 5: EWMA.five_minutes, 15: EWMA.fifteen_minutes}


def rates(average, minutes):
    """Return the rate after a first tick and after each of some silent minutes."""
    average.update(3)
    average.tick()
    yield average.rate
    for _ in range(minutes):
        for _ in range(12):
            average.tick()
        yield average.rate


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_the_rate_decays_by_the_known_numbers(minutes):
    expected = KNOWN[minutes]
    assert [*rates(MAKERS[minutes](), len(expected) - 1)] == pytest.approx(
        expected, rel=0, abs=1e-16
    )


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_the_rate_falls_to_a_fraction_e_in_its_time(minutes):
    for minute, rate in enumerate(rates(MAKERS[minutes](), 15)):
        assert rate == pytest.approx(0.6 * exp(-minute / minutes), rel=1e-12)


def test_there_is_no_rate_before_the_first_tick():
    average = EWMA.one_minute()
    average.update(100)
    assert average.rate == 0.0


def test_a_silent_first_interval_sets_the_rate_to_zero():
    average = EWMA(0.5, interval=1.0)
    average.tick()
    average.update(8)
    average.tick()
    assert average.rate == 4.0


def test_the_interval_scales_the_rate():
    average = EWMA.one_minute(interval=2.0)
    average.update(3)
    average.tick()
    assert average.rate == 1.5


@given(
    st.floats(0.001, 1.0),
    st.floats(0.1, 60.0),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=20),
)
def test_the_rate_stays_between_the_rates_it_averages(alpha, interval, counts):
    average = EWMA(alpha, interval)
    for count in counts:
        average.update(count)
        average.tick()
    slack = 1e-9 * max(counts) / interval
    assert min(counts) / interval - slack <= average.rate <= max(counts) / interval + slack


def test_a_weight_outside_zero_to_one_is_refused():
    for alpha in (0.0, -0.5, 1.5):
        with pytest.raises(ValueError, match=f"got {alpha}"):
            EWMA(alpha)
    with pytest.raises(ValueError, match=r"got 0\.0"):
        EWMA(0.5, interval=0)
    with pytest.raises(TypeError, match="'x'"):
        EWMA("x")


def test_the_repr_shows_rate_weight_and_interval():
    assert repr(EWMA(0.5, 2.0)) == "EWMA(rate=0.0, alpha=0.5, interval=2.0)"
