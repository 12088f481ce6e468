"""Log of measurements that failed: a program never fails because it is measured."""

from logging import getLogger
from typing import final

from metrics.instruments._inner import describe

logger = getLogger("metrics.integrations")


@final
class Failures:
    """Failed measurements of one kind, of which the first is logged.

    As a context manager it ends a block that raises an `Exception`: `with failures:`.

    Args:
        measured: the noun of the log: `a request was not measured: ...`.
    """

    __slots__ = ("_logged", "_measured")

    def __init__(self, measured: str) -> None:
        self._measured = measured
        self._logged = False

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, Exception):
            self.report(error)
            return True
        return False

    def report(self, error: Exception) -> None:
        """Log the first failure."""
        if not self._logged:
            self._logged = True
            logger.error("%s was not measured: %s", self._measured, describe(error), exc_info=error)
