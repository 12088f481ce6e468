"""The state machine: who may start and stop parts, and when."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from math import inf
from time import monotonic
from typing import Any, Protocol, Self, final
from weakref import WeakSet

from dependency_injector import providers

from metrics.errors import LifecycleError, NotRunningError, StopTimeoutError
from metrics.lifecycle.part import Event, Leave, Part, State
from metrics.lifecycle.plan import Step
from metrics.lifecycle.stopping import Stop

logger = logging.getLogger("metrics.lifecycle")

Subscriber = Callable[[Event], object]

DOWN = (State.STOPPED, State.FAILED)

SHUTDOWN_TIMEOUT = 10.0


class Owner(Protocol):
    """The container that parts belong to."""

    def part_of(self, provider: providers.BaseResource[Any]) -> Part | None:
        """Return the part of a resource; None when the resource is somebody else's."""

    def forget_singletons(self) -> None:
        """Let the singletons that were made of parts be made anew."""


# What has to begin anew in a forked process.
living: WeakSet["Lifecycle"] = WeakSet()
adopting = threading.Lock()


class Way(Protocol):
    """How hooks are called and others are waited for: `Blocking` or `Cooperative`."""

    in_loop: bool

    async def wait(self, change: Future[None], seconds: float | None) -> bool:
        """Wait for a change that somebody else makes; return whether it is over in time."""

    async def enter(
        self,
        part: Part,
        provider: providers.BaseResource[Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[object, Leave]:
        """Start a part; return its value and what stops it."""

    def checkpoint(self) -> None:
        """Raise what has interrupted a start, if anything has."""

    async def take_down(self, stop: Stop) -> None:
        """Stop parts until all are down, have failed, or were given up because they hang."""


class Change(Future[None]):
    """A start or a stop of a container, done when it is over."""

    def __init__(self, phase: State, before: State, way: Way) -> None:
        super().__init__()
        self.phase = phase
        self.before = before
        self.way = way
        self.error: BaseException | None = None


# The changes, and the parts that are starting, from inside of which code is called. What would wait
# for one of them would wait for itself.
_inside: ContextVar[tuple[Change | Part, ...]] = ContextVar("metrics-lifecycle", default=())


@contextmanager
def inside(what: Change | Part) -> Iterator[None]:
    """Call the block from inside a change, or from the start of a part."""
    token = _inside.set((*_inside.get(), what))
    try:
        yield
    finally:
        _inside.reset(token)


@final
class Lifecycle:
    """Starts and stops parts: one change at a time, each part once, in an order that is recorded.

    Safe to use from any thread. No lock is held while a hook runs.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = State.NEW
        self.parts: dict[Part, None] = {}
        # What is up, or failed to come down, in the order in which it came up.
        self.record: dict[Part, None] = {}
        self.subscribers: list[Subscriber] = []
        # The container, which may be gone before its parts are down.
        self.owner: Callable[[], Owner | None] = lambda: None
        # Guards the state and the change, here and of each part.
        self._lock = threading.Lock()
        self._change: Change | None = None
        living.add(self)

    def adopt(self, part: Part) -> Self:
        """Be responsible for a part from now on."""
        part.lifecycle = self
        self.parts[part] = None
        return self

    async def start(self, steps: Iterable[Step], way: Way, seconds: float | None) -> None:
        """Start all that is planned and is not up, or nothing.

        Args:
            steps: what to start, in order.
            way: how hooks are called.
            seconds: time for the roll-back.

        Raises:
            BaseException: what a part raised; everything is down again.
        """
        change = await self._begin(State.STARTING, way, inf)
        if change is None:
            return
        try:
            with inside(change):
                await self._start(steps, way, seconds)
        except BaseException as error:
            self._end(change, State.FAILED, error)
            raise
        self._end(change, State.RUNNING)

    async def _start(self, steps: Iterable[Step], way: Way, seconds: float | None) -> None:
        # What failed to stop may hold what its next start needs.
        failed = [part for part in self.record if part.state is State.FAILED]
        (await self._take_down(failed, way, ends_in(seconds))).conclude()
        self.revive(self.parts)
        try:
            for step in steps:
                await bring_up(step, way)
                way.checkpoint()
        except BaseException as error:
            self._close(self.parts)
            stop = await self._take_down(self.parts, way, ends_in(seconds))
            for name, failure in stop.failures:
                error.add_note(f"{name!r} failed to stop then: {failure!r}")
            raise

    async def stop(
        self,
        way: Way,
        seconds: float | None,
        error: BaseException | None = None,
        parts: Iterable[Part] | None = None,
    ) -> None:
        """Stop all that is up, or only some parts, in reverse order of the start.

        Args:
            way: how hooks are called.
            seconds: time for everything.
            error: what the program ends with, for the hooks to see.
            parts: what to stop; all by default.

        Raises:
            ShutdownError: parts failed to stop; the others are down.
        """
        ends = ends_in(seconds)
        for starting in _inside.get():
            if isinstance(starting, Part) and starting.state is State.STARTING:
                raise LifecycleError(
                    f"{starting.name!r} is {starting.state}, and cannot stop {self.name} from "
                    "there: let it raise an exception instead"
                )
        change = await self._begin(State.STOPPING, way, ends)
        if change is None:
            return
        chosen = self.parts if parts is None else dict.fromkeys(parts)
        state = State.FAILED
        try:
            with inside(change):
                self._close(chosen)
                for part in chosen:
                    await self._wait_for_start(part, way, ends)
                stop = await self._take_down(chosen, way, ends, error)
                self._forget()
            if not any(part.state is State.FAILED for part in self.record):
                state = State.STOPPED if parts is None or not self.record else change.before
            stop.conclude()
        except BaseException as raised:
            self._end(change, state, raised)
            raise
        self._end(change, state)

    @property
    def changing_in_loop(self) -> bool:
        """Whether a start or a stop is under way in an event loop: who waits has to await it."""
        change = self._change
        return change is not None and change.way.in_loop and change not in _inside.get()

    def revive(self, parts: Iterable[Part]) -> None:
        """Let parts that are down be started."""
        with self._lock:
            down = [part for part in parts if part.state in DOWN and part.leave is None]
            for part in down:
                part.reset(State.NEW)
        if down:
            self._forget()

    def forked(self) -> list[Leave | None]:
        """Begin anew in a forked process; return what stops the parts of the parent process."""
        inherited = [part.leave for part in self.parts]
        self._lock = threading.Lock()
        self._change = None
        self.state = State.NEW
        self.record.clear()
        for part in self.parts:
            part.reset(State.NEW)
        self._forget()
        return inherited

    def claim(self, part: Part) -> Future[None] | None:
        """Take the start of a part on; return None if it is the caller's, or what to wait for.

        Raises:
            NotRunningError: it cannot be started, because it has been stopped.
        """
        with self._lock:
            self.check(part)
            if part.state is State.NEW:
                part.state = State.STARTING
                part.change = Future()
                return None
            return part.change

    def check(self, part: Part) -> None:
        """Raise NotRunningError if a part cannot be asked for."""
        failed = part.state is State.FAILED and part.leave is None
        if failed and self.state not in DOWN:
            part.state = State.NEW  # what failed when it was first needed may be tried again
        if part.state in {State.STOPPING, State.STOPPED, State.FAILED}:
            raise NotRunningError(
                f"{part.name!r} of {self.name} is {part.state}: "
                "it can be asked for after init_resources()"
            )

    def tell(self, event: Event) -> None:
        """Log an event and pass it on to the subscribers, whose failures are logged."""
        log(event)
        for subscriber in tuple(self.subscribers):
            try:
                subscriber(event)
            except Exception:
                logger.exception("%r failed to take %r", subscriber, event)

    async def _begin(self, phase: State, way: Way, ends: float) -> Change | None:
        """Return the change that may be made now, or None when it is being made by the caller."""
        while True:
            with self._lock:
                current = self._change
                if current is None:
                    self._change = change = Change(phase, self.state, way)
                    self.state = phase
                    return change
            if current in _inside.get():
                if phase is State.STARTING and current.phase is State.STOPPING:
                    raise NotRunningError(f"{self.name} is {current.phase}: start it afterwards")
                return None
            if not await way.wait(current, left(ends)):
                busy = [part.name for part in self.parts if part.state is current.phase]
                raise StopTimeoutError(
                    f"{self.name} is still {current.phase}: {', '.join(busy) or 'no part'} is busy"
                )
            if current.phase is phase and isinstance(current.error, Exception):
                raise current.error

    def _forget(self) -> None:
        owner = self.owner()
        if owner is not None:
            owner.forget_singletons()

    def _end(self, change: Change, state: State, error: BaseException | None = None) -> None:
        with self._lock:
            change.error = error
            if self._change is change:
                self._change = None
                self.state = state
        change.set_result(None)

    def _close(self, parts: Iterable[Part]) -> None:
        """Let nothing be started any more."""
        with self._lock:
            for part in parts:
                if part.state is State.NEW:
                    part.state = State.STOPPED
        self._forget()

    async def _wait_for_start(self, part: Part, way: Way, ends: float) -> None:
        """Wait for the start of a part by another thread."""
        change = part.change
        if change is not None and not await way.wait(change, left(ends)):
            raise StopTimeoutError(f"{part.name!r} is still {part.state}")

    async def _take_down(
        self,
        parts: Iterable[Part],
        way: Way,
        ends: float,
        error: BaseException | None = None,
    ) -> Stop:
        chosen = dict.fromkeys(parts)
        up = [part for part in reversed(self.record) if part in chosen]
        stop = Stop(up, ends, self.tell, error)
        try:
            await way.take_down(stop)
        finally:
            for part in up:
                if part.leave is None:
                    self.record.pop(part, None)
        return stop


async def bring_up(
    step: Step, way: Way, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
) -> None:
    """Start a part unless it is up; if somebody else is starting it, wait for that.

    Raises:
        NotRunningError: it has been stopped.
        LifecycleError: it needs itself.
    """
    part, provider, asynchronous = step
    lifecycle = lifecycle_of(part)
    while part.state is not State.RUNNING:
        change = lifecycle.claim(part)
        if change is None:
            break
        if part in _inside.get():
            raise LifecycleError(
                f"{part.name!r} needs itself to start; metrics.lifecycle.check() shows how"
            )
        await way.wait(change, None)
    else:
        return
    starting, began = part.change, monotonic()
    part.asynchronous = asynchronous
    lifecycle.tell(Event(part.name, State.STARTING, 0.0, None))
    try:
        with inside(part):
            part.value, part.leave = await way.enter(part, provider, args, kwargs or {})
    except BaseException as error:
        error.add_note(f"while starting {part.name!r}")
        part.reset(State.FAILED)
        lifecycle.tell(Event(part.name, State.FAILED, monotonic() - began, error))
        raise
    else:
        lifecycle.record[part] = None
        part.state = State.RUNNING
    finally:
        part.change = None
        if starting is not None:
            starting.set_result(None)
    lifecycle.tell(Event(part.name, State.RUNNING, monotonic() - began, None))


def lifecycle_of(part: Part) -> Lifecycle:
    """Return what is responsible for a part; one that is in no container has its own."""
    with adopting:
        return part.lifecycle or Lifecycle(part.name).adopt(part)


def ends_in(seconds: float | None) -> float:
    """Return when a number of seconds is over, on the monotonic clock."""
    return inf if seconds is None else monotonic() + seconds


def left(ends: float) -> float | None:
    """Return the seconds until then; None without end."""
    return None if ends == inf else max(ends - monotonic(), 0.0)


def log(event: Event) -> None:
    """Write what has happened to the log."""
    milliseconds = event.seconds * 1e3
    if event.phase is State.FAILED:
        kind, error = type(event.error).__name__, event.error
        logger.error("failed %s (%.1f ms): %s: %s", event.part, milliseconds, kind, error)
    elif event.seconds:
        word = "started" if event.phase is State.RUNNING else "stopped"
        logger.info("%s %s (%.1f ms)", word, event.part, milliseconds)
    else:
        logger.debug("%s %s", event.phase.lower(), event.part)
