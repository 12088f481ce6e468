"""Fixtures of all tests of the lifecycle."""

import pytest

from metrics.lifecycle import _shutdown


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a resource that does not hang the time that a busy machine may take for it.

    A hook that hangs uses the time of a stop up, and milliseconds are left to the ones after it.
    """
    monkeypatch.setattr(_shutdown, "LEAST_SECONDS", 1.0)
    monkeypatch.setattr(_shutdown, "EXTRA_SECONDS", 2.0)
    monkeypatch.setattr(_shutdown, "SLACK", 1)
