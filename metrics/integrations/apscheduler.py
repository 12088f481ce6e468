"""Measured schedulers of APScheduler 3: the runs of their jobs.

A container declares the measured scheduler between the scheduler and its start, so that no run is
missed at either end:

    class Container(MetricsContainer):
        plain = Singleton(BackgroundScheduler)
        measured = Resource(integrations.apscheduler.jobs, MetricsContainer.registry, plain)
        scheduler = Resource(start_scheduler, measured)

| instrument | labels |
| --- | --- |
| `apscheduler.job.runs` | `job_name`, `outcome` |
| `apscheduler.job.duration`, in seconds | `job_name` |
| `apscheduler.job.lateness`, in seconds | `job_name` |
| `apscheduler.job.active` | `job_name` |

- the outcome is `executed`, `error`, `missed` (later than `misfire_grace_time`) or `max_instances`
- a duration is the time from the submission of a run to its executor until its end, and so the wait
  for a free thread counts; it is 0 if the run ends before APScheduler reports the submission. Runs
  that are submitted together, without `coalesce`, end together
- lateness is the time from the scheduled time to the submission
- the name is that of the job, by default of its function; with `by="id"` its id. It is empty for
  a job that runs once and was added before the measurement began

A run that its executor cannot finish, in a process pool that breaks for example, has no outcome:
APScheduler reports none.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar, final

from metrics._extras import require_extra

with require_extra("apscheduler"):
    from apscheduler import events

from metrics._fork import survives_fork
from metrics.clock import Clock
from metrics.instruments._inner import Real, Whole, size
from metrics.integrations._failures import Failures
from metrics.integrations._family_reading import FamilyReading
from metrics.integrations.http import MAX_SERIES
from metrics.registry import Registry
from metrics.registry._inner import Registrations

S = TypeVar("S")

BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper bounds of durations and lateness in seconds: ten milliseconds to an hour."""

SECOND = 1e9

MAX_RUNS = 10_000
"""Largest number of runs, and of names, that are kept: memory is bounded if events are missing."""

OUTCOMES = {
    events.EVENT_JOB_EXECUTED: "executed",
    events.EVENT_JOB_ERROR: "error",
    events.EVENT_JOB_MISSED: "missed",
}
"""Outcomes by the event that ends a run."""

MASK = (
    events.EVENT_JOB_ADDED
    | events.EVENT_JOB_MODIFIED
    | events.EVENT_JOB_SUBMITTED
    | events.EVENT_JOB_MAX_INSTANCES
    | events.EVENT_JOB_EXECUTED
    | events.EVENT_JOB_ERROR
    | events.EVENT_JOB_MISSED
)
"""Events of the listener."""


class JobNames(NamedTuple):
    """Names of the instruments and their labels."""

    runs: str
    duration: str
    lateness: str
    active: str
    job: str
    outcome: str


NAMES = JobNames(
    "apscheduler.job.runs",
    "apscheduler.job.duration",
    "apscheduler.job.lateness",
    "apscheduler.job.active",
    "job_name",
    "outcome",
)

Run = tuple[str, str, float]
"""Job store, job and scheduled time of a run."""


class Notice(NamedTuple):
    """First event of a run that has been received: its submission or its end.

    time_ns: the time of the event.
    event: its code.
    """

    time_ns: int
    event: int


@final
class Jobs:
    """Instruments and listener of a scheduler, which its threads call.

    Args:
        own: the registrations of the instruments.
        scheduler: the scheduler.
        by_name: whether jobs are distinguished by their name, or by their id.
        max_series: the largest number of jobs.
        bounds: upper bounds of durations and lateness in seconds.
        clock: the clock.
    """

    def __init__(
        self,
        own: Registrations,
        scheduler: Any,
        by_name: bool,
        max_series: int,
        bounds: tuple[Real, ...],
        clock: Clock,
    ) -> None:
        self._scheduler = scheduler
        self._by_name = by_name
        self._clock = clock
        self._failures = Failures("a run of a job")
        # An executor may be faster than the thread that reports the submission, so either event of
        # a run may be the first one; the second one removes it.
        self._first: dict[Run, Notice] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._runs = own.counters(
            NAMES.runs,
            (NAMES.job, NAMES.outcome),
            description="Runs of jobs",
            max_children=max_series * (len(OUTCOMES) + 1),
        )
        times = partial(
            own.bucket_histograms,
            labels=(NAMES.job,),
            bounds=bounds,
            unit="seconds",
            max_children=max_series,
        )
        self._durations = times(
            NAMES.duration, description="Time from the submission of runs to their end"
        )
        self._lateness = times(
            NAMES.lateness,
            description="Time from the scheduled time of runs to their submission",
        )
        own.register(
            NAMES.active,
            FamilyReading((NAMES.job,), self._count_active),
            description="Runs that have been submitted and have not ended",
        )

    def listen(self, event: Any) -> None:
        """Record an event of the scheduler; log a failure."""
        with self._failures:
            if event.code in OUTCOMES:
                self._end(event)
            elif event.code == events.EVENT_JOB_SUBMITTED:
                self._submit(event)
            elif event.code == events.EVENT_JOB_MAX_INSTANCES:
                skipped = len(event.scheduled_run_times)
                self._runs.labels(self._name_of(event), "max_instances").inc(skipped)
            elif self._by_name:
                self._read_name(event)

    def _submit(self, event: Any) -> None:
        name, now = self._name_of(event), self._clock.time()
        notice = Notice(self._clock.monotonic_ns(), event.code)
        for run_time in event.scheduled_run_times:
            scheduled = run_time.timestamp()
            self._lateness.labels(name).update(max(now - scheduled, 0.0))
            end = self._meet((event.jobstore, event.job_id, scheduled), notice)
            if end is not None and end.event != events.EVENT_JOB_MISSED:
                self._durations.labels(name).update(0.0)

    def _end(self, event: Any) -> None:
        name = self._name_of(event)
        self._runs.labels(name, OUTCOMES[event.code]).inc()
        notice = Notice(self._clock.monotonic_ns(), event.code)
        run = event.jobstore, event.job_id, event.scheduled_run_time.timestamp()
        submission = self._meet(run, notice)
        if submission is not None and event.code != events.EVENT_JOB_MISSED:
            self._durations.labels(name).update((notice.time_ns - submission.time_ns) / SECOND)

    def _meet(self, run: Run, notice: Notice) -> Notice | None:
        """Return the other event of a run if it was the first one; None if this is."""
        # One operation on a dict: the threads of both events may be here at the same time.
        first = self._first.setdefault(run, notice)
        if first is notice:
            drop_oldest(self._first)
            return None
        self._first.pop(run, None)
        return first

    def _name_of(self, event: Any) -> str:
        """Return the label value of the job of an event."""
        if not self._by_name:
            job_id: str = event.job_id
            return job_id
        name = self._names.get((event.jobstore, event.job_id))
        return self._read_name(event) if name is None else name

    def _read_name(self, event: Any) -> str:
        """Return the name that a job has in its store, and keep it; empty without the job."""
        job = self._scheduler.get_job(event.job_id, event.jobstore)
        if job is None:
            return ""
        # A job that runs once is dropped from its store before the events of its run.
        name = self._names[event.jobstore, event.job_id] = str(job.name)
        drop_oldest(self._names)
        return name

    def _count_active(self) -> dict[tuple[str, ...], int]:
        executors = getattr(self._scheduler, "_executors", {})
        # No public attribute has them. A submission without an end is no run under way if its
        # executor has failed.
        running = [getattr(each, "_instances", {}) for each in list(executors.values())]
        found: dict[tuple[str, ...], int] = {}
        for (store, job_id, _), notice in list(self._first.items()):
            name = self._names.get((store, job_id), "") if self._by_name else job_id
            found.setdefault((name,), 0)
            if notice.event == events.EVENT_JOB_SUBMITTED:
                found[name,] += any(job_id in instances for instances in running)
        return found


def drop_oldest(kept: dict[Any, Any]) -> None:
    """Bound a dict that several threads change."""
    if len(kept) > MAX_RUNS:
        with suppress(RuntimeError):
            kept.pop(next(iter(kept)), None)


@survives_fork
@contextmanager
def jobs(
    registry: Registry,
    scheduler: S,
    *,
    by: str = "name",
    max_series: Whole = MAX_SERIES,
    bounds: Iterable[Real] = BOUNDS,
) -> Iterator[S]:
    """Measure the jobs of a scheduler; the value is the scheduler itself, which its owner stops.

    Memory is bounded for any number of jobs: above `max_series`, all others share one series whose
    label is `_overflow`. Give jobs names or ids that are few: `add_job(..., name="cleanup")`.

    Args:
        registry: the registry of the instruments.
        scheduler: a scheduler of APScheduler 3, whether it runs or not.
        by: `name`, the default, or `id`.
        max_series: the largest number of jobs.
        bounds: upper bounds of durations and lateness, in seconds.

    Raises:
        DuplicateMetricError: a name is taken.
        TypeError, ValueError: an option is malformed, or a label is one of the registry's labels.
    """
    listened: Any = scheduler
    if not callable(getattr(scheduler, "add_listener", None)):
        raise TypeError(f"invalid scheduler {scheduler!r}: pass a scheduler of APScheduler 3")
    if by not in {"name", "id"}:
        raise ValueError(f"invalid by {by!r}: use 'name' or 'id'")
    limit = size("max_series", max_series)
    with closing(Registrations(registry)) as own:
        jobs = Jobs(own, scheduler, by == "name", limit, tuple(bounds), registry.clock)
        listened.add_listener(jobs.listen, MASK)
        try:
            yield scheduler
        finally:
            listened.remove_listener(jobs.listen)
