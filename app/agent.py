"""The agent's life: start the container, wait for a reason to stop, stop it, and give account."""

import logging
import threading
from contextlib import suppress

from app.demo import DemoContainer
from app.leftovers import leftovers
from app.settings import Settings
from container import Container
from metrics.lifecycle import running

logger = logging.getLogger(__name__)


def run_agent(settings: Settings) -> list[str]:
    """Run the agent until a signal comes or its time is up; return what is left, ideally nothing.

    Raises:
        Exception: a resource failed to start (everything is stopped again) or to stop.
    """
    before = set(leftovers())
    container = DemoContainer() if settings.demo else Container()
    container.config.from_dict(settings.model_dump())
    # The exception of a signal has done its work when the block has ended.
    with suppress(KeyboardInterrupt, SystemExit), running(container):
        logger.info("serving %s", container.server().url)
        if settings.run_for is not None:
            logger.info("running for %g s", settings.run_for)
        threading.Event().wait(settings.run_for)
        logger.info("stopping: its time is up")
    left = [item for item in leftovers() if item not in before]
    threads = sum(item.startswith("thread") for item in left)
    logger.info("stopped; left: %d threads, %d sockets", threads, len(left) - threads)
    for item in left:
        logger.error("left behind: %s", item)
    return left
