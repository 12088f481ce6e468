"""Every instrument of one number has it, and rates come in one order."""

import pytest

from metrics import Counter, FloatCounter, Gauge, Healthcheck, IntGauge, Meter, UpDownCounter
from metrics.exporters._series.views import number_of


@pytest.mark.parametrize(
    ("instrument", "update", "expected"),
    [
        (Counter(), lambda counter: counter.inc(3), 3),
        (FloatCounter(), lambda counter: counter.inc(0.5), 0.5),
        (UpDownCounter(), lambda counter: counter.dec(2), -2),
        (Gauge(), lambda gauge: gauge.set(1.5), 1.5),
        (IntGauge(), lambda gauge: gauge.set(2**70), 2**70),
        (Meter(), lambda meter: meter.mark(4), 4),
    ],
)
def test_it_is_the_count_or_the_value(instrument, update, expected):
    update(instrument)
    assert number_of(instrument.snapshot()) == expected


@pytest.mark.parametrize(("healthy", "expected"), [(True, 1), (False, 0)])
def test_a_health_check_is_1_when_healthy(healthy, expected):
    check = Healthcheck(lambda: healthy)
    check.check()
    assert number_of(check.snapshot()) == expected
