"""The agent's life: start the container, wait for a reason to stop, stop it, and give account."""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from app.leftovers import leftovers
from app.settings import Settings
from container import Container

logger = logging.getLogger(__name__)


def run(settings: Settings) -> list[str]:
    """Run the agent until a signal comes or its time is up; return what is left, ideally nothing.

    Raises:
        Exception: a part failed to start (everything is stopped again) or to stop.
    """
    before = set(leftovers())
    container = Container()
    container.config.from_dict(settings.model_dump())
    with stop_signals() as stop:
        container.init_resources()
        try:
            logger.info("serving %s", container.server().url)
            if settings.run_for is not None:
                logger.info("running for %g s", settings.run_for)
            reason = stop.wait(settings.run_for)
            logger.info("stopping: %s", reason)
        finally:
            container.shutdown_resources()
    left = [item for item in leftovers() if item not in before]
    threads = sum(item.startswith("thread") for item in left)
    logger.info("stopped; left: %d threads, %d sockets", threads, len(left) - threads)
    for item in left:
        logger.error("left behind: %s", item)
    return left


class StopSignal:
    """A reason to stop, given by a signal."""

    def __init__(self) -> None:
        self._given = threading.Event()
        self._reason = "its time is up"

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        self._reason = signal.Signals(number).name
        self._given.set()

    def wait(self, timeout: float | None) -> str:
        """Return why to stop, once there is a reason or `timeout` seconds are over."""
        self._given.wait(timeout)
        return self._reason


@contextmanager
def stop_signals() -> Iterator[StopSignal]:
    """Take SIGINT and SIGTERM as wishes to stop, and give them back in the end."""
    stop = StopSignal()
    previous = {number: signal.signal(number, stop.handle) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
