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
shows them with the pools threads, solo and gevent; with prefork, declare `processes.share`, so that
the main process answers for all, or name a reporter in `children`, so that each reports its own.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from metrics._extras import require_extra

with require_extra("celery"):
    from celery import Celery

from metrics._fork import survives_fork
from metrics.instruments._inner import Real, Whole, size
from metrics.integrations._celery.attachment import Attachment, ChildResource, WorkerContainer
from metrics.integrations._celery.instruments import Tasks
from metrics.integrations._celery.signals import unwrap
from metrics.registry import Registry
from metrics.registry._inner import Registrations

BOUNDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper bounds of run times and queue times: a hundredth of a second to an hour."""

MAX_SERIES = 1000
"""Default limit for the names of tasks, and for their combinations with exceptions."""


def attach(
    app: Celery, container: WorkerContainer, *, children: Iterable[ChildResource] = ()
) -> Attachment:
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
    with closing(Registrations(registry)) as own:
        instruments = Tasks(own, measured, tuple(bounds), size("max_series", max_series), registry)
        for signal, receiver in instruments.connections():
            signal.connect(receiver, weak=False, dispatch_uid=instruments.key)
        try:
            yield instruments
        finally:
            for signal, _ in instruments.connections():
                signal.disconnect(dispatch_uid=instruments.key)
