"""Celery workers: a container in the processes of a worker, and the metrics of its tasks.

    app = Celery("program", broker="redis://")

    class Container(MetricsContainer):
        tasks = Resource(celery.tasks, MetricsContainer.registry)
        database = Resource(connect)

    container = Container()
    celery.attach(app, container, children=(container.database,))

`celery -A program worker` starts the container; the import, and a process that only sends tasks,
starts nothing. The instruments are named as Celery's exporters have them:

| instrument | labels | recorded |
| --- | --- | --- |
| `celery_task_received` | `name` | by the main process, when the broker delivers a task |
| `celery_task_queue_time`, in seconds | `name` | from the sending, or the ETA, to the start |
| `celery_task_active` | `name` | tasks that run now |
| `celery_task_runtime`, in seconds | `name` | at the end of each run, whatever its outcome |
| `celery_task_succeeded` | `name` | |
| `celery_task_failed` | `name`, `exception` | the class, such as `WorkerLostError` |
| `celery_task_retried` | `name` | each time that a task retries |
| `celery_task_revoked` | `name` | by the main process: revoked, expired or terminated |
| `celery_task_rejected` | `name` | by `Reject`, or by the main process: not a valid message |
| `celery_task_ignored` | `name` | by `Ignore` |

On a Prometheus page these are `celery_task_succeeded_total{name="program.add"}` and
`celery_task_runtime_seconds`. The name of a task that no module has registered is `_OTHER`.

A process of the prefork pool records the tasks that it runs. A page that the main process serves
shows them with the pools threads, solo and gevent; with prefork, name a reporter in `children`, so
that each process reports its own values.
"""

import asyncio
import atexit
import inspect
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count, islice
from logging import getLogger
from math import isfinite
from types import TracebackType
from typing import Any, Protocol, Self, final
from weakref import WeakMethod

from celery import Celery, current_app, signals  # type: ignore[import-untyped]
from celery.exceptions import Reject, Retry, TimeLimitExceeded  # type: ignore[import-untyped]

from metrics._fork import survives_fork
from metrics.clock import SYSTEM_CLOCK
from metrics.errors import LifecycleError
from metrics.instruments._inner import Real, Whole, describe, size
from metrics.registry import Registry
from metrics.registry._inner import Registrations

logger = getLogger("metrics.integrations")

BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper bounds of run times and queue times: a hundredth of a second to an hour."""

MAX_SERIES = 1000
"""Default limit for the names of tasks, and for their combinations with exceptions."""

OTHER = "_OTHER"
"""Label of the names of tasks that are not registered."""

HEADER = "metrics_sent"
"""Header of a message: the time of its sending, in seconds since the Unix epoch."""

SECOND = 1e9

ENDS = {"REJECTED": "rejected", "IGNORED": "ignored"}
"""Outcomes without a signal of their own, by the state at the end of a run."""

Receiver = Callable[..., None]
Connections = tuple[tuple[Any, Receiver], ...]
"""Signals and their receivers."""


class WorkerContainer(Protocol):
    """Container whose resources are started and stopped."""

    @property
    def providers(self) -> dict[str, Any]:
        """The providers by their names."""

    def init_resources(self) -> Any:
        """Start the resources."""

    def shutdown_resources(self) -> Any:
        """Stop the resources."""


class ChildResource(Protocol):
    """Provider of a resource, such as `container.database`."""

    def init(self) -> Any:
        """Start the resource."""


def attach(
    app: Celery, container: WorkerContainer, *, children: Iterable[ChildResource] = ()
) -> "Attachment":
    """Run a container in the workers of an app.

    The main process of a worker starts the container before its pool, and stops it after the last
    task. A container that cannot start ends the worker with the exit code 1.

    With the prefork pool, tasks run in children. Each starts the resources `children`, and stops
    all that it has started when it ends. A resource that fails to start is logged, and the next
    task that requests it starts it. `tasks` and other instruments need not be named, because they
    survive the fork; only spawned children (`worker_pool_start_method`) need them. Celery kills a
    child that has not started in `worker_proc_alive_timeout`, four seconds by default. With the
    pools solo, threads and gevent, tasks run in the main process.

    Async resources run in an event loop in a thread of the main process; children take none.

    Messages that are sent while this is attached have the time of their sending as a header, from
    which `tasks` computes their queue time.

    Args:
        app: the Celery app; call this at the import of its module, or where it is created.
        container: the container, which is started and stopped in the workers of this app only.
        children: resources that each process of a prefork pool starts for itself.

    Returns:
        The attachment. It stays as long as the app, until its `detach()`, or to the end of its
        `with` block.

    Raises:
        LifecycleError: the app is attached already.
        TypeError: an argument is of another type.
    """
    return Attachment(app, container, children)


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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
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


SPAWNED = "FORKED_BY_MULTIPROCESSING"
"""Variable of the environment that Celery sets for children that are spawned and not forked."""

ATTACHED = "_metrics_attachment"
"""Attribute of an app: its attachment."""


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


def unwrap(app: Any) -> Any:
    """Return an app itself, for a proxy such as `celery.current_app`."""
    current = getattr(type(app), "_get_current_object", None)
    return app if current is None else current(app)


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


keys = count(1)


def new_key() -> str:
    """Return a key for the receivers of one object.

    Without a key, Celery before 5.7 takes the methods of two objects for the same receiver.
    """
    return f"metrics_{next(keys)}"


def weak_receiver(method: Receiver, key: str) -> Receiver:
    """Return a receiver that calls a method until the object of the method is collected.

    It is connected strongly: when a weak receiver dies, Celery before 5.7 replaces the signal's
    list of receivers, but its tasks and senders keep the old one and miss later receivers.
    """
    reference = WeakMethod(method)

    def receive(signal: Any, **details: Any) -> None:
        found = reference()
        if found is None:
            signal.disconnect(dispatch_uid=key)
        else:
            found(**details)

    return receive


def mark_sent(headers: Any, seconds: float) -> None:
    """Give the message of a task the time of its sending, in its headers.

    Replaces the time of another message, whose headers a retry and some tasks pass on.
    """
    if isinstance(headers, dict):
        headers[HEADER] = seconds


@final
class Tasks:
    """Instruments of tasks, as `tasks` registers them.

    The start of a task is kept on its request, which Celery drops with the run: nothing is kept by
    the id of a task that may never end.
    """

    def __init__(
        self,
        own: Registrations,
        app: Celery | None,
        bounds: tuple[Real, ...],
        max_series: int,
        registry: Registry,
    ) -> None:
        self._app = app
        self._time = registry.clock.time
        self._now = registry.clock.monotonic_ns
        # Also the attribute of a request: another registry may measure the same tasks.
        self.key = new_key()
        by_name = ("name",)
        self._queue_times = own.bucket_histograms(
            "celery_task_queue_time",
            by_name,
            bounds,
            unit="seconds",
            description="Time from the sending of a task, or its ETA, to its start",
            max_children=max_series,
        )
        self._runtimes = own.bucket_histograms(
            "celery_task_runtime",
            by_name,
            bounds,
            unit="seconds",
            description="Time that tasks ran",
            max_children=max_series,
        )
        self._active = own.updown_counters(
            "celery_task_active", by_name, description="Running tasks", max_children=max_series
        )
        self._failed = own.counters(
            "celery_task_failed",
            ("name", "exception"),
            description="Tasks that raised an exception",
            max_children=max_series,
        )
        self._counters = {
            state: own.counters(
                f"celery_task_{state}", by_name, description=text, max_children=max_series
            )
            for state, text in {
                "received": "Tasks that the broker has delivered",
                "succeeded": "Tasks that succeeded",
                "retried": "Tasks that were sent again",
                "revoked": "Tasks that were revoked, expired or terminated",
                "rejected": "Tasks whose message was rejected",
                "ignored": "Tasks that raised Ignore",
            }.items()
        }

    def connections(self) -> Connections:
        """Return the signals of Celery, and their receivers."""
        return (
            (signals.before_task_publish, self.mark),
            (signals.task_received, self.receive),
            (signals.task_prerun, self.begin),
            (signals.task_postrun, self.end),
            (signals.task_success, self.succeed),
            (signals.task_failure, self.fail),
            (signals.task_retry, self.retry),
            (signals.task_revoked, self.revoke),
            (signals.task_rejected, self.reject),
            (signals.task_unknown, self.refuse),
        )

    def mark(self, headers: Any = None, **_: object) -> None:
        """Give a message the time of its sending."""
        mark_sent(headers, self._time())

    def receive(self, sender: Any = None, request: Any = None, **_: object) -> None:
        """Count a task that the consumer has received."""
        if self._measures(sender):
            # The name of the request may be a shadow, of which there may be any number.
            self._count("received", request.task)

    def begin(self, task: Any = None, **_: object) -> None:
        """Record the start of a run."""
        if not self._measures(task):
            return
        request = task.request
        vars(request)[self.key] = self._now()
        self._active.labels(task.name).inc()
        waited = self._queue_time(request)
        if waited is not None:
            self._queue_times.labels(task.name).update(waited)

    def _queue_time(self, request: Any) -> float | None:
        """Return the seconds from the sending of a task, or its ETA; None without the header.

        At least 0: the clock of the sender may be ahead.
        """
        sent: Any = (request.headers or {}).get(HEADER)
        if request.is_eager or type(sent) not in {int, float} or not isfinite(sent):
            return None
        due: float = sent
        if request.eta:
            eta = datetime.fromisoformat(request.eta)
            due = max(due, (eta if eta.tzinfo else eta.replace(tzinfo=UTC)).timestamp())
        return max(self._time() - due, 0.0)

    def end(self, task: Any = None, state: Any = None, **_: object) -> None:
        """Record the end of a run."""
        started = vars(task.request).pop(self.key, None)
        if started is None:
            return  # it began before the instruments were registered, or is another app's
        self._active.labels(task.name).dec()
        self._runtimes.labels(task.name).update((self._now() - started) / SECOND)
        if state in ENDS:
            self._count(ENDS[state], task)
        elif state is None and task.request.is_eager:
            # With `task_eager_propagates`, Celery sends no other signal.
            error = sys.exception()
            if isinstance(error, Retry):
                self._count("retried", task)
            elif isinstance(error, Exception):
                self._failed.labels(task.name, type(error).__qualname__).inc()

    def succeed(self, sender: Any = None, **_: object) -> None:
        """Count a task that succeeded."""
        if self._measures(sender):
            self._count("succeeded", sender)

    def fail(
        self, sender: Any = None, exception: Any = None, traceback: Any = None, **_: object
    ) -> None:
        """Count a task that failed; in the main process, one whose child was lost."""
        if not self._measures(sender) or isinstance(exception, Reject):
            return  # the end of its run has counted a rejected task
        if isinstance(exception, TimeLimitExceeded) and not isinstance(traceback, str):
            # Celery 5.7 sends a second signal for a hard time limit, whose traceback is no text.
            return
        self._failed.labels(sender.name, type(exception).__qualname__).inc()

    def retry(self, sender: Any = None, **_: object) -> None:
        """Count a task that is sent again."""
        if self._measures(sender):
            self._count("retried", sender)

    def revoke(self, sender: Any = None, **_: object) -> None:
        """Count a task that was revoked, has expired or was terminated."""
        if self._measures(sender):
            self._count("revoked", sender)

    def reject(self, sender: Any = None, **_: object) -> None:
        """Count a message that is no valid task."""
        if self._measures(sender):
            self._counters["rejected"].labels(OTHER).inc()

    def refuse(self, sender: Any = None, **_: object) -> None:
        """Count a task that is not registered: Celery reports it as failed."""
        if self._measures(sender):
            self._failed.labels(OTHER, "NotRegistered").inc()

    def _measures(self, sender: Any) -> bool:
        """Return whether a task or consumer belongs to the measured app.

        Apps are compared by their names: a container copies an app that it is declared with.
        """
        return self._app is None or sender.app.main == self._app.main

    def _count(self, state: str, task: Any) -> None:
        self._counters[state].labels(task.name).inc()


@survives_fork
@contextmanager
def tasks(
    registry: Registry,
    app: Celery | None = None,
    *,
    bounds: Iterable[Real] = BOUNDS,
    max_series: Whole = MAX_SERIES,
) -> Iterator[Tasks]:
    """Register the instruments of tasks, and record the tasks of this process.

    Works in each process of a worker, because the instruments survive the fork of a pool, and with
    `task_always_eager`; no task fails because it is measured. Memory does not grow with the number
    of tasks: above `max_series` names, or names and exceptions, all others share one series whose
    labels are `_overflow`.

    Args:
        registry: the registry of the instruments.
        app: the app whose tasks are measured, known by its name, `Celery("name")`; all apps of the
            process by default.
        bounds: upper bounds of run times and queue times, in seconds.
        max_series: the largest number of combinations of labels.

    Raises:
        DuplicateMetricError: a name is taken.
        TypeError, ValueError: an option is malformed, or a label is one of the registry's labels.
    """
    measured = unwrap(app)
    if measured is not None and not isinstance(measured, Celery):
        raise TypeError(f"invalid app {app!r}: pass the Celery app, or None for all apps")
    registrations = Registrations(registry)
    try:
        instruments = Tasks(
            registrations, measured, tuple(bounds), size("max_series", max_series), registry
        )
        for signal, receiver in instruments.connections():
            signal.connect(receiver, weak=False, dispatch_uid=instruments.key)
        try:
            yield instruments
        finally:
            for signal, _ in instruments.connections():
                signal.disconnect(dispatch_uid=instruments.key)
    finally:
        registrations.close()
