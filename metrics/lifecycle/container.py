"""A container that starts its parts in order, all or none, and stops them in reverse, on time."""

import logging
import warnings
from collections.abc import Awaitable, Iterable
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import finalize, ref

from dependency_injector import containers, providers

from metrics.errors import MetricsError
from metrics.instruments.arguments import positive
from metrics.lifecycle.blocking import Blocking, drive
from metrics.lifecycle.lifecycle import SHUTDOWN_TIMEOUT, Lifecycle
from metrics.lifecycle.outcome import Operation, perform
from metrics.lifecycle.ownership import Ownership
from metrics.lifecycle.part import Part, State
from metrics.lifecycle.resource import Resource

logger = logging.getLogger("metrics.lifecycle")

ResourceType = type[providers.BaseResource[Any]]

GARBAGE_SECONDS = 1.0


class LifecycleInstance(containers.DynamicContainer):
    """What calling a `LifecycleContainer` class gives: a container that starts and stops."""

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

    def init_resources(
        self, resource_type: ResourceType = providers.BaseResource
    ) -> Awaitable[None]:
        """See `LifecycleContainer`."""
        return perform(self._start(resource_type))

    def shutdown_resources(
        self,
        resource_type: ResourceType = providers.BaseResource,
        *,
        timeout: float | None = None,
        error: BaseException | None = None,
    ) -> Awaitable[None]:
        """See `LifecycleContainer`."""
        return perform(self._stop(resource_type, timeout, error))

    def _start(
        self, resource_type: ResourceType = providers.BaseResource, timeout: float | None = None
    ) -> Operation:
        check_type(resource_type)
        self._ownership.find_started()
        steps = self._ownership.planned(resource_type)
        lifecycle = self._ownership.lifecycle
        return Operation(
            "container.init_resources()",
            lambda way: lifecycle.start(steps, way, self._timeout(timeout)),
            self._why_awaited(step.part for step in steps if step.asynchronous),
        )

    def _stop(
        self,
        resource_type: ResourceType = providers.BaseResource,
        timeout: float | None = None,
        error: BaseException | None = None,
    ) -> Operation:
        check_type(resource_type)
        seconds = self._timeout(timeout)
        self._ownership.find_started()
        lifecycle, parts = self._ownership.lifecycle, None
        if resource_type is not providers.BaseResource or self._ownership.embedded:
            parts = dict.fromkeys(self._ownership.owned(resource_type))
        up = [part for part in list(lifecycle.record) if parts is None or part in parts]
        return Operation(
            "container.shutdown_resources()",
            lambda way: lifecycle.stop(way, seconds, error, parts),
            self._why_awaited(part for part in up if part.in_loop),
        )

    def _why_awaited(self, parts: Iterable[Part]) -> str:
        lifecycle = self._ownership.lifecycle
        names = ", ".join(repr(part.name) for part in parts)
        if names:
            return f"async parts need an event loop: {names}"
        if lifecycle.changing_here:
            return f"{lifecycle.name} is being started or stopped in this event loop"
        return ""

    def _timeout(self, given: float | None) -> float | None:
        seconds, name = given, "timeout"
        if seconds is None:
            name = "shutdown_timeout"
            seconds = getattr(self.declarative_parent, name, SHUTDOWN_TIMEOUT)
        return None if seconds is None or seconds == inf else positive(name, seconds)

    def __repr__(self) -> str:
        lifecycle = self._ownership.lifecycle
        return f"<{lifecycle.name} {lifecycle.state}>"


class LifecycleContainer(containers.DeclarativeContainer):
    """A declarative container whose `init_resources` and `shutdown_resources` can be trusted.

    Hooks start in the thread that calls `init_resources()`. They stop in a thread of their own,
    `metrics-lifecycle`, so that one that hangs can be given up: its thread is a daemon that goes on
    alone, and stopping again waits for it. What is bound to a thread, as an SQLite connection is by
    default, has to be told so, or the container to have no time limit: then hooks stop in the
    calling thread. When any part is async, async hooks run in the event loop and all others in a
    thread `metrics-lifecycle`, at the start as at the stop. A hook sees its context variables as
    the caller has them, and asks `metrics.deadline.remaining()` how long it may take.
    """

    instance_type = LifecycleInstance

    shutdown_timeout: ClassVar[float | None] = SHUTDOWN_TIMEOUT
    """Seconds for a stop that is not given a timeout, all parts together; None for no limit."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        # A part that is asked for on the class, where it should not be, is named in what follows.
        for name, provider in vars(cls).items():
            if isinstance(provider, Resource) and provider.part.lifecycle is None:
                provider.part.name = name

    if TYPE_CHECKING:

        def init_resources(
            self, resource_type: ResourceType = providers.BaseResource
        ) -> Awaitable[None]:
            """Start every part that is not up: as declared, what it needs first; all or none.

            Everything is done when this returns, unless a part is async: then it has to be awaited,
            and does nothing before. Safe to call from any thread: one starts, the others wait.

            Args:
                resource_type: start only resources of this type, and what they need.

            Raises:
                BaseException: what a part raised, with a note that names the part; whatever was up
                    has been stopped.
            """

        def shutdown_resources(
            self,
            resource_type: ResourceType = providers.BaseResource,
            *,
            timeout: float | None = None,
            error: BaseException | None = None,
        ) -> Awaitable[None]:
            """Stop every part that is up, in exact reverse of the start; then there is nothing up.

            Everything is done when this returns, unless an async part is up: then it has to be
            awaited, and does nothing before. A cancellation waits for the end. Another call waits
            for the first. From the beginning of the stop, asking for a part raises NotRunningError.

            Args:
                resource_type: stop only resources of this type.
                timeout: seconds for all parts together, instead of the class' `shutdown_timeout`;
                    infinity for no limit. A part that hangs is given up when four fifths of what is
                    left are over, or all but a second, so that the others are stopped as well.
                error: what the program ends with, for the exit hooks of context managers.

            Raises:
                ShutdownError: parts failed, or were given up; every other part is down. Calling
                    again stops those that failed again.
                BaseException: a part raised something severe, such as KeyboardInterrupt; raised
                    when everything else is down.
                TypeError, ValueError: `timeout` is no positive number.
            """


def check_type(resource_type: object) -> None:
    """Raise TypeError if something is no type of resource."""
    if not (isinstance(resource_type, type) and issubclass(resource_type, providers.BaseResource)):
        raise TypeError(f"resource_type takes a type of resource provider, got {resource_type!r}")


def instance_of(container: object, caller: str) -> LifecycleInstance:
    """Return a container as what it is; raise TypeError if it has no lifecycle."""
    if isinstance(container, LifecycleInstance):
        return container
    hint = ""
    if isinstance(container, type) and issubclass(container, LifecycleContainer):
        hint = f": call the class, {container.__name__}()"
    elif isinstance(container, type | containers.Container):
        hint = ": derive its class from LifecycleContainer"
    raise TypeError(f"{caller} takes an instance of a LifecycleContainer, got {container!r}{hint}")


def abandon(lifecycle: Lifecycle) -> None:
    """Stop what a container left running when it was garbage collected."""
    up = [part for part in lifecycle.record if part.state is State.RUNNING]
    if not up:
        return
    try:
        named = ", ".join(repr(part.name) for part in up)
        warnings.warn(
            f"{lifecycle.name} was garbage collected while running, with {named}: "
            "keep it, and call its shutdown_resources()",
            ResourceWarning,
            stacklevel=2,
        )
    finally:
        parts = [part for part in up if not part.in_loop]
        try:
            drive(lifecycle.stop(Blocking(), GARBAGE_SECONDS, None, parts))
        except MetricsError:
            logger.exception("%s did not stop when it was garbage collected", lifecycle.name)
