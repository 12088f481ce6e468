"""Containers of programs that end while they run.

They have a module of their own: the suspended frames of their hooks keep its names alive, whereas
the exit of the interpreter takes the names of the program away.
"""

import os
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Self

from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource
from metrics.reporters import log

hangs = threading.Event()


# Defaults keep every name that a hook needs at the exit of the interpreter.
def say(line: str, write: Any = os.write) -> None:
    """Print a line in one piece, also when the interpreter has closed its files."""
    write(1, line.encode() + b"\n")


def plain(name: str, *_needed: object, say: Any = say) -> Iterator[str]:
    yield name
    say(f"stop {name}")


async def asynchronous(say: Any = say) -> AsyncIterator[None]:
    yield
    say("stop async")


def hanging(hangs: Any = hangs) -> Iterator[None]:
    forever = threading.Event()
    yield
    hangs.set()
    forever.wait(3600.0)


class Managed:
    def __init__(self, *_needed: object, say: Any = say) -> None:
        self.say = say

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.say("stop second")


class Plain(LifecycleContainer):
    one = Resource(plain, "first")
    two = Resource(Managed, one)


class Ticking(MetricsContainer):
    ticker = MetricsContainer.ticker
    registry = MetricsContainer.registry
    one = Resource(plain, "first", registry)
    two = Resource(Managed, one)


class Reporting(MetricsContainer):
    ticker = MetricsContainer.ticker
    registry = MetricsContainer.registry
    one = Resource(plain, "first", registry)
    two = Resource(Managed, one)
    reports = Resource(log.to_logger, registry, interval=3600)


class Held(LifecycleContainer):
    one = Resource(hanging)


class Async(LifecycleContainer):
    one = Resource(asynchronous)


KINDS = {kind.__name__: kind for kind in (Plain, Ticking, Reporting, Held, Async)}


def declared(kind: str, timeout: float | None) -> Any:
    """Return a container of a kind, with a limit for its stop."""
    KINDS[kind].shutdown_timeout = timeout
    return KINDS[kind]()
