"""Signals at chosen opcodes of starts, stops and hooks, and hooks that count their runs."""

import _thread
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from inspect import CO_ASYNC_GENERATOR, CO_GENERATOR
from itertools import chain
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Self

from metrics import lifecycle
from metrics.lifecycle import LifecycleContainer, Resource, State, state

PLACES = (str(Path(lifecycle.__file__).parent), contextlib.__file__)

POINTS = int(os.environ.get("OPCODE_POINTS", "60"))
"""Opcodes of a run at which a signal arrives; 1000000 for every second one."""

NEAR = 10
"""Opcodes from the last step of a hook to the code that called it, where every one is tried."""


def pending(number: int) -> object:
    """Return an object whose negation lets a signal arrive at the interpreter's next check.

    A negation has no such check itself, so that the traced code runs into it, as in reality.
    """
    return type("Pending", (), {"__neg__": staticmethod(partial(_thread.interrupt_main, number))})()


def immediate(number: int) -> object:
    """Return an object whose negation calls the handler of a signal, whose exception it raises."""
    return type("Immediate", (), {"__neg__": staticmethod(partial(signal.raise_signal, number))})()


ARRIVALS = (pending, immediate)


class Interruption:
    """Sends the main thread a signal at one opcode of the code that the `with` block calls.

    Args:
        at: the number of the opcode; none by default.
        arrival: `pending` or `immediate`, of a signal.
    """

    def __init__(self, at: int = 0, arrival: Any = None) -> None:
        self.count = 0
        self.sent = False
        self._at = at
        self._arrival = arrival

    def __enter__(self) -> Self:
        # Python 3.12 looks for a frame that traces opcodes only when tracing begins.
        sys._getframe().f_trace_opcodes = True
        sys.settrace(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)

    def _called(self, frame: FrameType, event: str, _argument: object) -> Any:
        if self.sent:
            return None
        code = frame.f_code
        # No lifecycle can repair a cleanup that was interrupted before its first step.
        starting = code in HOOKS and frame.f_lineno < code.co_firstlineno + HOOKS[code]
        if event == "call" and (starting or code.co_filename.startswith(PLACES)):
            frame.f_trace_opcodes = True
            frame.f_trace_lines = False
            return self._traced
        return None

    def _traced(self, frame: FrameType, event: str, _argument: object) -> Any:
        if self.sent:
            return None
        if event == "return":
            # A generator goes on in another thread, where Python 3.12.1 crashes otherwise.
            frame.f_trace_opcodes = False
        if event == "opcode":
            self.count += 1
            if self.count == self._at:
                frame.f_trace_opcodes = False
                # Tracing ends with the block: CPython 3.11 may call a wrong object if it ends here.
                self.sent = True
                if frame.f_code.co_flags & (CO_GENERATOR | CO_ASYNC_GENERATOR):
                    # CPython 3.11 skips the `finally` of a generator if tracing its yield raises.
                    frame.f_trace = None
                -self._arrival  # noqa: B018 - see `pending`
                return None
        return self._traced


def points(total: int, entered_at: Iterable[int]) -> list[int]:
    """Return opcodes that are spread over a run, an odd distance apart, and those near entries."""
    spread = range(1, total + 1, max(2, total // POINTS | 1))
    near = [range(at + 1, min(at + NEAR, total) + 1) for at in entered_at]
    return [*spread, *chain(*near)]


class Live:
    """The resources that run, and the number of starts and stops.

    Args:
        counted: counts the opcodes of the run.
    """

    def __init__(self, counted: Interruption | None = None) -> None:
        self.names: set[str] = set()
        self.starts = 0
        self.stops = 0
        self.entered_at: list[int] = []
        self._counted = counted

    def add(self, name: str) -> None:
        self.names.add(name)
        self.starts += 1
        if self._counted is not None:
            self.entered_at.append(self._counted.count)

    def discard(self, name: str) -> None:
        # A hook that is interrupted before it runs cleans up as well.
        if name in self.names:
            self.names.discard(name)
            self.stops += 1

    def __deepcopy__(self, memo: object) -> Self:
        # dependency-injector copies the arguments that a container class declares.
        return self


def generator(live, name, *_needed):
    try:
        live.add(name)
        yield name
    finally:
        live.discard(name)


@contextmanager
def managed(live, name, *_needed):
    try:
        live.add(name)
        yield name
    finally:
        live.discard(name)


class Managed:
    def __init__(self, live, name, *_needed) -> None:
        self.live, self.name = live, name

    def __enter__(self):
        self.live.add(self.name)
        return self.name

    def __exit__(self, *_: object) -> None:
        self.live.discard(self.name)


async def async_generator(live, name, *_needed):
    try:
        live.add(name)
        await asyncio.sleep(0)
        yield name
    finally:
        live.discard(name)


async_managed = asynccontextmanager(async_generator)


class AsyncManaged:
    def __init__(self, live, name, *_needed) -> None:
        self.live, self.name = live, name

    async def __aenter__(self):
        await asyncio.sleep(0)
        self.live.add(self.name)
        return self.name

    async def __aexit__(self, *_: object) -> None:
        self.live.discard(self.name)


HOOKS: dict[CodeType, int] = {
    generator.__code__: 3,
    managed.__wrapped__.__code__: 4,
    async_generator.__code__: 4,
}
"""Code of hooks, and the line of its `yield`."""


def sync_container(live: Live) -> Any:
    class Container(LifecycleContainer):
        one = Resource(generator, live, "one")
        two = Resource(managed, live, "two", one)
        three = Resource(Managed, live, "three", two)

    return Container()


def async_container(live: Live) -> Any:
    class Container(LifecycleContainer):
        one = Resource(async_generator, live, "one")
        two = Resource(async_managed, live, "two", one)
        three = Resource(AsyncManaged, live, "three", two)
        four = Resource(generator, live, "four", three)

    return Container()


def unsettled(container: Any) -> list[str]:
    """Return the names of resources, or of the container, that still start or stop."""
    states = {"container": state(container)}
    for name, provider in container.providers.items():
        if isinstance(provider, Resource):
            states[name] = state(container, name)
    return [name for name, now in states.items() if now in {State.STARTING, State.STOPPING}]


def left_over(live: Live) -> list[str]:
    """Return the resources that run."""
    return sorted(live.names)
