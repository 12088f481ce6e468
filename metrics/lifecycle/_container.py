"""Container that starts its resources in order, all or none, and stops them in reverse, on time."""

import logging
import warnings
from collections.abc import Awaitable
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn
from weakref import finalize, ref

from dependency_injector import containers, providers

from metrics.errors import MetricsError
from metrics.instruments._inner import finite, positive
from metrics.lifecycle._awaitable import Start, Stop, StopSome, perform, perform_here
from metrics.lifecycle._checks import raise_problems, reset_options, startup_problems
from metrics.lifecycle._graph import AnyResource, in_order, related
from metrics.lifecycle._lifecycle import SHUTDOWN_TIMEOUT, Lifecycle
from metrics.lifecycle._ownership import Ownership
from metrics.lifecycle._resource import Resource
from metrics.lifecycle._view import ContainerView

logger = logging.getLogger("metrics.lifecycle")

ResourceType = type[AnyResource]

GARBAGE_SECONDS = 1.0


class LifecycleInstance(containers.DynamicContainer):
    """Instance of a `LifecycleContainer` class: a container that starts and stops."""

    def __init__(self) -> None:
        super().__init__()
        lifecycle = Lifecycle(type(self).__name__)
        self._ownership = Ownership(self, lifecycle)
        lifecycle.owner = ref(self._ownership)
        finalize(self, abandon, lifecycle).atexit = False

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if isinstance(value, providers.Provider) and self.providers.get(name) is value:
            self._ownership.adopt(name, value)
        elif name == "declarative_parent" and value is not None:
            self._ownership.lifecycle.name = value.__name__

    def override_providers(self, **overriding_providers: Any) -> Any:
        """Override providers; providers of another container do not keep this one alive."""
        context: object = super().override_providers(**overriding_providers)
        for provider, _ in in_order(
            [self.providers[name] for name in overriding_providers], related
        ):
            # A configuration notifies its borrowers when it changes.
            if not isinstance(provider, providers.Configuration):
                for other in provider.overridden:
                    other.unregister_overrides(provider)
        return context

    def init_resources(
        self, resource_type: ResourceType = providers.BaseResource, *, timeout: float | None = None
    ) -> Awaitable[None]:
        """See `LifecycleContainer`."""
        return perform(self.start_operation(resource_type, timeout))

    def shutdown_resources(
        self,
        resource_type: ResourceType = providers.BaseResource,
        *,
        timeout: float | None = None,
        error: BaseException | None = None,
    ) -> Awaitable[None]:
        """See `LifecycleContainer`."""
        return perform(self.stop_operation(resource_type, timeout, error))

    def start_operation(
        self,
        resource_type: ResourceType = providers.BaseResource,
        timeout: float | None = None,
        stop_timeout: float | None = None,
    ) -> "Start":
        """Return the start of the container, to be performed by either driver.

        Raises:
            CheckError: it could not succeed.
        """
        check_type(resource_type)
        seconds = self.start_seconds(timeout)
        ownership = self._ownership
        ownership.reopen_stock()
        ownership.find_started()
        reset_options(self)
        steps = ownership.planned(resource_type)
        raise_problems(ownership.lifecycle.name, startup_problems(self, steps))
        why = ownership.lifecycle.why_awaited([s.record for s in steps if s.asynchronous])
        return Start(ownership.lifecycle, steps, seconds, self.stop_seconds(stop_timeout), why)

    def stop_operation(
        self,
        resource_type: ResourceType = providers.BaseResource,
        timeout: float | None = None,
        error: BaseException | None = None,
    ) -> "Stop | StopSome":
        """Return the stop of the container, to be performed by either driver."""
        check_type(resource_type)
        seconds = self.stop_seconds(timeout)
        ownership = self._ownership
        if ownership.stock:
            ownership.find_started()
        lifecycle = ownership.lifecycle
        if resource_type is providers.BaseResource and not ownership.embedded:
            why = lifecycle.why_awaited([r for r in list(lifecycle.started) if r.in_loop])
            return Stop(lifecycle, seconds, error, why)
        records = tuple(ownership.owned(resource_type))
        running = [r for r in records if r.finalizer is not None and r.in_loop]
        why = lifecycle.why_awaited(running)
        return StopSome(lifecycle, records, seconds, error, why, "container.shutdown_resources()")

    def start_seconds(self, given: float | None) -> float | None:
        """Return the time limit of a start: the given one, or the class's; None for no limit."""
        if given is not None:
            return None if given == inf else positive("timeout", given)
        limit = getattr(self.declarative_parent, "start_timeout", None)
        return None if limit is None or limit == inf else positive("start_timeout", limit)

    def stop_seconds(self, given: float | None) -> float | None:
        """Return the time limit of a stop: the given one, or the class's; None for no limit."""
        if given is not None:
            return budget("timeout", given)
        limit = getattr(self.declarative_parent, "shutdown_timeout", SHUTDOWN_TIMEOUT)
        return None if limit is None else budget("shutdown_timeout", limit)

    def __metrics_view__(self) -> ContainerView:
        """Return the states, events and reporters, for integrations that do not know this class."""
        return ContainerView(self._ownership)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        lifecycle = self._ownership.lifecycle
        raise TypeError(
            f"cannot pickle {lifecycle.name}, which is {lifecycle.state}: its resources belong to "
            "this process; pickle its configuration, and create a container in the other process"
        )

    def __repr__(self) -> str:
        lifecycle = self._ownership.lifecycle
        return f"<{lifecycle.name} {lifecycle.state}>"


class LifecycleContainer(containers.DeclarativeContainer):
    """Declarative container with a dependable `init_resources` and `shutdown_resources`.

    Hooks start in the thread that calls `init_resources()`; with a time limit for the start, in a
    daemon thread `metrics-lifecycle`. They stop in such a thread, so that one that hangs can be
    abandoned: its thread goes on alone, and stopping again waits for it. A value that is bound to a
    thread, as an SQLite connection is by default, has to allow that, or the container must have no
    time limit: then hooks stop in the calling thread. When any resource is async, each async hook
    lives in a task of its own in the event loop, and all others run in threads, at the start as at
    the stop.

    A hook is entered and exited in one copy of the caller's context variables, and
    `metrics.deadline.remaining()` returns the seconds that it may take.
    """

    instance_type = LifecycleInstance

    start_timeout: ClassVar[float | None] = None
    """Seconds for a start without a timeout, all resources together; None for no limit."""

    shutdown_timeout: ClassVar[float | None] = SHUTDOWN_TIMEOUT
    """Seconds for a stop without a timeout, all resources together; None for no limit."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # A resource that is requested on the class, by mistake, is named in the messages.
        for name, provider in vars(cls).items():
            if isinstance(provider, Resource) and provider.record.keeper is None:
                provider.record.name = name

    if TYPE_CHECKING:

        def init_resources(
            self,
            resource_type: ResourceType = providers.BaseResource,
            *,
            timeout: float | None = None,
        ) -> Awaitable[None]:
            """Start every resource that does not run, dependencies first: all or none.

            Everything is done when this returns, unless a resource is async: then the result has to
            be awaited, and nothing happens before. Safe to call from any thread: one starts, the
            others wait.

            Args:
                resource_type: start only resources of this type, and their dependencies.
                timeout: seconds for all resources together, instead of the class's `start_timeout`;
                    infinity for no limit. Without a limit, a hook that has been starting for ten
                    seconds is named in the log.

            Raises:
                CheckError: the start could not succeed; no hook has run.
                StartTimeoutError: a hook did not start in time; it is named with its stack, and
                    everything is stopped again.
                BaseException: the exception of a hook, with a note that names the resource;
                    everything is stopped again.
                TypeError, ValueError: `timeout` is no positive number.
            """

        def shutdown_resources(
            self,
            resource_type: ResourceType = providers.BaseResource,
            *,
            timeout: float | None = None,
            error: BaseException | None = None,
        ) -> Awaitable[None]:
            """Stop every resource that runs, in exact reverse order of the start.

            Everything is done when this returns, unless an async resource runs: then the result has
            to be awaited, and nothing happens before. A cancellation waits for the end. Another
            call waits for the first. From the beginning of the stop, requests raise
            NotRunningError.

            Args:
                resource_type: stop only resources of this type, which can be requested again.
                timeout: seconds for all resources together, instead of the class's
                    `shutdown_timeout`; infinity for no limit. A resource that hangs is abandoned
                    when four fifths of the rest are over, or all but a second, so that the others
                    are stopped as well. When the time is over, or `timeout` is not above 0, the
                    remaining ones are stopped concurrently, in half a second.
                error: the exception that ends the program, for context managers among the hooks.

            Raises:
                ShutdownError: resources failed, or were abandoned; all others have stopped. Calling
                    again retries the failed ones.
                BaseException: a hook raised KeyboardInterrupt, for example; raised when everything
                    else has stopped.
                TypeError, ValueError: `timeout` is not a number.
            """


def budget(name: str, seconds: float) -> float | None:
    """Return the seconds of a time limit, at least 0; None for infinity.

    Raises:
        TypeError, ValueError: it is not a number.
    """
    if type(seconds) is float and 0.0 <= seconds < inf:
        return seconds
    return None if seconds == inf else max(finite(name, seconds), 0.0)


def check_type(resource_type: object) -> None:
    """Raise TypeError if an object is no type of resource."""
    if not (isinstance(resource_type, type) and issubclass(resource_type, providers.BaseResource)):
        raise TypeError(
            f"resource_type must be a subclass of Resource provider, got {resource_type!r}"
        )


def instance_of(container: object, caller: str) -> LifecycleInstance:
    """Return a container as an instance; raise TypeError if it has no lifecycle."""
    if isinstance(container, LifecycleInstance):
        return container
    hint = ""
    if isinstance(container, type) and issubclass(container, LifecycleContainer):
        hint = f": call the class, {container.__name__}()"
    elif isinstance(container, type | containers.Container):
        hint = ": derive its class from LifecycleContainer"
    raise TypeError(f"{caller} takes an instance of a LifecycleContainer, got {container!r}{hint}")


def abandon(lifecycle: Lifecycle) -> None:
    """Stop the running resources of a container that was garbage collected."""
    lifecycle.collected = True
    up = [record for record in list(lifecycle.started) if record.running]
    if not up:
        return
    try:
        named = ", ".join(repr(record.name) for record in up)
        warnings.warn(
            f"{lifecycle.name} was garbage collected while running, with {named}: "
            "keep a reference to it, and call its shutdown_resources()",
            ResourceWarning,
            stacklevel=2,
        )
    finally:
        # Async hooks cannot be exited without their event loop.
        for record in list(lifecycle.started):
            if record.in_loop:
                lifecycle.started.pop(record, None)
                lifecycle.records.pop(record, None)
        try:
            perform_here(Stop(lifecycle, GARBAGE_SECONDS, None, ""))
        except MetricsError:
            logger.exception("%s did not stop when it was garbage collected", lifecycle.name)
