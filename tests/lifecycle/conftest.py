"""What the tests of the lifecycle share."""

import pytest

from metrics.lifecycle import stopping


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a part that does not hang the time that a busy machine may take for it.

    What hangs uses the time of a stop up, and those after it are left with milliseconds.
    """
    monkeypatch.setattr(stopping, "LEAST_SECONDS", 1.0)
