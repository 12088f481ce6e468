"""The state machine: who may start and stop parts, and when."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from math import inf
from time import monotonic
from typing import Any, Protocol, Self, final
from weakref import WeakSet

from dependency_injector import providers

from metrics.errors import LifecycleError, NotRunningError, StopTimeoutError
from metrics.lifecycle.change import Change, Way, inside, is_inside
from metrics.lifecycle.events import Events
from metrics.lifecycle.part import Event, Leave, Part, State
from metrics.lifecycle.plan import Step
from metrics.lifecycle.stopping import Stop

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
        self.events = Events()
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
        if failed:
            (await self._bring_down(failed, way, ends_in(seconds))).conclude()
            self.state = State.STARTING
        self.revive(self.parts)
        try:
            for step in steps:
                await bring_up(step, way)
                way.checkpoint()
        except BaseException as error:
            stop = await self._bring_down(self.parts, way, ends_in(seconds))
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
        if any(part.state is State.STARTING and is_inside(part) for part in self.parts):
            raise self._nested()
        change = await self._begin(State.STOPPING, way, ends)
        if change is None:
            return
        chosen = self.parts if parts is None else dict.fromkeys(parts)
        state = State.FAILED
        try:
            with inside(change):
                stop = await self._bring_down(chosen, way, ends, error)
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
        return change is not None and change.way.in_loop and not is_inside(change)

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
        if failed and self.state in {State.NEW, State.STARTING, State.RUNNING}:
            part.state = State.NEW  # what failed when it was first needed may be tried again
        if part.state in {State.STOPPING, State.STOPPED, State.FAILED}:
            raise NotRunningError(
                f"{part.name!r} of {self.name} is {part.state}: "
                "it can be asked for after init_resources()"
            )

    async def _begin(self, phase: State, way: Way, ends: float) -> Change | None:
        """Return the change that may be made now, or None when it is being made by the caller."""
        while True:
            with self._lock:
                current = self._change
                if current is None:
                    self._change = change = Change(phase, self.state, way)
                    self.state = phase
                    return change
            if is_inside(current):
                if phase is not current.phase:
                    raise self._nested()
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

    def _nested(self) -> LifecycleError:
        if self.state is State.STOPPING:
            return NotRunningError(f"{self.name} is {self.state}: start it when it has stopped")
        return LifecycleError(
            f"{self.name} is {self.state}: a part that wants it to stop raises an exception"
        )

    async def _bring_down(
        self,
        parts: Iterable[Part],
        way: Way,
        ends: float,
        error: BaseException | None = None,
    ) -> Stop:
        """Let nothing be started any more, and stop what is up; return how that went."""
        chosen = dict.fromkeys(parts)
        with self._lock:
            self.state = State.STOPPING
            for part in chosen:
                if part.state is State.NEW:
                    part.state = State.STOPPED
        self._forget()
        # Other threads may be about to start a part that they need.
        hanging = [
            part
            for part in chosen
            if part.change is not None and not await way.wait(part.change, left(ends))
        ]
        up = [part for part in reversed(self.record) if part in chosen]
        stop = Stop(up, ends, self.events.tell, error)
        try:
            await way.take_down(stop)
        finally:
            for part in up:
                if part.leave is None:
                    self.record.pop(part, None)
            self._forget()
        for part in hanging:
            late = StopTimeoutError(f"{part.name!r} is still {part.state}, and will have to stop")
            stop.failures.append((part.name, late))
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
        if is_inside(part):
            raise LifecycleError(
                f"{part.name!r} needs itself to start; metrics.lifecycle.check() shows how"
            )
        await way.wait(change, None)
    else:
        return
    starting, began = part.change, monotonic()
    part.asynchronous = asynchronous
    lifecycle.events.tell(Event(part.name, State.STARTING, 0.0, None))
    try:
        with inside(part):
            part.value, part.leave = await way.enter(part, provider, args, kwargs or {})
    except BaseException as error:
        error.add_note(f"while starting {part.name!r}")
        part.reset(State.FAILED)
        lifecycle.events.tell(Event(part.name, State.FAILED, monotonic() - began, error))
        raise
    else:
        lifecycle.record[part] = None
        part.state = State.RUNNING
    finally:
        part.change = None
        if starting is not None:
            starting.set_result(None)
    lifecycle.events.tell(Event(part.name, State.RUNNING, monotonic() - began, None))


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
