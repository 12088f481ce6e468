"""Health checks: functions that say whether something the program needs is well."""

from collections.abc import Callable
from typing import final

from metrics.errors import HealthcheckError
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Snapshot


@final
class HealthcheckSnapshot(Snapshot):
    """The outcome of the last run of a `Healthcheck`."""

    __slots__ = ("_error",)
    fields = ("error",)

    def __init__(self, error: str | None) -> None:
        self._error = error

    @property
    def error(self) -> str | None:
        """What was wrong, in one line, or None when all was well."""
        return self._error

    @property
    def scalar(self) -> int:
        """1 when healthy, 0 when not."""
        return int(self._error is None)


@final
class Healthcheck(Shared):
    """Runs `function` when asked and keeps the outcome.

    The function raises an exception that says what is wrong, or returns; returning False also
    means unhealthy. Safe to use from any thread; concurrent checks run the function concurrently.
    """

    __slots__ = ("_error", "_function")

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._error: Exception | None = None

    def check(self) -> bool:
        """Run the function now; return whether all is well. Never raises an `Exception`."""
        error: Exception | None = None
        try:
            if self._function() is False:
                error = HealthcheckError(f"{self._function!r} returned False")
        except Exception as raised:  # noqa: BLE001 - the outcome, whatever it is, is kept
            # A kept traceback would keep every frame it went through alive.
            error = raised.with_traceback(None)
        self._error = error
        return error is None

    @property
    def error(self) -> Exception | None:
        """What the last check found wrong; None when healthy or not checked yet."""
        return self._error

    def snapshot(self, reader: str = "") -> HealthcheckSnapshot:
        """Return the outcome of the last check; does not run the function."""
        error = self._error
        return HealthcheckSnapshot(None if error is None else describe(error))

    def __repr__(self) -> str:
        return f"Healthcheck({self._function!r}, error={self._error!r})"


def describe(error: Exception) -> str:
    """Return an exception as one line: its message, or its type when it has none."""
    return " ".join(str(error).split()) or type(error).__name__
