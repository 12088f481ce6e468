"""Blocked event loops: callbacks that hold an asyncio loop, found by a thread that samples stacks.

A clock alone raises false alarms on a loaded machine. A sample counts when the same call of
asyncio's `Handle._run` is still on the stack, and the thread has used the processor meanwhile, or
sleeps in the system at the same instruction; a thread that waits for a processor or for the
interpreter's lock is not counted, nor is a delay of the sampling thread while it has run. Nothing
is patched. Loops that run callbacks without a Python frame (uvloop, trio) are not seen.
"""

import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from types import FrameType
from typing import NamedTuple, Self, final

from metrics.testing.leaks._inventory import TASKS, read
from metrics.testing.leaks._naming import BLOCKED, Leak
from metrics.testing.leaks._origins import Stack, stack_from
from metrics.testing.leaks._places import places
from metrics.testing.leaks._process_wide import register

SAMPLES = 10
"""Samples that are taken in the seconds that a callback may hold its loop."""

SHORTEST_PAUSE = 0.001
"""Minimum seconds between samples, which stop the interpreter for some microseconds."""

SLEEPING = {"S", "D"}
"""States of a thread that waits for no processor; see proc(5)."""


class StackSample(NamedTuple):
    """Position of a callback in a sample."""

    callback: FrameType
    """Frame of `Handle._run`, kept so that no other can have its identity."""
    stack: Stack
    instruction: int
    """Offset of the innermost function's instruction."""
    cpu: float
    """Processor time of the thread in seconds."""
    clock: float
    """Time of the sample in seconds."""


class BlockedLoop(NamedTuple):
    """Callback that held its event loop for too long."""

    leak: Leak
    stack: Stack


@final
class BlockingWatch:
    """Sampling thread for the event loops of the thread that creates it.

    Args:
        limit: seconds that a callback may hold an event loop.
    """

    def __init__(self, limit: float) -> None:
        self._pause = max(limit / SAMPLES, SHORTEST_PAUSE)
        self._limit = limit
        self._ident = threading.get_ident()
        self._native_id = threading.get_native_id()
        self._cpu = cpu_clock(self._ident)
        self._over = threading.Event()
        self._blocked: dict[int, BlockedLoop] = {}
        self._thread = threading.Thread(
            target=self._run, name="metrics-leakcheck-blocking", daemon=True
        )
        self._excused = ExitStack()

    def start(self) -> Self:
        """Start the sampling thread, which no check reports."""
        self._excused.enter_context(register(lambda _, obj: obj is self._thread))
        self._thread.start()
        return self

    def stop(self) -> list[BlockedLoop]:
        """Stop the sampling thread, and return the callbacks that have held an event loop."""
        self._over.set()
        self._thread.join()
        self._excused.close()
        return list(self._blocked.values())

    def _run(self) -> None:
        last: StackSample | None = None
        held, count = 0.0, 0
        while not self._over.wait(self._pause):
            sample = self._sample()
            if sample is None or last is None or sample.callback is not last.callback:
                held, count = 0.0, count + 1
            else:
                held += self._work(last, sample)
                if held >= self._limit:
                    earlier = self._blocked.get(count)
                    stack = earlier.stack if earlier else sample.stack
                    self._blocked[count] = blocked_loop(stack, held)
            last = sample

    def _sample(self) -> StackSample | None:
        """Return the innermost callback of the watched thread; None while it runs none."""
        frame = innermost = sys._current_frames().get(self._ident)
        depth = 0
        while frame is not None and not is_callback(frame):
            frame, depth = frame.f_back, depth + 1
        if frame is None or innermost is None:
            return None
        stack = stack_from(innermost)[:depth]
        return StackSample(frame, stack, innermost.f_lasti, self._cpu(), time.monotonic())

    def _work(self, last: StackSample, sample: StackSample) -> float:
        """Return the seconds that the callback has certainly held the loop between two samples."""
        used = sample.cpu - last.cpu
        same = sample.stack == last.stack and sample.instruction == last.instruction
        if used >= self._pause / 2:
            # A function that keeps the interpreter's lock delays the samples.
            return max(used, self._pause)
        if not same or self._state() not in SLEEPING:
            return 0.0
        # A thread that has not run since, and sleeps, has slept all the time.
        return self._pause if used else max(sample.clock - last.clock, self._pause)

    def _state(self) -> str:
        """Return the state of the watched thread; sleeping where the system does not list it."""
        with suppress(OSError):
            return read(f"{TASKS}/{self._native_id}/stat").rpartition(")")[2].split()[0]
        return "S"


def is_callback(frame: FrameType) -> bool:
    """Return whether a frame runs a callback of an asyncio event loop."""
    code = frame.f_code
    return code.co_name == "_run" and frame.f_globals.get("__name__") == "asyncio.events"


def cpu_clock(ident: int) -> Callable[[], float]:
    """Return a function for the processor time of a thread; always 0 where the system has none."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return lambda: 0.0
    clock = time.pthread_getcpuclockid(ident)
    # Looked up now, because a test may stop the clocks of the time module.
    gettime = time.clock_gettime
    return lambda: gettime(clock)


def blocked_loop(stack: Stack, seconds: float) -> BlockedLoop:
    """Return the report of a callback, named after its outermost function."""
    shown = tuple(places(stack))
    name = shown[-1].function if shown else "unknown"
    return BlockedLoop(Leak(BLOCKED, name, f"for {seconds:.2f} s or more", shown), stack)
