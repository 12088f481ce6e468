"""Exceptions of the library.

Each is a `MetricsError`, and also the built-in exception that a caller without knowledge of this
library would expect (`ValueError`, `TypeError`, `RuntimeError`, ...).
"""

from collections.abc import Sequence

__all__ = [
    "CheckError",
    "DuplicateMetricError",
    "HealthcheckError",
    "LifecycleError",
    "MetricTypeError",
    "MetricsError",
    "NotRunningError",
    "ShutdownError",
    "StartTimeoutError",
    "StopTimeoutError",
]


class MetricsError(Exception):
    """The base class of the library's exceptions."""


class DuplicateMetricError(MetricsError, ValueError):
    """A name is registered twice."""


class MetricTypeError(MetricsError, TypeError):
    """A name is requested as another type, or with other labels, than it was created with."""


class HealthcheckError(MetricsError):
    """Failure of a health check that raised no exception of its own.

    It returned False, did not return within its limit, could not be run, or was set to unhealthy
    with a text.
    """


class LifecycleError(MetricsError, RuntimeError):
    """A container or a resource is started, stopped or copied in a state that does not allow it."""


class NotRunningError(LifecycleError):
    """A resource is requested while its container stops, or after it has stopped or failed."""


class CheckError(LifecycleError):
    """The declarations of a container have faults, which are found before any hook runs.

    Args:
        message: one line for each fault.
        problems: the faults.
    """

    def __init__(self, message: str, problems: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.problems: tuple[object, ...] = tuple(problems)

    def __reduce__(self) -> tuple[object, ...]:
        # By default an exception is pickled as its message alone; notes are in the namespace.
        return type(self), (*self.args, self.problems), self.__dict__


class StartTimeoutError(MetricsError, TimeoutError):
    """A resource did not start within its time limit."""


class StopTimeoutError(MetricsError, TimeoutError):
    """A resource did not stop within its time limit."""


class ShutdownError(MetricsError, ExceptionGroup[Exception]):
    """Resources that failed to stop; all other resources are stopped.

    Each contained exception was raised by the resource that its note names.
    """

    def derive(self, excs: Sequence[Exception]) -> "ShutdownError":  # type: ignore[override]
        """Return a group of other exceptions with this message, for `except*` and `split`."""
        return ShutdownError(self.message, excs)
