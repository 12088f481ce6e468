"""The agent's life: start the container, wait for a reason to stop, stop it, and give account."""

import logging
import threading
from contextlib import suppress

from app.demo import DemoContainer
from app.settings import Settings
from container import Container
from metrics.lifecycle import running
from metrics.testing.leaks import LeakError, no_leaks

logger = logging.getLogger(__name__)


def run_container(settings: Settings) -> None:
    """Run the agent's resources until a signal comes or the time is up.

    Raises:
        Exception: a resource failed to start (everything is stopped again) or to stop.
    """
    container = DemoContainer() if settings.demo else Container()
    container.config.from_dict(settings.model_dump())
    # The exception of a signal has done its work when the block has ended.
    with suppress(KeyboardInterrupt, SystemExit), running(container):
        logger.info("serving %s", container.server().url)
        if settings.run_for is not None:
            logger.info("running for %g s", settings.run_for)
        threading.Event().wait(settings.run_for)
        logger.info("stopping: its time is up")


def run_agent(settings: Settings) -> bool:
    """Run the agent, and log what it leaves behind; return whether that is nothing.

    Raises:
        Exception: as `run_container`.
    """
    try:
        # An agent runs for months: it does not record the origin of each of its connections.
        with no_leaks(origins=False):
            run_container(settings)
    except LeakError as error:
        for leak in error.leaks:
            logger.error("stopped; left behind: %s", leak)
        return False
    logger.info("stopped; left behind: nothing")
    return True
