"""Numbers in the views of a snapshot."""

from metrics.exporters._encoding.numbers import Number
from metrics.instruments import MeterSnapshot, Snapshot


def number_of(snapshot: Snapshot) -> Number:
    """Return the scalar value of a single-valued snapshot, or the count of a meter."""
    scalar = snapshot.scalar
    return 0 if scalar is None else scalar


def rates_of(rates: MeterSnapshot) -> tuple[float, float, float, float]:
    """Return the averages of the last 1, 5 and 15 minutes, and the mean, in updates a second."""
    return rates.rate1, rates.rate5, rates.rate15, rates.rate_mean
