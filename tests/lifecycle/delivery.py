"""Containers and log handlers for tests of the delivery of events."""

import asyncio
import logging
from contextlib import contextmanager

from metrics.lifecycle import LifecycleContainer, Resource
from tests.lifecycle.bounded import run, within

LOGGER = logging.getLogger("metrics.lifecycle")
KINDS = ["sync", "async", "mixed"]
NAMES = ["one", "two", "three"]
STARTS = [f"start {name}" for name in NAMES]
STOPS = [f"stop {name}" for name in reversed(NAMES)]


def container_of(lines, kind):
    def hook(name, *_needed):
        lines.append(f"start {name}")
        yield name
        lines.append(f"stop {name}")

    async def async_hook(name, *_needed):
        lines.append(f"start {name}")
        await asyncio.sleep(0)
        yield name
        lines.append(f"stop {name}")

    first = hook if kind == "sync" else async_hook
    second = async_hook if kind == "async" else hook

    class Container(LifecycleContainer):
        one = Resource(first, "one")
        two = Resource(second, "two", one)
        three = Resource(first, "three", two)

    return Container()


async def start(container, **options):
    await container.init_resources(**options)


async def stop(container, **options):
    await container.shutdown_resources(**options)


def start_and_stop(container, kind, before_the_stop=lambda: None, **options):
    """Start and stop a container in one thread, which is left behind if it never returns."""

    def in_thread():
        container.init_resources()
        before_the_stop()
        container.shutdown_resources(**options)

    async def in_loop():
        await start(container)
        before_the_stop()
        await stop(container, **options)

    within(in_thread) if kind == "sync" else run(in_loop())


@contextmanager
def logging_with(level, *, log_filter=None, handler=None):
    """Log the lifecycle with a filter or a handler until the block ends."""
    earlier = LOGGER.level
    LOGGER.setLevel(level)
    if log_filter is not None:
        LOGGER.addFilter(log_filter)
    if handler is not None:
        LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.setLevel(earlier)
        if log_filter is not None:
            LOGGER.removeFilter(log_filter)
        if handler is not None:
            LOGGER.removeHandler(handler)
