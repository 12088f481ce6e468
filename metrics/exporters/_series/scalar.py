"""Scalar values of single-valued snapshots."""

from metrics.exporters._encoding.numbers import Number
from metrics.instruments import Snapshot


def number_of(snapshot: Snapshot) -> Number:
    """Return the scalar value of a single-valued snapshot, or the count of a meter."""
    scalar = snapshot.scalar
    return 0 if scalar is None else scalar
