"""Fixtures for pytest: a container, its clock and its ticker, and what was recorded of it.

Each may be overridden in a conftest.py by a fixture of the same name, and those that use it then
have that one. What a fixture needs is imported when it is used: every run of pytest loads this.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.lifecycle import MetricsContainer
    from metrics.testing import ManualClock, ManualTicker
    from metrics.testing.recording import Changes


@pytest.fixture
def manual_clock() -> ManualClock:
    """A clock that stands still until the test calls its `advance(seconds)`."""
    from metrics.testing.clock import ManualClock

    return ManualClock()


@pytest.fixture
def manual_ticker(manual_clock: ManualClock) -> Iterator[ManualTicker]:
    """A started ticker without a thread: `advance(seconds)` moves `manual_clock` and ticks."""
    from metrics.testing.ticker import ManualTicker

    with ManualTicker(clock=manual_clock) as ticker:
        yield ticker


@pytest.fixture
def metrics_container(
    manual_clock: ManualClock, manual_ticker: ManualTicker
) -> Iterator[MetricsContainer]:
    """A running MetricsContainer with `manual_clock` and `manual_ticker`, stopped after the test.

    Override it to have your own container started, stopped and recorded.
    """
    from dependency_injector import providers

    from metrics.lifecycle import MetricsContainer
    from metrics.testing.overriding import overridden

    # In a provider, because it is started and stopped by the fixture that it comes from.
    ticker = providers.Object(manual_ticker)
    with overridden(MetricsContainer(), clock=manual_clock, ticker=ticker) as container:
        container.init_resources()
        try:
            yield container
        finally:
            container.shutdown_resources()


@pytest.fixture
def recorded_metrics(metrics_container: MetricsContainer) -> Iterator[Changes]:
    """What changed in `metrics_container` since the test began: recorded_metrics["name"].count."""
    from metrics.testing.recording import recorded

    with recorded(metrics_container) as changes:
        yield changes
