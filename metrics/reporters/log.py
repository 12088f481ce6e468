"""Reports to the program's own log: a line for each instrument."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from logging import INFO, Logger, getLevelNamesMapping, getLogger
from typing import Unpack, final

from metrics.exporters import log_lines
from metrics.registry import Registry
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import Options, list_options
from metrics.reporters._push.payloads import Report
from metrics.reporters._push.reporter import Reporter
from metrics.reporters._transports.transport import Rejected

LOGGER = "metrics.report"


@list_options(Options)
def to_logger(
    registry: Registry,
    logger_name: str | None = LOGGER,
    level: int | str | None = "INFO",
    **options: Unpack[Options],
) -> AbstractContextManager[Reporter]:
    """Log the values of a registry once an interval.

    For example:

        with log.to_logger(registry, interval="1m"):
            ...

    Args:
        registry: the registry to report.
        logger_name: the name of the logger.
        level: the level of the records, by name or number.
        options: see below.

    Raises:
        TypeError, ValueError: an option is malformed, or there is no such level.
    """
    target = getLogger(checked_logger_name(logger_name))

    def read(report: Report) -> Iterator[bytes]:
        return log_lines.stream(registry, reader=report.reader)

    return reporting(registry, "log", read, LoggerTransport(target, level_of(level)), options)


@final
class LoggerTransport:
    """Transport of payloads to a logger, a record for each line."""

    def __init__(self, target: Logger, level: int) -> None:
        self._target = target
        self._level = level

    @property
    def target(self) -> str:
        """The name of the logger."""
        return self._target.name

    def send(self, payload: bytes, timeout: float) -> None:  # noqa: ARG002 - as every transport
        """Log the lines; raise `Rejected` when a handler fails."""
        try:
            for line in payload.decode().removesuffix("\n").split("\n"):
                self._target.log(self._level, "%s", line)
        except Exception as error:
            raise Rejected(f"a handler of {self._target!r} failed: {error!r}") from error

    def abort(self) -> None:
        """Do nothing: handlers cannot be interrupted."""

    def close(self) -> None:
        """Do nothing: the logger is the program's."""

    def abandon(self) -> None:
        """Do nothing: as above."""


def checked_logger_name(name: str | None) -> str:
    """Return the name of a logger; raise TypeError if it is none."""
    if name is None:
        return LOGGER
    if not isinstance(name, str):
        raise TypeError(f"invalid logger_name {name!r}: use a str")
    return name


def level_of(level: int | str | None) -> int:
    """Return a level by number; raise TypeError or ValueError if there is no such level."""
    if level is None:
        return INFO
    if isinstance(level, int) and not isinstance(level, bool):
        return level
    if not isinstance(level, str):
        raise TypeError(f"invalid level {level!r}: use a name such as 'INFO', or a number")
    levels = getLevelNamesMapping()
    if level.upper() not in levels:
        raise ValueError(f"invalid level {level!r}: use one of {', '.join(levels)}")
    return levels[level.upper()]
