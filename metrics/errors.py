"""Every exception the library raises.

Each is a `MetricsError` and also the built-in exception that a caller who does not know this
library would expect (`ValueError`, `TypeError`, `RuntimeError`, ...).
"""

from collections.abc import Sequence


class MetricsError(Exception):
    """The root of this library's exceptions."""


class DuplicateMetricError(MetricsError, ValueError):
    """A name is registered twice, or two names would be exported as the same one."""


class MetricTypeError(MetricsError, TypeError):
    """A name is asked for as another type, or with other labels, than it was created with."""


class HealthcheckError(MetricsError):
    """A health check answered False instead of raising an exception that says what is wrong."""


class LifecycleError(MetricsError, RuntimeError):
    """A container or a part is started, stopped or copied at a time when it cannot be."""


class NotRunningError(LifecycleError):
    """A part is asked for while its container stops or after it has stopped."""


class StopTimeoutError(MetricsError, TimeoutError):
    """A part did not stop within the time it was given."""


class ShutdownError(MetricsError, ExceptionGroup[Exception]):
    """Parts that failed to stop; every other part is down.

    Each contained exception is the part's own and names the part in a note.
    """

    def derive(self, excs: Sequence[Exception]) -> "ShutdownError":  # type: ignore[override]
        """Return one with other exceptions, as `except*` and `split` ask for."""
        return ShutdownError(self.message, excs)
