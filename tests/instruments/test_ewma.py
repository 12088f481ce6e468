from math import exp, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import EWMA, Family, Histogram, Meter, Ticker, Timer
from metrics.clock import SYSTEM_CLOCK, SystemClock
from metrics.testing import ManualClock

KNOWN = {
    1: [0.6, 0.22072766470286553, 0.08120116994196772, 0.029872241020718428, 0.01098938333324054],
    5: [0.6, 0.49123845184678905],
    15: [0.6, 0.5613041910189706],
}
MAKERS = {1: EWMA.one_minute, 5: EWMA.five_minutes, 15: EWMA.fifteen_minutes}


class GoEthereum:
    """The arithmetic of metrics/ewma.go, except that a silent rate below 1e-9 events/s is 0."""

    def __init__(self, minutes, interval):
        self.alpha = 1.0 - exp(-interval / 60.0 / minutes)
        self.interval_ns = interval * 1e9
        self.per_ns = None

    def tick(self, count):
        instant = count / self.interval_ns
        if self.per_ns is None:
            self.per_ns = instant
        else:
            self.per_ns += self.alpha * (instant - self.per_ns)
        if count == 0 and self.per_ns < 1e-18:
            self.per_ns = 0.0

    @property
    def rate(self):
        return self.per_ns * 1e9


class Averages:
    """Every kind of instrument with an average over some minutes, updated and ticked alike."""

    def __init__(self, minutes, interval):
        self.interval = interval
        self.clock = ManualClock()
        self.ewma = MAKERS[minutes](interval, self.clock)
        self.meter = Meter(interval, self.clock)
        self.family = Family(Meter, ("peer",), factory=lambda: Meter(interval, self.clock))
        self.child = self.family.labels("a")
        self.ticker = Ticker(interval, self.clock)
        self.ticked = Meter(interval, self.clock)
        self.ticker.add(self.ticked)
        self.field = f"rate{minutes}"

    def run(self, intervals, count):
        """Count events, let intervals pass, tick; return the one rate that all instruments show."""
        self.ewma.update(count)
        for meter in (self.meter, self.child, self.ticked):
            meter.mark(count)
        self.clock.advance(intervals * self.interval)
        for each in (self.ewma, self.meter, self.family, self.ticker):
            each.tick()
        shown = [getattr(meter.snapshot(), self.field) for meter in (self.meter, self.child)]
        shown += [getattr(self.ticked.snapshot(), self.field), self.ewma.rate]
        assert len(set(shown)) == 1
        return shown[0]


MINUTES = st.sampled_from([1, 5, 15])
INTERVALS = st.sampled_from([0.001, 0.1, 0.3, 1.0, 5.0, 60.0, 3600.0])
COUNTS = st.one_of(st.just(0), st.integers(0, 1000), st.integers(2**63, 2**70))


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


@given(
    MINUTES, INTERVALS, st.lists(st.tuples(COUNTS, st.floats(0.0, 0.89)), min_size=1, max_size=30)
)
def test_regular_ticks_give_the_numbers_of_go_ethereum_to_the_last_bit(minutes, interval, ticks):
    averages, reference = Averages(minutes, interval), GoEthereum(minutes, interval)
    late = 0.0
    for number, (count, delay) in enumerate(ticks):
        # The first tick averages over the age.
        intervals, late = 1.0 + delay * (number > 0) - late, delay * (number > 0)
        reference.tick(count)
        assert averages.run(intervals, count) == reference.rate


@given(
    MINUTES,
    INTERVALS,
    st.lists(st.tuples(st.integers(1, 50), COUNTS), min_size=1, max_size=20),
)
def test_a_tick_after_missed_ones_is_as_many_with_the_events_spread_evenly(
    minutes, interval, ticks
):
    averages, reference = Averages(minutes, interval), GoEthereum(minutes, interval)
    for missed, count in ticks:
        for _ in range(missed):
            reference.tick(count / missed)
        expected = pytest.approx(reference.rate, rel=1e-9, abs=2e-9)
        assert averages.run(missed, count) == expected


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_ticks_without_time_passing_count_as_an_interval_each(minutes):
    averages, reference = Averages(minutes, 5.0), GoEthereum(minutes, 5.0)
    for count in (3, 0, 7, 7):
        reference.tick(count)
        assert averages.run(0, count) == reference.rate


@pytest.mark.parametrize("interval", [0.1, 0.3, 1 / 3])
def test_rounding_never_adds_up_to_a_missed_tick(interval):
    clock = ManualClock()
    average, meter = EWMA.five_minutes(interval, clock), Meter(interval, clock)
    reference = GoEthereum(5, interval)
    for tick in range(36_000):
        average.update(tick % 3)
        meter.mark(tick % 3)
        clock.advance(interval)
        average.tick()
        meter.tick()
        reference.tick(tick % 3)
        assert average.rate == meter.snapshot().rate5 == reference.rate


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_a_slow_drift_never_adds_up_to_a_missed_tick(minutes):
    averages, reference = Averages(minutes, 5.0), GoEthereum(minutes, 5.0)
    for _ in range(100):
        reference.tick(50)
        assert averages.run(1.0 + 0.09, 50) == reference.rate


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_a_steady_rate_survives_a_suspended_process(minutes):
    averages = Averages(minutes, 5.0)
    for _ in range(3):
        averages.run(1, 50)
    for missed in (12, 1, 2.04, 1.96, 720, 1, 10**9, 1):
        assert averages.run(missed, round(50 * missed)) == pytest.approx(10.0, rel=0.03)


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_an_idle_rate_reaches_zero(minutes):
    averages = Averages(minutes, 5.0)
    averages.run(1, 50)
    ticks = 0
    while (rate := averages.run(1, 0)) > 0.0:
        assert rate > 0.99e-9
        ticks += 1
        assert ticks < 5000
    assert averages.run(1, 0) == 0.0
    averages.run(1, 50)
    assert averages.run(10**9, 0) == 0.0
    # A tiny rate of an instrument that is in use stays.
    assert EWMA.one_minute().rate == 0.0
    rare = EWMA(1e-15, 1.0, ManualClock())
    rare.tick()
    rare.update()
    rare.tick()
    assert rare.rate == pytest.approx(1e-15)


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_the_first_tick_averages_over_the_age(minutes):
    for age, rate in [(60, 10.0), (12.5, 10.0), (1.5, 10.0), (1.0, 10.0)]:
        assert Averages(minutes, 5.0).run(age, round(50 * age)) == pytest.approx(rate)


@pytest.mark.parametrize("minutes", [1, 5, 15])
def test_a_burst_just_before_the_first_tick_counts_over_an_interval(minutes):
    assert Averages(minutes, 5.0).run(0.001, 50) == 10.0
    assert Averages(minutes, 5.0).run(1.05, 50) == 10.0


class SteppingClock:
    """Clock whose monotonic time a test sets, to earlier times too."""

    now = 100.0

    def monotonic(self):
        return self.now

    def monotonic_ns(self):
        return int(self.now * 1e9)

    time, time_ns = monotonic, monotonic_ns


@pytest.mark.parametrize("step", [-1e9, -50.0, -0.001])
def test_a_clock_that_steps_back_ends_one_interval(step):
    clock, reference = SteppingClock(), GoEthereum(1, 5.0)
    average, meter = EWMA.one_minute(clock=clock), Meter(clock=clock)
    for count, passed in [(50, 5.0), (7, step), (50, 5.0), (50, step), (3, step), (20, 5.0)]:
        clock.now += passed
        average.update(count)
        meter.mark(count)
        average.tick()
        meter.tick()
        reference.tick(count)
        assert average.rate == meter.snapshot().rate1 == reference.rate


def test_a_clock_that_steps_back_before_the_first_tick_gives_the_rate_of_an_interval():
    clock = SteppingClock()
    average = EWMA.one_minute(clock=clock)
    average.update(50)
    clock.now = 0.0
    average.tick()
    assert average.rate == 10.0


def test_the_rates_of_a_timer_are_those_of_a_meter():
    clock = ManualClock()
    meter, timer = Meter(clock=clock), Timer(Histogram(), clock=clock)
    timers = Family(Timer, ("peer",), factory=lambda: Timer(clock=clock))
    child = timers.labels("a")
    for passed, count in [(60, 9), (5, 3), (60, 8), (0, 2), (5 * 10**9, 1), (5, 0)]:
        clock.advance(passed)
        meter.mark(count)
        for _ in range(count):
            timer.update(0.1)
            child.update(0.1)
        for each in (meter, timer, timers):
            each.tick()
        assert timer.snapshot().rates == meter.snapshot() == child.snapshot().rates


MADE = {
    "EWMA": lambda **options: EWMA(0.5, **options),
    "Meter": Meter,
    "Ticker": Ticker,
    "Timer": Timer,
}


@pytest.mark.parametrize("name", MADE)
def test_an_interval_that_is_not_positive_and_finite_is_refused(name):
    for interval in (0, -1.0, inf, -inf, nan):
        with pytest.raises(ValueError, match=rf"^{name}\(interval\) takes .*, got "):
            MADE[name](interval=interval)
    for interval in ("5", None, b"5", [5]):
        with pytest.raises(TypeError, match=rf"^{name}\(interval\) takes a number, got "):
            MADE[name](interval=interval)


@pytest.mark.parametrize("name", ["EWMA", "Meter", "Ticker"])
def test_a_clock_that_is_none_is_refused_with_the_remedy(name):
    class Partial:
        monotonic = monotonic_ns = time = staticmethod(int)
        time_ns = 5

        def __repr__(self):
            return "partial"

    for clock, shown in [
        (None, r"None \(NoneType\)"),
        (5.0, r"5\.0 \(float\)"),
        (Partial(), r"partial \(Partial\)"),
        (SystemClock, r"<class 'metrics\.clock\.SystemClock'> \(type\)"),
    ]:
        with pytest.raises(
            TypeError,
            match=rf"^{name}\(clock\) takes a clock, got {shown}; pass SYSTEM_CLOCK, or an object "
            "with the methods monotonic, monotonic_ns, time, time_ns$",
        ):
            MADE[name](clock=clock)


def test_a_clock_of_the_programs_own_is_taken():
    for clock in (SYSTEM_CLOCK, SystemClock(), ManualClock(), SteppingClock()):
        for maker in (*MAKERS.values(), Meter, Ticker):
            maker(clock=clock)


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
