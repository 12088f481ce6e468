"""A container that starts its parts in order, all or none, and stops them in reverse."""

import logging
import threading
from collections.abc import Iterable
from inspect import isasyncgenfunction, iscoroutinefunction, unwrap
from time import perf_counter
from typing import Any

from dependency_injector import containers, providers

from metrics.errors import ShutdownError
from metrics.lifecycle.order import Part, start_order

logger = logging.getLogger("metrics.lifecycle")


class LifecycleInstance(containers.DynamicContainer):
    """What calling a `LifecycleContainer` class gives: a container that starts and stops."""

    def __init__(self) -> None:
        super().__init__()
        self._changing = threading.RLock()

    def init_resources(
        self, resource_type: type[providers.BaseResource[Any]] = providers.BaseResource
    ) -> None:
        """Start every part that is not up, in declaration order, dependencies first.

        When one fails, everything is stopped again and the part's own exception is raised, with a
        note that names the part.
        """
        with self._changing:
            for part in selected(start_order(self), resource_type):
                try:
                    start(part)
                except BaseException as error:
                    error.add_note(f"while starting {part.name!r}; everything else was stopped")
                    for failure in self._stop_all(resource_type):
                        error.add_note(f"stopping after that failed too: {failure!r}")
                    raise

    def shutdown_resources(
        self, resource_type: type[providers.BaseResource[Any]] = providers.BaseResource
    ) -> None:
        """Stop every part that is up, in reverse order of the start. Nothing is up: do nothing.

        Raises:
            ShutdownError: parts failed to stop; every other part is down.
        """
        with self._changing:
            failures = self._stop_all(resource_type)
        if failures:
            raise ShutdownError(f"{len(failures)} parts failed to stop", failures)

    def _stop_all(self, resource_type: type[providers.BaseResource[Any]]) -> list[Exception]:
        failures = []
        for part in selected(reversed(start_order(self)), resource_type):
            try:
                stop(part)
            except Exception as error:  # noqa: BLE001 - collected, so that the rest still stop
                error.add_note(f"while stopping {part.name!r}")
                failures.append(error)
        return failures


class LifecycleContainer(containers.DeclarativeContainer):
    """A declarative container whose `init_resources` and `shutdown_resources` can be trusted.

    `init_resources()` starts the declared parts in declaration order, dependencies first, and all
    of them or none. `shutdown_resources()` stops them in exact reverse and goes on when one fails.
    """

    instance_type = LifecycleInstance


def selected(parts: Iterable[Part], resource_type: type[providers.BaseResource[Any]]) -> list[Part]:
    """Return the parts of one type; raise TypeError if it is no type of resource."""
    if not issubclass(resource_type, providers.BaseResource):
        raise TypeError(f"resource_type takes a type of resource provider, got {resource_type!r}")
    return [part for part in parts if isinstance(part.provider, resource_type)]


def start(part: Part) -> None:
    """Start a part unless it is up, and log it."""
    if part.provider.initialized:
        return
    # Asked before the call, which would leave a task behind that nobody awaits.
    hook = unwrap(part.provider.provides) if part.provider.provides else None
    if iscoroutinefunction(hook) or isasyncgenfunction(hook):
        raise TypeError(f"part {part.name!r} is async, which this container cannot start")
    began = perf_counter()
    part.provider.init()
    logger.info("started %s (%.1f ms)", part.name, (perf_counter() - began) * 1e3)


def stop(part: Part) -> None:
    """Stop a part if it is up, and log it."""
    if not part.provider.initialized:
        return
    began = perf_counter()
    part.provider.shutdown()
    logger.info("stopped %s (%.1f ms)", part.name, (perf_counter() - began) * 1e3)
