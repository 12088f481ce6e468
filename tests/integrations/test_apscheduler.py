"""Runs of jobs are measured, in schedulers with threads and in asyncio."""

import asyncio
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler import events
from apscheduler.executors.base import BaseExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from dependency_injector.providers import Singleton

from metrics import DuplicateMetricError, Registry
from metrics.exporters import graphite, influx, json, openmetrics, prometheus
from metrics.integrations import apscheduler
from metrics.integrations.apscheduler import jobs
from metrics.lifecycle import MetricsContainer, Resource, check
from metrics.testing import ManualClock
from tests.integrations.measuring import levels
from tests.processes import until

RUNS = "apscheduler.job.runs"
DURATION = "apscheduler.job.duration"
LATENESS = "apscheduler.job.lateness"
ACTIVE = "apscheduler.job.active"


class Recording:
    def __init__(self, registry, clock, scheduler):
        self.registry = registry
        self.clock = clock
        self.scheduler = scheduler

    def read(self, name, field="count"):
        children = self.registry.snapshot()[name].children
        found = {labels: getattr(child, field) for labels, child in children.items()}
        return {labels[0] if len(labels) == 1 else labels: each for labels, each in found.items()}

    @property
    def runs(self):
        return self.read(RUNS)

    @property
    def active(self):
        return sum(self.read(ACTIVE, "value").values())

    def add(self, function, seconds_ago=0.0, **options):
        """Add a job that runs once, as soon as the scheduler can."""
        run_date = datetime.fromtimestamp(self.clock.time() - seconds_ago, UTC)
        options = {"misfire_grace_time": None, **options}
        return self.scheduler.add_job(function, "date", run_date=run_date, **options)

    def wait_for(self, runs):
        def are_recorded():
            assert self.runs == runs
            return True

        until(are_recorded, "the runs have ended")

    @property
    def kept(self):
        """Runs that the listener keeps."""
        [(listener, _)] = self.scheduler._listeners
        return listener.__self__._first


@contextmanager
def recording(scheduler=None, **options):
    clock = ManualClock()
    registry = Registry(clock=clock)
    scheduler = BackgroundScheduler(timezone="UTC") if scheduler is None else scheduler
    with jobs(registry, scheduler, **options) as found:
        assert found is scheduler
        yield Recording(registry, clock, scheduler)


@contextmanager
def started(**options):
    with recording(**options) as recorded:
        recorded.scheduler.start()
        try:
            yield recorded
        finally:
            stop(recorded.scheduler)


def stop(scheduler):
    """Stop a scheduler; APScheduler fails if it drops a job that runs once at the same time."""
    until(
        lambda: not any(job.trigger.__class__ is DateTrigger for job in scheduler.get_jobs()),
        "the jobs that run once are dropped",
    )
    scheduler.shutdown()


def succeed():
    pass


def fail():
    raise LookupError("no job")


def test_runs_have_the_name_of_their_job_and_their_outcome():
    with started() as recorded:
        for _ in range(3):
            recorded.add(succeed)
        recorded.add(succeed, id="other", name="nightly")
        recorded.add(fail)
        recorded.add(succeed, misfire_grace_time=1, seconds_ago=60)
        recorded.wait_for({
            ("succeed", "executed"): 3,
            ("nightly", "executed"): 1,
            ("fail", "error"): 1,
            ("succeed", "missed"): 1,
        })  # fmt: skip
        until(lambda: not recorded.kept, "both events of each run")
        assert recorded.read(DURATION) == {"succeed": 3, "nightly": 1, "fail": 1}
        assert recorded.read(LATENESS) == {"succeed": 4, "nightly": 1, "fail": 1}
        assert recorded.active == 0


def test_a_run_lasts_from_its_submission_to_its_end():
    release = threading.Event()
    with started() as recorded:
        recorded.add(lambda: release.wait(20), seconds_ago=5, name="slow")
        until(lambda: recorded.active == 1, "the job runs")
        assert recorded.read(ACTIVE, "value") == {"slow": 1}
        recorded.clock.advance(3)
        release.set()
        recorded.wait_for({("slow", "executed"): 1})
        assert recorded.read(DURATION, "sum") == {"slow": 3}
        assert recorded.read(LATENESS, "sum") == {"slow": 5}
        assert recorded.active == 0


def test_runs_above_the_maximum_of_instances_are_counted():
    release = threading.Event()
    with started() as recorded:
        recorded.scheduler.add_job(lambda: release.wait(20), "interval", seconds=0.01, name="slow")
        until(lambda: recorded.runs.get(("slow", "max_instances"), 0) >= 2, "runs are skipped")
        assert recorded.active == 1
        assert ("slow", "executed") not in recorded.runs
        recorded.scheduler.remove_all_jobs()
        release.set()
        until(lambda: ("slow", "executed") in recorded.runs, "the job has ended")


def test_schedulers_in_asyncio_run_coroutines_and_functions():
    async def wait():
        await asyncio.sleep(0)

    async def fail_later():
        await asyncio.sleep(0)
        raise LookupError("no job")

    async def main():
        with recording(AsyncIOScheduler(timezone="UTC")) as recorded:
            recorded.scheduler.start()
            for function in (wait, fail_later, succeed):
                recorded.add(function, name=function.__name__)
            expected = {
                ("wait", "executed"): 1,
                ("fail_later", "error"): 1,
                ("succeed", "executed"): 1,
            }
            async with asyncio.timeout(20):
                while recorded.runs != expected or recorded.kept:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert set(recorded.read(DURATION).values()) == {1}
            recorded.scheduler.shutdown()
            await asyncio.sleep(0)

    asyncio.run(main())


def test_jobs_that_were_there_before_have_their_name():
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.add_job(succeed, "interval", seconds=0.01, name="before the start")
    with recording(scheduler) as recorded:
        scheduler.start()
        until(lambda: ("before the start", "executed") in recorded.runs, "the job has run")
    with recording(scheduler) as recorded:
        until(lambda: ("before the start", "executed") in recorded.runs, "the job has run")
        assert {name for name, _ in recorded.runs} == {"before the start"}
    stop(scheduler)


def test_a_new_name_counts_from_its_modification():
    with started() as recorded:
        job = recorded.scheduler.add_job(succeed, "interval", days=1, id="job")
        job.modify(name="renamed", next_run_time=datetime.now(UTC))
        recorded.wait_for({("renamed", "executed"): 1})


def test_jobs_can_be_distinguished_by_their_id():
    with started(by="id") as recorded:
        recorded.add(succeed, id="first")
        recorded.add(succeed, id="second")
        recorded.wait_for({("first", "executed"): 1, ("second", "executed"): 1})


def event_pair(number, code=events.EVENT_JOB_EXECUTED):
    time = datetime.fromtimestamp(1_700_000_000, UTC) + timedelta(seconds=number)
    submitted = events.JobSubmissionEvent(events.EVENT_JOB_SUBMITTED, "a", "default", [time])
    return submitted, events.JobExecutionEvent(code, "a", "default", time)


def test_either_event_of_a_run_may_be_the_first_one():
    with recording(by="id") as recorded:
        for number in range(3):
            for event in event_pair(number):
                recorded.scheduler._dispatch_event(event)
                recorded.clock.advance(2)
            for event in reversed(event_pair(number + 10)):
                recorded.scheduler._dispatch_event(event)
                recorded.clock.advance(2)
            for event in reversed(event_pair(number + 20, events.EVENT_JOB_MISSED)):
                recorded.scheduler._dispatch_event(event)
        assert recorded.kept == {}
        assert recorded.runs == {("a", "executed"): 6, ("a", "missed"): 3}
        assert recorded.read(DURATION) == {"a": 6}
        assert recorded.read(DURATION, "sum") == {"a": 6}


def test_memory_is_bounded_if_events_are_missing(monkeypatch):
    monkeypatch.setattr(apscheduler, "MAX_RUNS", 10)
    with recording(by="id") as recorded:
        for number in range(100):
            submitted, _ = event_pair(number)
            recorded.scheduler._dispatch_event(submitted)
        assert len(recorded.kept) == 10
        assert recorded.active == 0


def test_names_of_jobs_that_run_once_are_bounded(monkeypatch):
    monkeypatch.setattr(apscheduler, "MAX_RUNS", 10)
    with started(max_series=5) as recorded:
        for _ in range(50):
            recorded.add(succeed)
        until(lambda: sum(recorded.runs.values()) == 50, "the jobs have run")
        [(listener, _)] = recorded.scheduler._listeners
        assert len(listener.__self__._names) == 10


def test_above_the_limit_jobs_share_one_series():
    with started(max_series=2, by="id") as recorded:
        for number in range(20):
            recorded.add(succeed, id=str(number))
        until(lambda: sum(recorded.runs.values()) == 20, "the jobs have run")
        until(lambda: not recorded.kept, "both events of each run")
        assert recorded.read(DURATION)["_overflow"] == 18


def test_a_run_that_its_executor_cannot_finish_is_not_under_way():
    submitted = []

    class Broken(BaseExecutor):
        def _do_submit_job(self, job, run_times):
            submitted.append(job.id)

    scheduler = BackgroundScheduler(timezone="UTC", executors={"default": Broken()})
    with recording(scheduler) as recorded:
        scheduler.start()
        recorded.add(succeed)
        until(lambda: recorded.active == 1, "the job is submitted")
        scheduler._executors["default"]._run_job_error(submitted[0], LookupError("broken"))
        assert recorded.active == 0
        assert recorded.runs == {}
        stop(scheduler)


def test_the_stop_removes_the_listener():
    registry = Registry()
    ran = threading.Event()
    scheduler = BackgroundScheduler(timezone="UTC")
    scheduler.start()
    for _ in range(2):
        with jobs(registry, scheduler):
            assert len(scheduler._listeners) == 1
        assert scheduler._listeners == []
        assert len(registry) == 0
    scheduler.add_job(ran.set)
    assert ran.wait(20)
    stop(scheduler)


def test_a_failure_is_logged_once_and_fails_no_job(caplog):
    class Failing(BackgroundScheduler):
        def get_job(self, *arguments):
            raise LookupError("no store")

    ran = []
    with recording(Failing(timezone="UTC")) as recorded:
        recorded.scheduler.start()
        for number in range(3):
            recorded.add(ran.append, args=[number])
        until(lambda: len(ran) == 3, "the jobs have run")
        stop(recorded.scheduler)
    assert levels(caplog) == [40]
    assert "a run of a job was not measured" in caplog.text


def test_every_format_shows_the_runs():
    with started() as recorded:
        recorded.add(succeed)
        recorded.wait_for({("succeed", "executed"): 1})
        until(lambda: not recorded.kept, "both events of the run")
        lines = prometheus.render(recorded.registry).decode().splitlines()
        for line in (
            'apscheduler_job_runs_total{job_name="succeed",outcome="executed"} 1',
            'apscheduler_job_duration_seconds_count{job_name="succeed"} 1',
            'apscheduler_job_lateness_seconds_count{job_name="succeed"} 1',
        ):
            assert line in lines
        now = {"timestamp_ns": 10**18}
        for module, options in ((graphite, now), (influx, now), (json, {}), (openmetrics, {})):
            assert b"succeed" in module.render(recorded.registry, **options)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"by": "function"}, ValueError, "invalid by 'function': use 'name' or 'id'"),
        ({"max_series": 0}, ValueError, "max_series"),
        ({"bounds": [2, 1]}, ValueError, "ascending"),
        ({"scheduler": 5}, TypeError, "invalid scheduler 5: pass a scheduler"),
    ],
)
def test_wrong_arguments_are_errors_at_the_start(options, error, message):
    registry = Registry()
    scheduler = BackgroundScheduler(timezone="UTC")
    with (
        pytest.raises(error, match=message),
        jobs(registry, **{"scheduler": scheduler, **options}),
    ):
        pass
    with (
        jobs(registry, scheduler),
        pytest.raises(DuplicateMetricError),
        jobs(registry, scheduler),
    ):
        pass
    assert len(registry) == 0
    assert scheduler._listeners == []


def test_a_disabled_registry_measures_nothing():
    ran = threading.Event()
    scheduler = BackgroundScheduler(timezone="UTC")
    with jobs(Registry(enabled=False), scheduler):
        scheduler.start()
        scheduler.add_job(ran.set)
        assert ran.wait(20)
        stop(scheduler)


def test_a_container_declares_the_measured_scheduler():
    class Container(MetricsContainer):
        registry = MetricsContainer.registry
        plain = Singleton(BackgroundScheduler, timezone="UTC")
        scheduler = Resource(jobs, registry, plain)

    container = Container()
    assert check(container) == ()
    container.init_resources()
    assert isinstance(container.scheduler(), BackgroundScheduler)
    container.shutdown_resources()
