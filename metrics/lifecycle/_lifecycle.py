"""State machine of a container: it starts and stops resources, one transition at a time.

There is one async implementation. A driver decides how hooks are called and transitions waited for;
with the sync driver no coroutine ever suspends, and `drive` runs it to its end in the calling
thread.
"""

import gc
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Self, TypeVar, final
from weakref import WeakValueDictionary

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK
from metrics.errors import (
    LifecycleError,
    NotRunningError,
    StartTimeoutError,
    StopTimeoutError,
)
from metrics.lifecycle._graph import Singleton, Step, reset_singleton
from metrics.lifecycle._record import (
    Events,
    ResourceRecord,
    add_note,
    log_safely,
)
from metrics.lifecycle._shutdown import Shutdown, ends_in, seconds_to
from metrics.lifecycle._starts import Driver, start_one
from metrics.lifecycle._threads import Delivery
from metrics.lifecycle._transition import (
    INSIDE,
    State,
    Transition,
    Waiter,
    is_inside,
    running_loop,
    wait_over,
)

if TYPE_CHECKING:
    from metrics.lifecycle._owner import Owner

logger = logging.getLogger("metrics.lifecycle")

T = TypeVar("T")

SHUTDOWN_TIMEOUT = 10.0

CLOSED = (State.STOPPING, State.STOPPED, State.FAILED)
"""States of a container whose resources cannot be requested."""


# By identity: listing the values is one step, and other threads may create containers meanwhile.
_living: WeakValueDictionary[int, "Lifecycle"] = WeakValueDictionary()
_adopting = threading.RLock()


@final
class Lifecycle:
    """Starts and stops resources: one transition at a time, each resource once, in a known order.

    Safe to use from any thread. No lock is held while a hook runs.

    Args:
        name: name of the container.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.records: dict[ResourceRecord, None] = {}
        # Resources that are being started, run, or failed to stop.
        self.started: dict[ResourceRecord, None] = {}
        # The container, which may be collected before its resources have stopped.
        self.owner: Callable[[], Owner | None] = lambda: None
        # Guards the state, here and of each record. Reentrant: a signal handler or finalizer may
        # interrupt its holder.
        self._lock = threading.RLock()
        self._state = State.NEW
        self._transition: Transition | None = None
        # Message of a forked process in which resources of the parent do not run, until logged.
        self.fork_notice = ""
        self.collected = False
        _living[id(self)] = self

    @property
    def state(self) -> State:
        """State of the container; a transition that was interrupted in the middle is over."""
        transition = self._transition
        if transition is not None and not transition.over:
            return transition.phase
        return self._state

    @property
    def transition(self) -> Transition | None:
        """Start or stop of the whole container, while it is under way."""
        return self._transition

    @property
    def events(self) -> Events:
        """Recipients of the events."""
        owner = self.owner()
        return owner.events if owner is not None else Events(lambda: self.name)

    @property
    def stop_seconds(self) -> float | None:
        """Time limit of a stop without a timeout; None for no limit."""
        owner = self.owner()
        return SHUTDOWN_TIMEOUT if owner is None else owner.stop_seconds

    def why_awaited(self, asynchronous: list[ResourceRecord]) -> str:
        """Return the reason why a transition needs an event loop; empty if it does not.

        Args:
            asynchronous: the async resources that it starts or stops.
        """
        if asynchronous:
            names = ", ".join(repr(record.name) for record in asynchronous)
            return f"async resources need an event loop: {names}"
        loop = running_loop()
        if loop is not None:
            transitions = [self._transition, *[r.transition for r in list(self.records)]]
            if any(t is not None and not t.over and t.loop is loop for t in transitions):
                return f"{self.name} is being started or stopped in this event loop"
        return ""

    def adopt(self, record: ResourceRecord) -> Self:
        """Be responsible for a resource from now on."""
        record.keeper = self
        self.records[record] = None
        return self

    async def start(
        self,
        steps: Sequence[Step],
        driver: Driver,
        start_seconds: float | None,
        stop_seconds: float | None,
    ) -> None:
        """Start all planned resources that do not run, or none.

        Args:
            steps: the resources, in order.
            driver: calls the hooks.
            start_seconds: time for all of it.
            stop_seconds: time for the roll-back.

        Raises:
            StartTimeoutError: the time was over; everything is stopped again.
            BaseException: the exception of a hook; everything is stopped again.
        """
        if self.state is State.RUNNING and all(step.record.running for step in steps):
            return
        ends = ends_in(start_seconds)
        transition = Transition(self.name, State.STARTING, driver)
        state, raised = State.FAILED, None
        try:
            if await self._begin(transition, driver, ends):
                inside = INSIDE.set((*INSIDE.get(), transition))
                try:
                    await self._start_all(steps, driver, ends, stop_seconds)
                finally:
                    INSIDE.reset(inside)
            state = State.RUNNING
        except BaseException as error:
            raised = error
            raise
        finally:
            self._end(transition, state, raised)

    async def _start_all(
        self, steps: Sequence[Step], driver: Driver, ends: float, stop_seconds: float | None
    ) -> None:
        # A resource that failed to stop may hold a port or file that its next start needs.
        failed = [record for record in list(self.started) if record.state is State.FAILED]
        if failed:
            stop = await driver.complete(self._exit, failed, driver, ends_in(stop_seconds))
            stop.conclude()
        self.revive(self.records)
        self.fork_notice = ""
        _fork.resume()
        delivery = Delivery(self.events, ends)
        try:
            for step in steps:
                driver.checkpoint()
                await start_one(step, driver, delivery, ends)
            driver.checkpoint()
        except BaseException as error:
            stop = await driver.complete(self._close, driver, ends_in(stop_seconds))
            for name, failure in stop.failures:
                add_note(error, f"{name!r} failed to stop then: {failure!r}")
            if stop.interrupts:
                raise stop.interrupts[0] from error
            raise
        finally:
            if delivery.last is not None:
                await driver.finish(delivery)

    async def stop(
        self, driver: Driver, seconds: float | None, error: BaseException | None = None
    ) -> None:
        """Stop all resources that run, in reverse order of the start, and refuse requests.

        Args:
            driver: calls the hooks.
            seconds: time for everything.
            error: the exception that ends the program, for context managers.

        Raises:
            ShutdownError: resources failed to stop; the others have stopped.
        """
        self._refuse_inside(self.records)
        if self.state is State.STOPPED and not self.started:
            with self._lock:
                for record in list(self.records):
                    record.closed()
            return
        ends = inf if seconds is None else SYSTEM_CLOCK.monotonic() + seconds
        await driver.complete(self._stop, driver, ends, error)

    async def _stop(self, driver: Driver, ends: float, error: BaseException | None) -> None:
        transition = Transition(self.name, State.STOPPING, driver)
        state, raised = State.FAILED, None
        try:
            if await self._begin(transition, driver, ends):
                inside = INSIDE.set((*INSIDE.get(), transition))
                try:
                    stop = await self._close(driver, ends, error)
                finally:
                    INSIDE.reset(inside)
                if not any(record.finalizer is not None for record in list(self.started)):
                    state = State.STOPPED
                if stop.failures or stop.interrupts:
                    stop.conclude()
        except BaseException as failure:
            raised = failure
            raise
        finally:
            self._end(transition, state, raised)

    async def stop_some(
        self,
        records: Iterable[ResourceRecord],
        driver: Driver,
        seconds: float | None,
        error: BaseException | None = None,
    ) -> None:
        """Stop some resources; the state of the container stays, and they can be requested again.

        Args:
            records: the resources.
            driver: calls the hooks.
            seconds: time for everything.
            error: the exception that ends the program, for context managers.

        Raises:
            ShutdownError: resources failed to stop; the others have stopped.
        """
        chosen = list(records)
        self._refuse_inside(chosen)
        await driver.complete(self._stop_some, chosen, driver, ends_in(seconds), error)

    async def _stop_some(
        self,
        chosen: list[ResourceRecord],
        driver: Driver,
        ends: float,
        error: BaseException | None,
    ) -> None:
        current = self._transition
        if current is not None and not current.over and not is_inside(current):
            await self._wait_for(current, driver, ends)
        hanging = await self._still_busy(chosen, driver, ends)
        name = ", ".join(repr(record.name) for record in chosen)
        transition = Transition(name, State.STOPPING, driver)
        with self._lock:
            claimed = [
                record
                for record in chosen
                if record.finalizer is not None
                and record.transition is None
                and record not in hanging
            ]
            for record in claimed:
                record.stopping(transition)
            for record in chosen:
                record.closed()
        inside = INSIDE.set((*INSIDE.get(), transition))
        try:
            stop = await self._exit(claimed, driver, ends, error, transition)
            self._add_hanging(stop, hanging)
            stop.conclude()
        finally:
            INSIDE.reset(inside)
            transition.end()

    def _refuse_inside(self, records: Iterable[ResourceRecord]) -> None:
        """Raise LifecycleError in a hook of a resource that is to be stopped."""
        for record in list(records):
            if record.transition is not None and is_inside(record.transition):
                raise LifecycleError(
                    f"{record.name!r} is {record.state}, and its hook cannot stop {self.name}: "
                    "raise an exception in it instead"
                )

    def revive(self, records: Iterable[ResourceRecord]) -> None:
        """Let stopped resources be started."""
        with self._lock:
            if self.state is State.STOPPING:
                return
            revived = [record for record in list(records) if record.revive()]
        if revived:
            self._reset_singletons(revived)

    def claim(self, record: ResourceRecord, driver: Waiter) -> Transition | None:
        """Take the start of a resource; return None if it runs or another caller has taken it.

        Raises:
            NotRunningError: the container has stopped.
        """
        with self._lock:
            closed = self.state in CLOSED
            self.check(record)
            if record.state is not State.NEW:
                return None
            transition = Transition(repr(record.name), State.STARTING, driver)
            record.starting(transition)
            self.started[record] = None
            if self.state in CLOSED and not closed:
                # A signal handler has stopped the container since the check.
                record.reset(State.STOPPED)
                self.started.pop(record, None)
                raise self.refusal(record)
            return transition

    def check(self, record: ResourceRecord) -> None:
        """Raise NotRunningError if a resource cannot be requested."""
        with self._lock:
            state = record.state
            if state in {State.RUNNING, State.STARTING}:
                return
            if self.state not in CLOSED:
                record.revive()
                if record.state is not State.FAILED:
                    return
            elif state is State.NEW and self.state is not State.STOPPING:
                return  # declared after the container has stopped or failed
            raise self.refusal(record)

    def refusal(self, record: ResourceRecord) -> NotRunningError:
        """Return the error of a request that comes too late."""
        if self.collected:
            return NotRunningError(
                f"{record.name!r} of {self.name} is {record.state}: the container was garbage "
                "collected; keep a reference to it. If this came from wired code, another "
                "container may have been wired to the same module"
            )
        if self.state not in CLOSED:
            return NotRunningError(
                f"{record.name!r} of {self.name} is {record.state}: it failed to stop; stop it "
                "again before it is requested"
            )
        return NotRunningError(
            f"{record.name!r} of {self.name} is {record.state}: it can be requested again after "
            "init_resources()"
        )

    @property
    def own(self) -> list[ResourceRecord]:
        """The resources that this lifecycle starts, and not one that has taken them over."""
        return [record for record in list(self.records) if record.keeper is self]

    def forked(
        self, survivors: Collection[ResourceRecord], lost: Collection[ResourceRecord]
    ) -> list[object]:
        """Reset everything but surviving resources, in a forked process.

        Args:
            survivors: the surviving resources of all containers.
            lost: the resources of all containers that run in the parent process alone.

        Returns:
            the hooks and values of the parent, which must not be finalized here.
        """
        inherited: list[object] = []
        own, owner = self.own, self.owner()
        was_running = self._state is State.RUNNING
        self._lock = threading.RLock()
        self._transition = None
        self._state = State.NEW
        self.started = {record: None for record in own if record in survivors}
        for record in own:
            if record in survivors and record.finalizer is not None:
                record.inherited = True
                inherited.append(record.finalizer.forked())
            else:
                inherited += [record.finalizer, record.value]
                record.reset()
            record.disown_past()
        if owner is not None:
            owner.events.clear_journal()
        names = ", ".join(repr(record.name) for record in own if record in lost)
        if was_running and names:
            self.fork_notice = (
                f"{self.name} was running when this process was forked; not running here: {names}. "
                "Call init_resources() in the child process: in post_fork of gunicorn "
                "(post_worker_init with gevent), in worker_process_init of Celery"
            )
        if owner is not None and owner.container is not None:
            owner.reset_stock(survivors)
            for singleton in owner.stale_singletons(lost) if lost else ():
                # Its product may hold a connection of the parent.
                inherited += gc.get_referents(singleton)
                reset_singleton(singleton)
        return inherited

    def log_fork_notice(self) -> None:
        """Log once which resources of the parent process do not run in this one."""
        notice, self.fork_notice = self.fork_notice, ""
        if notice and self.state not in CLOSED:
            log_safely(logger.warning, notice)
        _fork.resume()

    async def _begin(self, transition: Transition, driver: Driver, ends: float) -> bool:
        """Make a transition the current one, after others; False if the caller is inside it."""
        while True:
            with self._lock:
                current = self._transition
                if current is None or current.over:
                    self._transition = transition
                    return True
            if is_inside(current):
                if transition.phase is not current.phase:
                    raise self._nested(current)
                return False
            await self._wait_for(current, driver, ends, transition.phase)
            if current.purpose is transition.purpose and isinstance(current.error, Exception):
                raise current.error

    async def _wait_for(
        self,
        current: Transition,
        driver: Driver,
        ends: float,
        phase: State = State.STOPPING,
    ) -> None:
        """Wait for a transition of the container."""
        if await wait_over(current, driver, seconds_to(ends)):
            return
        busy = [record.name for record in list(self.records) if record.state is current.phase]
        late = StartTimeoutError if phase is State.STARTING else StopTimeoutError
        raise late(
            f"{self.name} is still {current.phase}: {', '.join(busy) or 'no resource'} is busy"
        )

    def _reset_singletons(self, records: Collection[ResourceRecord]) -> list[Singleton]:
        """Let the singletons that were made of resources be recreated; return them."""
        owner = self.owner()
        # The container may be collected before its resources, and with it the singletons.
        if owner is None or not owner.has_singletons or owner.container is None:
            return []
        stale = owner.stale_singletons(records)
        for singleton in stale:
            reset_singleton(singleton)
        return stale

    def _end(self, transition: Transition, state: State, error: BaseException | None) -> None:
        with self._lock:
            if self._transition is not transition:
                return
            self._state = state
            self._transition = None
        transition.end(error)

    def _nested(self, current: Transition) -> LifecycleError:
        if current.phase is State.STOPPING:
            return NotRunningError(f"{self.name} is {current.phase}: start it when it has stopped")
        return LifecycleError(f"{self.name} is {current.phase}: stop it when it has started")

    async def _close(
        self, driver: Driver, ends: float, error: BaseException | None = None
    ) -> Shutdown:
        """Refuse requests from now on, and exit all hooks; return how that went."""
        transition = self._transition
        chosen = list(self.records)
        with self._lock:
            if transition is not None:
                transition.phase = State.STOPPING
            for record in chosen:
                if record.finalizer is None:
                    record.closed()
        stale = self._reset_singletons(chosen)
        hanging = await self._still_busy(chosen, driver, ends)
        stop = await self._exit(
            [record for record in chosen if record not in hanging],
            driver,
            ends,
            error,
            transition,
            stale,
        )
        self._add_hanging(stop, hanging)
        owner = self.owner()
        if owner is not None and owner.stock:
            owner.close_stock()
        return stop

    async def _still_busy(
        self, records: Iterable[ResourceRecord], driver: Driver, ends: float
    ) -> list[ResourceRecord]:
        """Wait for the transitions of single resources; return the resources that stay in one."""
        busy = []
        for record in records:
            transition = record.transition
            if transition is None or transition.over or is_inside(transition):
                continue
            try:
                over = await wait_over(transition, driver, seconds_to(ends))
            except LifecycleError:
                # It waits for this very stop, or this thread has interrupted it.
                if transition.loop is None and transition.thread == threading.get_ident():
                    raise
                over = False
            if not over:
                busy.append(record)
        return busy

    @staticmethod
    def _add_hanging(stop: Shutdown, hanging: Iterable[ResourceRecord]) -> None:
        for record in hanging:
            late = StopTimeoutError(
                f"{record.name!r} is still {record.state}; stop it when that has ended"
            )
            stop.failures.append((record.name, late))
            stop.count += 1

    async def _exit(
        self,
        records: Iterable[ResourceRecord],
        driver: Driver,
        ends: float,
        error: BaseException | None = None,
        transition: Transition | None = None,
        stale: list[Singleton] | None = None,
    ) -> Shutdown:
        """Exit the hooks of resources that run; return how that went.

        Args:
            records: the resources.
            driver: calls the hooks.
            ends: end of the time, on `SYSTEM_CLOCK`.
            error: the exception that ends the program, for context managers.
            transition: the stop that this is part of.
            stale: the singletons that were made of the resources, if they were reset already.
        """
        up = sorted(
            [record for record in records if record.finalizer is not None],
            key=lambda record: record.sequence,
            reverse=True,
        )
        for record in up:
            # No request gets it any more, though its time to stop may be long to come.
            record.stopping(record.transition)
        if stale is None:
            stale = self._reset_singletons(up) if up else []
        delivery = Delivery(self.events, ends)
        waiting = transition.waiting if transition is not None else ()
        stop = Shutdown(self.name, up, ends, delivery, error, INSIDE.get(), waiting)
        try:
            await driver.exit_all(stop)
        except BaseException:
            for record in stop.break_off():
                record.failed()
            raise
        finally:
            with self._lock:
                for record in list(self.started):
                    # One with a transition is being started again, by another thread.
                    if record.finalizer is None and record.transition is None:
                        self.started.pop(record, None)
            for singleton in stale:
                # A hook may have had it recreated.
                reset_singleton(singleton)
        if delivery.last is not None:
            await driver.finish(delivery)
        return stop


def lifecycles() -> list[Lifecycle]:
    """Return every lifecycle in the process."""
    return [found for known in _living.valuerefs() if (found := known()) is not None]


def lifecycle_of(record: ResourceRecord) -> Lifecycle:
    """Return the lifecycle of a resource; one outside any container has its own."""
    keeper = record.keeper
    if isinstance(keeper, Lifecycle):
        return keeper
    with _adopting:
        keeper = record.keeper
        return keeper if isinstance(keeper, Lifecycle) else Lifecycle(record.name).adopt(record)


def renew_locks() -> None:
    """Replace the lock that a forked process may have inherited in use."""
    global _adopting  # noqa: PLW0603 - a lock is replaced: its holder does not exist here
    _adopting = threading.RLock()
