"""Instruments of tasks, which the signals of Celery update."""

import sys
from datetime import UTC, datetime
from functools import partial
from math import isfinite
from typing import Any, final

from celery import Celery, signals
from celery.exceptions import Reject, Retry, TimeLimitExceeded

from metrics.instruments._inner import Real
from metrics.integrations._celery.signals import HEADER, Connections, mark_sent, new_key
from metrics.registry import Registry
from metrics.registry._inner import Registrations

OTHER = "_OTHER"
"""Label of the names of tasks that are not registered."""

SECOND = 1e9

ENDS = {"REJECTED": "rejected", "IGNORED": "ignored"}
"""Outcomes without a signal of their own, by the state at the end of a run."""


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
        times = partial(
            own.bucket_histograms,
            labels=by_name,
            bounds=bounds,
            unit="seconds",
            max_children=max_series,
        )
        self._queue_times = times(
            "celery_task_queue_time",
            description="Time from the sending of a task, or its ETA, to its start",
        )
        self._runtimes = times("celery_task_runtime", description="Time that tasks ran")
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
