"""Container that runs in the workers of an app."""

import asyncio
import atexit
import inspect
import os
import threading
from collections.abc import Awaitable, Iterable, Iterator
from itertools import islice
from logging import getLogger
from typing import Any, Protocol, Self, final

from celery import Celery, current_app, signals

from metrics.clock import SYSTEM_CLOCK
from metrics.errors import LifecycleError
from metrics.instruments._inner import describe
from metrics.integrations._celery.signals import (
    Connections,
    mark_sent,
    new_key,
    unwrap,
    weak_receiver,
)
from metrics.integrations._providers import LifecycleOwner

logger = getLogger("metrics.integrations")

SPAWNED = "FORKED_BY_MULTIPROCESSING"
"""Variable of the environment that Celery sets for children that are spawned and not forked."""

ATTACHED = "_metrics_attachment"
"""Attribute of an app: its attachment."""


class WorkerContainer(LifecycleOwner, Protocol):
    """Container with its providers."""

    @property
    def providers(self) -> dict[str, Any]:
        """The providers by their names."""


class ChildResource(Protocol):
    """Provider of a resource, such as `container.database`."""

    def init(self) -> Any:
        """Start the resource."""


@final
class Attachment:
    """Attachment of a container to the workers of an app, as `attach` returns it.

    container: the attached container.
    """

    def __init__(
        self, app: Celery, container: WorkerContainer, children: Iterable[ChildResource]
    ) -> None:
        self._app = unwrap(app)
        if not isinstance(self._app, Celery):
            raise TypeError(f"invalid app {app!r}: pass the Celery app")
        if isinstance(container, type) or not hasattr(container, "init_resources"):
            raise TypeError(f"invalid container {container!r}: pass an instance of a container")
        self.container = container
        self._children = as_resources(children)
        # The main process of a worker, and the loop of its async resources.
        self._main: int | None = None
        self._loop: LoopThread | None = None
        attached = vars(self._app).get(ATTACHED)
        if attached is not None:
            raise LifecycleError(
                f"{self._app!r} is attached to {attached.container!r}: call detach() of that "
                "attachment first"
            )
        # The app keeps it, and the receivers refer to it weakly: an app that a test has created
        # can be garbage collected.
        vars(self._app)[ATTACHED] = self
        self._key = new_key()
        for signal, method in self._connections():
            signal.connect(weak_receiver(method, self._key), weak=False, dispatch_uid=self._key)

    def detach(self) -> None:
        """Remove the receivers, and stop the container if a worker of this process has started it.

        Such a worker has ended without a signal: by a cold shutdown, or as that of
        `celery.contrib.testing`. The second call does nothing.

        Raises:
            ShutdownError: resources failed to stop.
        """
        for signal, _ in self._connections():
            signal.disconnect(dispatch_uid=self._key)
        if vars(self._app).get(ATTACHED) is self:
            del vars(self._app)[ATTACHED]
        self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.detach()

    def _connections(self) -> Connections:
        return (
            (signals.before_task_publish, self._mark),
            (signals.worker_init, self._start_worker),
            (signals.worker_process_init, self._start_child),
            (signals.worker_process_shutdown, self._stop_child),
            (signals.worker_shutdown, self._stop_worker),
        )

    def _mark(self, headers: Any = None, **_: object) -> None:
        mark_sent(headers, SYSTEM_CLOCK.time())

    def _start_worker(self, sender: Any = None, **_: object) -> None:
        if not is_same(sender.app, self._app) or self._main == os.getpid():
            return
        self._main = os.getpid()
        # A cold shutdown sends no signal.
        atexit.register(self._stop)
        try:
            self._finish(self.container.init_resources())
        except Exception as error:
            # Celery would log an exception and run the worker all the same.
            logger.critical("the worker does not start: %s", describe(error), exc_info=error)
            try:
                self._stop()
            finally:
                raise SystemExit(1) from error

    def _stop_worker(self, sender: Any = None, **_: object) -> None:
        if is_same(sender.app, self._app):
            self._stop()

    def _stop(self) -> None:
        """Stop the container in the main process of a worker, once."""
        if self._main != os.getpid():
            return
        self._main = None
        atexit.unregister(self._stop)
        try:
            self._finish(self.container.shutdown_resources())
        finally:
            loop, self._loop = self._loop, None
            if loop is not None:
                loop.close()

    def _finish(self, result: Any) -> None:
        """Wait for a start or a stop of async resources, in their loop."""
        if needs_loop(result):
            if self._loop is None:
                self._loop = LoopThread()
            self._loop.wait(result)

    def _is_child(self) -> bool:
        if self._main is None:
            return SPAWNED in os.environ and is_same(current_app, self._app)
        return self._main != os.getpid()

    def _start_child(self, **_: object) -> None:
        if not self._is_child():
            return
        for resource in self._children or self._survivor():
            try:
                resource.init()
            except Exception as error:
                logger.error(
                    "a resource of `children` did not start in this process of the pool: %s; the "
                    "next task that requests it starts it",
                    describe(error),
                    exc_info=error,
                )

    def _survivor(self) -> Iterator[ChildResource]:
        """Return an iterator over a resource that survived the fork, if there is one.

        A child that starts a resource gets no notice in the log of the others that do not run.
        """
        running = (
            each
            for each in self.container.providers.values()
            if getattr(each, "initialized", False) is True
        )
        return islice(running, 1)

    def _stop_child(self, **_: object) -> None:
        if self._is_child():
            result = self.container.shutdown_resources()
            if needs_loop(result):
                # The loop of the main process does not run here.
                asyncio.run(wait_for(result))


@final
class LoopThread:
    """Event loop that runs in a daemon thread until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="metrics-celery", daemon=True
        )
        self._thread.start()

    def wait(self, result: Awaitable[object]) -> None:
        """Await a result in the loop, and block until then."""
        asyncio.run_coroutine_threadsafe(wait_for(result), self._loop).result()

    def close(self) -> None:
        """Stop the loop, and wait for its thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def wait_for(result: Awaitable[object]) -> None:
    """Wait for a start or a stop."""
    await result


def needs_loop(result: Any) -> bool:
    """Return whether a start or a stop has to be awaited."""
    done = getattr(result, "done", None)
    return inspect.isawaitable(result) and not (callable(done) and done())


def is_same(found: Any, app: Celery) -> bool:
    """Return whether an app is another one, or its copy in a spawned process."""
    found = unwrap(found)
    return found is app or (
        SPAWNED in os.environ and getattr(found, "main", None) == app.main is not None
    )


def as_resources(children: Iterable[ChildResource]) -> tuple[ChildResource, ...]:
    """Return the providers of resources.

    Raises:
        TypeError: one of them is no provider of a resource.
    """
    rule = "pass resources of the container, such as children=(container.database,)"
    if callable(getattr(children, "init", None)):
        raise TypeError(f"invalid children {children!r}: {rule}")
    resources = tuple(children)
    for resource in resources:
        if not callable(getattr(resource, "init", None)):
            raise TypeError(f"invalid child {resource!r}: {rule}")
    return resources
