"""The state machine: who may start and stop parts, and when."""

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from math import inf
from typing import Any, Protocol, Self, final
from weakref import WeakValueDictionary

from dependency_injector import containers, providers

from metrics.clock import SYSTEM_CLOCK
from metrics.errors import LifecycleError, NotRunningError, StopTimeoutError
from metrics.lifecycle.change import Change, Way, ended, inside, is_inside, running_loop
from metrics.lifecycle.events import Events
from metrics.lifecycle.part import Event, Part, State
from metrics.lifecycle.plan import Step
from metrics.lifecycle.stopping import Stop

DOWN = (State.STOPPED, State.FAILED)

SHUTDOWN_TIMEOUT = 10.0


class Owner(Protocol):
    """The container that parts belong to."""

    @property
    def events(self) -> Events:
        """Who is told what happens to the parts."""

    @property
    def container(self) -> containers.DynamicContainer | None:
        """The container itself, unless it has been collected."""

    def part_of(self, provider: providers.BaseResource[Any]) -> Part | None:
        """Return the part of a resource; None when the resource is somebody else's."""

    def begin_anew(self) -> None:
        """Take dependency-injector's own resources for NEW, in a forked process."""

    def forget_singletons(self, parts: Collection[Part]) -> None:
        """Let the singletons that were made of parts be made anew."""


# By identity: to list the values takes one step, and other threads may make containers meanwhile.
_living: WeakValueDictionary[int, "Lifecycle"] = WeakValueDictionary()
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
        # The container, which may be gone before its parts are down.
        self.owner: Callable[[], Owner | None] = lambda: None
        # Guards the state and the change, here and of each part.
        self._lock = threading.Lock()
        self._change: Change | None = None
        _living[id(self)] = self

    def adopt(self, part: Part) -> Self:
        """Be responsible for a part from now on."""
        part.lifecycle = self
        self.parts[part] = None
        return self

    async def start(self, steps: Sequence[Step], way: Way, seconds: float | None) -> None:
        """Start all that is planned and is not up, or nothing.

        Args:
            steps: what to start, in order.
            way: how hooks are called.
            seconds: time for the roll-back.

        Raises:
            BaseException: what a part raised; everything is down again.
        """
        if self.state is State.RUNNING and all(s.part.state is State.RUNNING for s in steps):
            return
        change = Change(self.name, State.STARTING, way)
        state, raised = State.FAILED, None
        try:
            if await self._begin(change, way, inf):
                with inside(change):
                    await self._start(steps, way, seconds)
            state = State.RUNNING
        except BaseException as error:
            raised = error
            raise
        finally:
            self._end(change, state, raised)

    async def _start(self, steps: Sequence[Step], way: Way, seconds: float | None) -> None:
        # What failed to stop may hold what its next start needs.
        failed = [part for part in self.record if part.state is State.FAILED]
        if failed:
            stop = await way.complete(self._bring_down(failed, way, ends_in(seconds)))
            stop.conclude()
            self.state = State.STARTING
        self.revive(self.parts)
        try:
            for step in steps:
                await bring_up(step, way)
                way.checkpoint()
        except BaseException as error:
            stop = await way.complete(self._bring_down(self.parts, way, ends_in(seconds)))
            for name, failure in stop.failures:
                error.add_note(f"{name!r} failed to stop then: {failure!r}")
            if stop.interrupts:
                raise stop.interrupts[0] from error
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
        for part in list(self.parts):
            if part.change is not None and is_inside(part.change):
                raise LifecycleError(
                    f"{part.name!r} is {part.state}, and cannot stop {self.name} from there: let "
                    "it raise an exception instead"
                )
        if self.state is State.STOPPED and not self.record:
            return
        await way.complete(self._stop(way, ends_in(seconds), error, parts))

    async def _stop(
        self, way: Way, ends: float, error: BaseException | None, parts: Iterable[Part] | None
    ) -> None:
        change = Change(self.name, State.STOPPING, way)
        state, raised = State.FAILED, None
        try:
            if await self._begin(change, way, ends):
                with inside(change):
                    chosen = self.parts if parts is None else parts
                    stop = await self._bring_down(chosen, way, ends, error)
                if not any(part.state is State.FAILED for part in self.record):
                    state = State.STOPPED if parts is None else change.before
                stop.conclude()
        except BaseException as failure:
            raised = failure
            raise
        finally:
            self._end(change, state, raised)

    @property
    def changing_here(self) -> bool:
        """Whether something is being started or stopped in the calling event loop."""
        loop = running_loop()
        changes = [self._change, *(part.change for part in list(self.parts))]
        return any(change is not None and change.loop is loop for change in changes if loop)

    def revive(self, parts: Iterable[Part]) -> None:
        """Let parts that are down be started."""
        with self._lock:
            if self.state is State.STOPPING:
                return
            down = [part for part in parts if part.state in DOWN and part.leave is None]
            for part in down:
                part.reset(State.NEW)
        if down:
            self._forget(down)

    def forked(self) -> list[object]:
        """Begin anew in a forked process; return what belongs to the parent process."""
        inherited = [kept for part in self.parts for kept in (part.leave, part.value)]
        self._lock = threading.Lock()
        self._change = None
        self.state = State.NEW
        self.record.clear()
        for part in self.parts:
            part.reset(State.NEW)
        self._forget(self.parts)
        return inherited

    def claim(self, part: Part, way: Way) -> Change | None:
        """Take the start of a part on; return None if it is up or somebody else is starting it.

        Raises:
            NotRunningError: it cannot be started, because it has been stopped.
        """
        with self._lock:
            self.check(part)
            if part.state is not State.NEW:
                return None
            part.change = Change(repr(part.name), State.STARTING, way)
            part.state = State.STARTING
            return part.change

    def check(self, part: Part) -> None:
        """Raise NotRunningError if a part cannot be asked for."""
        failed = part.state is State.FAILED and part.leave is None
        if failed and self.state in {State.NEW, State.STARTING, State.RUNNING}:
            part.state = State.NEW  # what failed when it was first needed may be tried again
        if part.state in {State.STOPPING, State.STOPPED, State.FAILED}:
            raise NotRunningError(
                f"{part.name!r} of {self.name} is {part.state}: it can be asked for after "
                f"{'init_resources()' if self.owner() else 'init()'}"
            )

    def tell(self, event: Event) -> None:
        """Log an event, and tell the subscribers, if the container still has any."""
        owner = self.owner()
        (owner.events if owner else Events()).tell(event)

    async def _begin(self, change: Change, way: Way, ends: float) -> bool:
        """Make a change the one under way, after others; False if the caller is making it."""
        while True:
            with self._lock:
                current = self._change
                if current is None:
                    change.before = self.state
                    self._change = change
                    self.state = change.phase
                    return True
            if is_inside(current):
                if change.phase is not current.phase:
                    raise self._nested()
                return False
            if not await ended(current, way, left(ends)):
                busy = [part.name for part in list(self.parts) if part.state is current.phase]
                raise StopTimeoutError(
                    f"{self.name} is still {current.phase}: {', '.join(busy) or 'no part'} is busy"
                )
            if current.phase is change.phase and isinstance(current.error, Exception):
                raise current.error

    def _forget(self, parts: Collection[Part]) -> None:
        owner = self.owner()
        # Its container may be gone before it, and with that the singletons.
        if owner is not None and owner.container is not None:
            owner.forget_singletons(parts)

    def _end(self, change: Change, state: State, error: BaseException | None) -> None:
        with self._lock:
            if self._change is not change:
                return
            change.error = error
            self._change = None
            self.state = state
        change.set_result(None)

    def _nested(self) -> LifecycleError:
        if self.state is State.STOPPING:
            return NotRunningError(f"{self.name} is {self.state}: start it when it has stopped")
        return LifecycleError(f"{self.name} is {self.state}: stop it when it has started")

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
        self._forget(chosen)
        # Other threads may be about to start a part that they need.
        starting = [part for part in chosen if part.change is not None]
        hanging = [part for part in starting if not await self._has_started(part, way, ends)]
        up = [part for part in reversed(list(self.record)) if part in chosen]
        for part in up:
            # Nobody is given it any more, though its turn to stop may be long to come.
            part.state = State.STOPPING
        waiting = self._change.waiting if self._change is not None else ()
        stop = Stop(up, ends, self.tell, error, waiting)
        try:
            await way.take_down(stop)
        finally:
            for part in up:
                if part.leave is None:
                    self.record.pop(part, None)
            self._forget(chosen)
        for part in hanging:
            late = StopTimeoutError(f"{part.name!r} is still {part.state}, and will have to stop")
            stop.failures.append((part.name, late))
            stop.count += 1
        return stop

    async def _has_started(self, part: Part, way: Way, ends: float) -> bool:
        try:
            return part.change is None or await ended(part.change, way, left(ends))
        except LifecycleError:
            return False  # it waits for this very stop


def lifecycles() -> list[Lifecycle]:
    """Return every life cycle there is."""
    return [found for known in _living.valuerefs() if (found := known()) is not None]


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
    while (change := lifecycle.claim(part, way)) is None:
        starting = part.change
        if part.state is State.RUNNING:
            return
        if starting is not None and is_inside(starting):
            raise LifecycleError(
                f"{part.name!r} needs itself to start: its hook, or what it needs, asks for it"
            )
        if starting is not None:
            await ended(starting, way)
    began = SYSTEM_CLOCK.monotonic()
    try:
        part.asynchronous = asynchronous
        lifecycle.tell(Event(part.name, State.STARTING, 0.0, None, State.NEW))
        with inside(change):
            part.value, part.leave = await way.enter(part, provider, args, kwargs or {})
    except BaseException as error:
        error.add_note(f"while starting {part.name!r}")
        part.reset(State.FAILED)
        lifecycle.tell(
            Event(part.name, State.FAILED, SYSTEM_CLOCK.monotonic() - began, error, State.STARTING)
        )
        raise
    else:
        lifecycle.record[part] = None
        part.state = State.RUNNING
    finally:
        part.change = None
        change.set_result(None)
    lifecycle.tell(
        Event(part.name, State.RUNNING, SYSTEM_CLOCK.monotonic() - began, None, State.STARTING)
    )


def lifecycle_of(part: Part) -> Lifecycle:
    """Return what is responsible for a part; one that is in no container has its own."""
    with adopting:
        return part.lifecycle or Lifecycle(part.name).adopt(part)


def ends_in(seconds: float | None) -> float:
    """Return when a number of seconds is over, on `SYSTEM_CLOCK`."""
    return inf if seconds is None else SYSTEM_CLOCK.monotonic() + seconds


def left(ends: float) -> float | None:
    """Return the seconds until then; None without end."""
    return None if ends == inf else max(ends - SYSTEM_CLOCK.monotonic(), 0.0)
