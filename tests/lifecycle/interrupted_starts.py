"""Starts that a timer interrupts at random, for a process of its own."""

import asyncio
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from time import monotonic, sleep
from typing import Any

from metrics.lifecycle import MetricsContainer, Resource, State, running, state
from metrics.reporters import file, log

GRACE = 5.0
RESOURCES = 12


def container_of(live: set[int]) -> Any:
    """Return a container with a ticker, reporters and other resources."""
    container = MetricsContainer()

    def hook(number: int) -> Iterator[int]:
        try:
            live.add(number)
            yield number
        finally:
            live.discard(number)

    registry = container.registry
    for number in range(RESOURCES):
        container.set_provider(f"hook{number}", Resource(hook, number))
        if number % 4 == 0:
            name = f"page{number}"
            page = Resource(file.append, registry, os.devnull, name=name, interval=3600)
            container.set_provider(name, page)
            name = f"log{number}"
            lines = Resource(log.to_logger, registry, name=name, interval=3600)
            container.set_provider(name, lines)
    return container


def workers() -> list[str]:
    """Return the threads of the library that are still alive when they had time to end."""
    ends = monotonic() + GRACE
    alive = []
    for thread in threading.enumerate():
        if thread.name.startswith("metrics-"):
            # A thread whose start was interrupted may run before it can be joined.
            while thread.is_alive() and monotonic() < ends:
                sleep(0.001)
            if thread.is_alive():
                alive.append(thread.name)
    return alive


def start(container: Any, arm: Callable[[], object]) -> None:
    arm()
    container.init_resources()


def block(container: Any, arm: Callable[[], object]) -> None:
    arm()
    with running(container, signals=[signal.SIGALRM]):
        pass


def async_block(container: Any, arm: Callable[[], object]) -> None:
    async def main() -> None:
        # An exception of a handler while asyncio starts or ends leaves a loop that works no more.
        arm()
        async with running(container, signals=[signal.SIGALRM]):
            pass
        signal.setitimer(signal.ITIMER_REAL, 0)

    asyncio.run(main())


WAYS = {"start": start, "block": block, "async block": async_block}


def seconds_of(run: Any) -> float:
    """Return the time of an undisturbed run."""
    container = container_of(set())
    began = monotonic()
    run(container, lambda: None)
    took = monotonic() - began
    container.shutdown_resources()
    return took


def interrupt_at_random(way: str, rounds: str) -> None:
    """Interrupt starts, and look for threads and resources that run on."""
    run = WAYS[way]
    # Also the guard of the process; the timer below takes its place.
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    longest = min(seconds_of(run) for _ in range(3))
    moments = random.Random(11)
    problems: list[Any] = []
    interrupted = 0
    for index in range(int(rounds)):
        if problems:
            break
        live: set[int] = set()
        container = container_of(live)
        try:
            moment = moments.uniform(0.0, longest) + 1e-6
            run(container, partial(signal.setitimer, signal.ITIMER_REAL, moment))
            signal.setitimer(signal.ITIMER_REAL, 0)
        except (KeyboardInterrupt, SystemExit):
            interrupted += 1
        except RuntimeError as error:
            # A condition of CPython fails at its exit if it was interrupted while it woke up.
            if not isinstance(error.__context__, KeyboardInterrupt):
                raise
            interrupted += 1
        if state(container) in {State.STARTING, State.STOPPING}:
            problems.append((index, state(container)))
        if way == "start":
            container.shutdown_resources(timeout=GRACE)
        if alive := workers():
            problems.append((index, "threads", alive))
        # A start that was abandoned is undone by its thread.
        if live:
            problems.append((index, "hooks", sorted(live)))
    assert not problems, problems
    # A fast machine may end some runs first.
    assert interrupted > int(rounds) // 4
