"""Fixtures for pytest: a container, its clock and ticker, its recording, and the leak check.

A fixture of the same name in a conftest.py replaces one of these, for the other ones too. Imports
are made when a fixture is used, because every run of pytest loads this module.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metrics.lifecycle import MetricsContainer
    from metrics.testing import ManualClock, ManualTicker
    from metrics.testing.leaks._check import Check
    from metrics.testing.recording import Changes


@pytest.fixture
def manual_clock() -> ManualClock:
    """Return a clock that stands still until the test calls its `advance(seconds)`."""
    from metrics.testing._clock import ManualClock

    return ManualClock()


@pytest.fixture
def manual_ticker(manual_clock: ManualClock) -> Iterator[ManualTicker]:
    """Provide a started ticker whose `advance(seconds)` moves `manual_clock`, and ticks."""
    from metrics.testing._ticker import ManualTicker

    with ManualTicker(clock=manual_clock) as ticker:
        yield ticker


@pytest.fixture
def metrics_container(
    manual_clock: ManualClock, manual_ticker: ManualTicker
) -> Iterator[MetricsContainer]:
    """Provide a running MetricsContainer with `manual_clock` and `manual_ticker`.

    It is stopped after the test. Override this fixture to have your own container recorded.
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
    """Provide the changes in `metrics_container` in the test: recorded_metrics["name"].count."""
    from metrics.testing.recording import recorded

    with recorded(metrics_container) as changes:
        yield changes


@pytest.fixture
def leaks(request: pytest.FixtureRequest) -> Check:
    """Check this test for leaks: `leaks.verify()` now, and again when the test has ended.

    `leaks.ignore("worker-*")` allows the objects that the pattern matches.
    """
    checking: Any = request.config.pluginmanager.get_plugin("leakcheck")
    check: Check | None = checking and checking.check
    if check is None:
        # The inventory before the test is not known any more.
        raise pytest.UsageError("getfixturevalue is too late for leaks: make it an argument")
    return check
