"""Starts of single resources, and the drivers that call their hooks."""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any, Protocol, TypeVar, cast

from metrics.clock import SYSTEM_CLOCK
from metrics.errors import LifecycleError, StartTimeoutError
from metrics.lifecycle._graph import AnyResource, Step
from metrics.lifecycle._hooks import Scope
from metrics.lifecycle._record import Events, ResourceRecord, add_note, name_and_hook
from metrics.lifecycle._shutdown import Shutdown, seconds_to
from metrics.lifecycle._threads import Delivery
from metrics.lifecycle._transition import INSIDE, State, Transition, Waiter, is_inside, wait_over

T = TypeVar("T")


class Driver(Waiter, Protocol):
    """Caller of hooks: `SyncDriver` or `AsyncDriver`."""

    async def enter(
        self,
        record: ResourceRecord,
        provider: AnyResource,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        scope: Scope,
    ) -> object:
        """Enter the hook of a resource; return its value."""

    async def exit_all(self, shutdown: Shutdown) -> None:
        """Exit the hooks of a stop until all have stopped, failed or were abandoned."""

    async def complete(self, run: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run an async function to its end, also if the caller is interrupted."""

    async def finish(self, delivery: Delivery) -> None:
        """Wait until events are delivered, as long as there is time."""

    def checkpoint(self) -> None:
        """Raise a recorded interruption of a start."""


class Keeper(Protocol):
    """Lifecycle of a resource, as its start needs it."""

    name: str
    started: dict[ResourceRecord, None]

    @property
    def events(self) -> Events:
        """Recipients of the events."""

    @property
    def transition(self) -> Transition | None:
        """Start or stop of the whole container, while it is under way."""

    def claim(self, record: ResourceRecord, driver: Waiter) -> Transition | None:
        """Take the start of a resource; return None if it runs or another caller has taken it."""


async def start_one(
    step: Step,
    driver: Driver,
    delivery: Delivery | None = None,
    ends: float = inf,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
) -> None:
    """Start a resource unless it runs; wait if another caller is starting it.

    Raises:
        NotRunningError: its container has stopped.
        StartTimeoutError: it does not run at `ends`, on `SYSTEM_CLOCK`.
        LifecycleError: it depends on itself.
    """
    record, provider, asynchronous = step
    lifecycle = cast("Keeper", record.keeper)
    emit = (delivery or Delivery(lifecycle.events, inf)).emit
    while (transition := lifecycle.claim(record, driver)) is None:
        # While a start stops resources that had failed to stop, their transition is that of the
        # container.
        under_way = record.transition or lifecycle.transition
        if record.running:
            return
        if under_way is None:
            continue
        if is_inside(under_way):
            raise LifecycleError(
                f"{record.name!r} needs itself to start: its hook, or one of its dependencies, "
                "requests it"
            )
        if not await wait_over(under_way, driver, seconds_to(ends)):
            raise StartTimeoutError(f"{record.name!r} is still {record.state}")
    began = SYSTEM_CLOCK.monotonic()
    try:
        record.hook = provider.provides
        record.asynchronous = asynchronous
        check_time(record, ends)
        emit(record, State.NEW)
        transitions = (*INSIDE.get(), transition)
        scope = Scope(transitions, ends, transition.waiting, record)
        inside = INSIDE.set(transitions)
        try:
            value = await driver.enter(record, provider, args, kwargs or {}, scope)
            check_process(record, transition)
            record.started(value)
        finally:
            INSIDE.reset(inside)
    except BaseException as error:
        record.failed()
        if record.finalizer is None:
            lifecycle.started.pop(record, None)
        add_note(error, f"while starting {name_and_hook(record)} of {lifecycle.name}")
        seconds = SYSTEM_CLOCK.monotonic() - began
        emit(record, State.STARTING, seconds, error)
        raise
    finally:
        transition.end()
    seconds = SYSTEM_CLOCK.monotonic() - began
    emit(record, State.STARTING, seconds)


def check_process(record: ResourceRecord, transition: Transition) -> None:
    """Raise LifecycleError in a child process that a hook has forked while it was starting."""
    if record.transition is not transition:
        raise LifecycleError(
            f"{record.name!r} was reset, because its hook has forked this process: fork before the "
            "container starts, and call init_resources() in the child process"
        )


def check_time(record: ResourceRecord, ends: float) -> None:
    """Raise StartTimeoutError if the time of a start is over."""
    if ends <= SYSTEM_CLOCK.monotonic():
        raise StartTimeoutError(
            f"{record.name!r} was not started: the resources before it used the time up"
        )
