"""Tasks of Celery: how they are counted, and containers in the processes of its workers."""

import asyncio
import gc
import json
import os
import pickle
import threading
import weakref
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from itertools import count

import pytest

pytest.importorskip("celery")

from celery import Celery, current_app, shared_task, signals
from celery.app.trace import trace_task
from celery.exceptions import Ignore, Reject
from celery.result import allow_join_result
from celery.worker.request import Request
from celery.worker.state import revoked

from metrics import LifecycleError, Registry
from metrics.exporters import prometheus
from metrics.integrations import celery
from metrics.integrations._celery.attachment import SPAWNED
from metrics.integrations._celery.signals import HEADER
from metrics.lifecycle import MetricsContainer, Resource, state
from metrics.testing import ManualClock
from tests.forks import forking, in_child
from tests.lifecycle.served import NOTES, master

pytestmark = forking

MANY = 10_000

names = count()


def new_app(**settings):
    app = Celery(f"program{next(names)}", broker="memory://", set_as_current=False)
    app.conf.update(task_default_queue=f"queue{next(names)}", **settings)

    @app.task(bind=True, name="work", shared=False)
    def work(self, how=""):
        if how == "fail":
            raise KeyError
        if how == "retry" and self.request.retries < 2:
            raise self.retry(countdown=0)
        if how == "ignore":
            raise Ignore
        if how == "reject":
            raise Reject(how)
        if how == "nested":
            work.apply(["fail"])
        return how

    return app


class Recording:
    """The instruments of tasks, and what they recorded, by label values."""

    def __init__(self, registry, clock):
        self.registry = registry
        self.clock = clock

    def __getattr__(self, name):
        children = self.registry.snapshot()[f"celery_task_{name}"].children
        return {labels: child.count for labels, child in children.items() if child.count}

    def sum(self, name):
        children = self.registry.snapshot()[f"celery_task_{name}"].children
        return {labels: child.sum for labels, child in children.items()}


@contextmanager
def recording(app=None, **options):
    clock = ManualClock()
    registry = Registry(clock=clock)
    with celery.tasks(registry, app, **options):
        yield Recording(registry, clock)


def run(app, **request):
    """Run a task as a process of a pool does, with the headers of a message."""
    work = app.tasks["work"]
    return trace_task(work, "id", [], {}, {"id": "id", **request}, app=app)


def receivers():
    found = {}
    for name, signal in vars(signals).items():
        if isinstance(signal, signals.Signal):
            signal.has_listeners()  # removes dead ones
            found[name] = [key for key, _ in signal.receivers]
    return found


@pytest.fixture(autouse=True)
def results_are_joined():
    # A worker that ran in this process has forbidden it for good.
    with allow_join_result():
        yield


@pytest.fixture(autouse=True)
def no_receiver_is_left():
    before = receivers()
    yield
    gc.collect()
    assert receivers() == before


@pytest.mark.parametrize("propagates", [False, True])
def test_each_outcome_of_a_task_is_counted(propagates):
    app = new_app(task_always_eager=True, task_eager_propagates=propagates)
    work = app.tasks["work"]
    with recording() as recorded:
        for how in ("", "fail", "ignore", "reject", "nested", "retry"):
            with suppress(*([Exception] if propagates else [])):
                work.delay(how)
        work_only = {("work",): 1}
        retries = 0 if propagates else 2  # the exception of the first one propagates
        assert recorded.succeeded == {("work",): 1 if propagates else 3}
        assert recorded.failed == {("work", "KeyError"): 3 if propagates else 2}
        assert recorded.retried == {("work",): max(retries, 1)}
        assert recorded.ignored == recorded.rejected == work_only
        assert recorded.runtime == {("work",): 7 + retries}
        assert not recorded.active
        assert not recorded.queue_time


def test_the_runtime_and_the_number_of_running_tasks_are_measured():
    app = new_app(task_always_eager=True)

    @app.task(name="slow", shared=False)
    def slow():
        assert recorded.active == {("slow",): 1}
        recorded.clock.advance(3)

    with recording() as recorded, recording() as other:
        slow.delay().get()
        page = prometheus.render(recorded.registry).decode().splitlines()
        assert other.runtime == {("slow",): 1}
    for line in (
        'celery_task_active{name="slow"} 0',
        'celery_task_runtime_seconds_bucket{name="slow",le="2.5"} 0',
        'celery_task_runtime_seconds_bucket{name="slow",le="5.0"} 1',
        'celery_task_runtime_seconds_sum{name="slow"} 3.0',
        'celery_task_succeeded_total{name="slow"} 1',
    ):
        assert line in page


@pytest.mark.parametrize(
    ("sent", "eta", "waited"),
    [
        (10.0, None, 10.0),
        (10, None, 10.0),
        (-5.0, None, 0.0),  # the clock of the sender is ahead
        (100.0, 4.0, 4.0),
        (1.0, 4.0, 1.0),
        (10.0, -3.0, 0.0),
    ],
)
def test_a_task_waits_from_its_sending_or_its_eta(sent, eta, waited):
    app = new_app()
    with recording() as recorded:
        now = recorded.clock.time()
        due = None if eta is None else datetime.fromtimestamp(now - eta, UTC)
        for each in (due, due and due.replace(tzinfo=None)):
            request = {"eta": each and each.isoformat(), HEADER: now - sent}
            run(app, **request)
            sent_header = request.pop(HEADER)
            run(app, **request, headers={HEADER: sent_header})  # protocol 1
        assert recorded.queue_time == {("work",): 4}
        assert recorded.sum("queue_time") == {("work",): pytest.approx(4 * waited)}


def test_a_message_without_a_valid_time_has_no_queue_time():
    app = new_app()
    with recording() as recorded:
        for sent in (None, "soon", True, [1], {}, float("nan"), float("inf")):
            run(app, **{HEADER: sent})
        run(app)
        assert not recorded.queue_time
        assert recorded.succeeded == {("work",): 8}


def test_no_task_fails_because_it_cannot_be_measured(caplog):
    with recording() as recorded:
        app = new_app()
        assert run(app, **{HEADER: 1.0, "eta": "tomorrow"}).retval == ""
        assert not recorded.active
        assert recorded.runtime == recorded.succeeded == {("work",): 1}
    assert "tomorrow" in caplog.text


def message_of(app):
    """Return the next message in the queue of an app."""
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(app.conf.task_default_queue)
        try:
            message = queue.get(timeout=5)
            message.ack()
            return message
        finally:
            queue.close()


@pytest.mark.parametrize("protocol", [1, 2])
def test_messages_have_the_time_of_their_own_sending(protocol):
    app = new_app(task_protocol=protocol)
    container = Container()
    before = datetime.now(UTC).timestamp()
    with celery.attach(app, container):
        app.tasks["work"].apply_async(headers={HEADER: 1.0, "mine": 2})
        sent = message_of(app).headers
        assert before <= sent[HEADER] <= datetime.now(UTC).timestamp()
        assert sent["mine"] == 2
        assert state(container).name == "NEW"  # a process that only sends starts nothing
    app.tasks["work"].delay()
    assert HEADER not in message_of(app).headers
    with recording() as recorded:
        app.tasks["work"].delay()
        assert message_of(app).headers[HEADER] == recorded.clock.time()


class Message:
    """A message of a task, as a consumer receives it."""

    payload = body = ((), {}, {})
    content_type = content_encoding = None

    def __init__(self, task, number):
        self.delivery_info = self.properties = {}
        self.headers = {"id": f"{task.name}-{number}", "task": task.name, "shadow": f"{number}"}

    def ack_log_error(self, *_):
        pass


def request_of(task, number):
    return Request(Message(task, number), app=task.app, task=task, decoded=True)


def revoke(task, number):
    revoked.add(f"{task.name}-{number}")
    try:
        assert request_of(task, number).revoked()
    finally:
        revoked.discard(f"{task.name}-{number}")


def receive(task, number):
    signals.task_received.send(sender=task, request=request_of(task, number))


def retry(task, number):
    task.push_request(id=f"id{number}")
    signals.task_prerun.send(sender=task, task_id=f"id{number}", task=task, args=[], kwargs={})
    signals.task_retry.send(sender=task, request=task.request, reason=None, einfo=None)
    signals.task_postrun.send(sender=task, task_id=f"id{number}", task=task, state="RETRY")
    task.pop_request()


def never_finish(task, number):
    task.push_request(id=f"id{number}")
    signals.task_prerun.send(sender=task, task_id=f"id{number}", task=task, args=[], kwargs={})
    task.pop_request()


@pytest.mark.parametrize(
    ("happens", "counted"),
    [(revoke, "revoked"), (receive, "received"), (retry, "retried"), (never_finish, "active")],
)
def test_memory_does_not_grow_with_the_number_of_tasks(happens, counted):
    work = new_app().tasks["work"]
    with recording() as recorded:
        for number in range(10):
            happens(work, number)
        gc.collect()
        before = len(gc.get_objects())
        for number in range(10, MANY):
            happens(work, number)
        gc.collect()
        assert len(gc.get_objects()) - before < 100
        assert getattr(recorded, counted) == {("work",): MANY}


def test_names_are_limited_and_unregistered_ones_are_one():
    app = new_app(task_always_eager=True)

    def nothing():
        pass

    tasks = [app.task(name=f"task{number}", shared=False)(nothing) for number in range(20)]
    with recording(max_series=10) as recorded:
        for task in tasks:
            task.delay()
        assert len(recorded.succeeded) <= 11
        assert sum(recorded.succeeded.values()) == 20
        for number in range(20):
            signals.task_unknown.send(sender=app, name=f"unknown{number}", id="", message=None)
            signals.task_rejected.send(sender=app, message=None, exc=None)
        assert recorded.failed == {("_OTHER", "NotRegistered"): 20}
        assert recorded.rejected == {("_OTHER",): 20}


def test_only_the_tasks_of_the_named_app_are_measured():
    first, second = new_app(task_always_eager=True), new_app(task_always_eager=True)

    @shared_task(name="shared")
    def shared():
        pass

    with recording(first) as recorded, recording() as everything:
        for app in (first, second):
            app.tasks["work"].delay()
            app.tasks["work"].delay("fail")
        first.tasks["shared"].apply()
        assert recorded.succeeded == {("work",): 1, ("shared",): 1}
        assert recorded.failed == {("work", "KeyError"): 1}
        assert everything.succeeded == {("work",): 2, ("shared",): 1}


def test_a_container_may_be_declared_with_the_app():
    app, other = new_app(task_always_eager=True), new_app(task_always_eager=True)

    class Declared(MetricsContainer):
        registry = MetricsContainer.registry
        tasks = Resource(celery.tasks, registry, app)

    container = Declared()
    container.init_resources()
    app.tasks["work"].delay()
    other.tasks["work"].delay()
    lines = prometheus.render(container.registry()).decode().splitlines()
    container.shutdown_resources()
    assert 'celery_task_succeeded_total{name="work"} 1' in lines


def test_wrong_options_are_refused():
    for wrong in ("app", new_app().tasks["work"], Celery):
        with pytest.raises(TypeError, match="pass the Celery app"), recording(wrong):
            pass
    with pytest.raises(ValueError, match="max_series"), recording(max_series=0):
        pass


def started():
    yield os.getpid()


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    tasks = Resource(celery.tasks, registry)
    started = Resource(started)


def test_a_worker_starts_and_stops_the_container_of_its_own_app():
    first, second = (new_app(), Container()), (new_app(), Container())
    states = lambda: [state(container).name for _, container in (first, second)]  # noqa: E731
    with celery.attach(*first), celery.attach(*second):
        worker = second[0].WorkController(pool="solo")
        assert states() == ["NEW", "RUNNING"]
        another = first[0].WorkController(pool="solo")
        assert states() == ["RUNNING", "RUNNING"]
        worker.stop()
        assert states() == ["RUNNING", "STOPPED"]
        another.stop()
        assert states() == ["STOPPED", "STOPPED"]


def test_a_detached_app_starts_nothing():
    app, container = new_app(), Container()
    attachment = celery.attach(app, container)
    with pytest.raises(LifecycleError, match=r"attached to <Container NEW>: call detach\(\)"):
        celery.attach(app, Container())
    attachment.detach()
    attachment.detach()
    app.WorkController(pool="solo").stop()
    assert state(container).name == "NEW"
    with celery.attach(app, container):
        pass


def test_detaching_stops_the_container_of_a_worker_that_ended_without_a_signal():
    app, container = new_app(), Container()
    with celery.attach(app, container):
        app.WorkController(pool="solo").terminate()
        assert state(container).name == "RUNNING"
    assert state(container).name == "STOPPED"


def test_an_app_that_nothing_refers_to_is_collected_with_its_container():
    app, container = new_app(), Container()
    celery.attach(app, container)
    found = [weakref.ref(app), weakref.ref(container)]
    app.close()
    del app, container
    gc.collect()
    assert [reference() for reference in found] == [None, None]
    new_app().WorkController(pool="solo").stop()
    new_app().tasks["work"].delay()
    for signal in (signals.worker_process_init, signals.worker_process_shutdown):
        signal.send(sender=None)


def test_a_container_that_cannot_start_ends_the_worker(caplog):
    def failing():
        raise OSError("the port is taken")

    class Failing(MetricsContainer):
        started = Resource(started)
        failing_one = Resource(failing)

    app, container = new_app(), Failing()
    with celery.attach(app, container):
        with pytest.raises(SystemExit) as ended:
            app.WorkController(pool="solo")
        assert ended.value.code == 1
        assert not container.started.initialized
        assert "the worker does not start: the port is taken" in caplog.text


def test_async_resources_live_in_a_loop_of_their_own():
    loops = []

    async def served():
        loops.append(asyncio.get_running_loop())
        done = asyncio.Event()
        task = asyncio.create_task(done.wait())
        yield loops[0].call_soon_threadsafe
        done.set()
        await task
        loops.append(asyncio.get_running_loop())

    class Async(Container):
        served_one = Resource(served)

    app, container = new_app(), Async()
    with celery.attach(app, container):
        worker = app.WorkController(pool="solo")
        assert state(container).name == "RUNNING"
        answered = threading.Event()
        loops[0].call_soon_threadsafe(answered.set)
        assert answered.wait(20)
        worker.stop()
    assert state(container).name == "STOPPED"
    assert loops[0] is loops[1]
    assert loops[0].is_closed()


@pytest.mark.parametrize("children", [(), (Container.started,)])
def test_a_child_starts_the_resources_that_it_needs_and_stops_all_that_it_has_started(
    children, caplog
):
    app, container = new_app(), Container()
    chosen = [container.providers["started"] for _ in children]

    def child():
        caplog.clear()
        signals.worker_process_init.send(sender=None)
        ready = container.started.initialized
        own = container.started() == os.getpid()
        signals.worker_process_shutdown.send(sender=None, pid=0, exitcode=0)
        return ready, own, state(container).name, caplog.messages

    with celery.attach(app, container, children=chosen):
        worker = app.WorkController(pool="solo")
        *found, messages = in_child(child)
        assert state(container).name == "RUNNING"
        worker.stop()
    assert found == [bool(children), True, "STOPPED"]
    assert not [each for each in messages if "was running when" in each]


def test_an_async_resource_of_a_child_is_refused_in_the_log(caplog):
    async def served():
        yield 1

    class Async(Container):
        served_one = Resource(served)

    app, container = new_app(), Async()

    def child():
        signals.worker_process_init.send(sender=None)
        ready = container.started.initialized
        signals.worker_process_shutdown.send(sender=None, pid=0, exitcode=0)
        return ready, state(container).name, caplog.text

    chosen = (container.served_one, container.started)
    with celery.attach(app, container, children=chosen):
        worker = app.WorkController(pool="solo")
        *found, text = in_child(child)
        worker.stop()
    assert found == [True, "STOPPED"]
    assert "of `children` did not start in this process of the pool: 'served_one' of Async" in text


def test_a_spawned_child_of_the_app_starts_the_resources_that_it_needs(monkeypatch):
    first, second = (new_app(), Container()), (new_app(), Container())
    previous = current_app._get_current_object()
    with ExitStack() as stack:
        for app, container in (first, second):
            stack.enter_context(celery.attach(app, container, children=(container.started,)))
        try:
            pickle.loads(pickle.dumps(first[0])).set_current()
            signals.worker_process_init.send(sender=None)
            assert state(first[1]).name == "NEW"
            assert not first[1].started.initialized  # it was not spawned
            monkeypatch.setenv(SPAWNED, "1")
            signals.worker_process_init.send(sender=None)
            assert first[1].started.initialized
            assert not second[1].started.initialized
            signals.worker_process_shutdown.send(sender=None, pid=0, exitcode=0)
            assert state(first[1]).name == "STOPPED"
        finally:
            previous.set_current()


def test_the_current_app_is_taken_for_the_app_itself():
    app = new_app()
    previous = current_app._get_current_object()
    app.set_current()
    try:
        with celery.attach(current_app, Container()) as attachment:
            worker = app.WorkController(pool="solo")
            assert state(attachment.container).name == "RUNNING"
            worker.stop()
    finally:
        previous.set_current()


@pytest.mark.parametrize(
    ("arguments", "children", "message"),
    [
        (lambda c: ("app", c), (), "invalid app 'app'"),
        (lambda _: (new_app(), Container), (), "invalid container"),
        (lambda _: (new_app(), None), (), "invalid container None"),
        (lambda c: (new_app(), c), Container.started, "invalid children"),
        (lambda c: (new_app(), c), ("started",), "invalid child 'started'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, children, message):
    with pytest.raises(TypeError, match=message):
        celery.attach(*arguments(Container()), children=children)


PROGRAM = """
import time
from billiard.popen_fork import Popen
from celery import signals
from celery.exceptions import Ignore, Reject
from metrics import resources
from metrics.exporters import prometheus
from metrics.integrations import celery
from metrics.lifecycle import MetricsContainer, Resource
from tests import brokers

def report(registry, tasks):
    note(start=True)
    yield
    lines = prometheus.render(registry).decode().splitlines()
    note(page=[line for line in lines if line[0] != "#" and "_bucket" not in line])

def main_only():
    note(main=True)
    yield
    note(main=False)

def broken():
    note(broken=True)
    raise OSError("broken")

class Container(MetricsContainer):
    registry = MetricsContainer.registry
    tasks = Resource(celery.tasks, registry)
    counter = Resource(resources.counter, registry, "counter")
    report = Resource(report, registry, tasks)
    main_only = Resource(main_only)

class Broken(MetricsContainer):
    broken = Resource(broken)

app = brokers.application(pathlib.Path(__file__).parent)
# A process that exceeds the time limit is killed a tenth of a second after SIGTERM, in which a busy
# machine may not stop its resources.
wait = Popen.wait
Popen.wait = lambda self, timeout=None: wait(self, 60 if timeout == 0.1 else timeout)
container, other = Container(), Broken()
celery.attach(app, container, children=(other.broken, container.report))
note(imported=container.report.initialized)

@app.task(bind=True)
def work(self, how):
    container.counter().inc()
    if how == "retry" and self.request.retries < 2:
        raise self.retry(countdown=0)
    note(how=how, retries=self.request.retries)
    if how == "fail":
        raise KeyError
    if how == "ignore":
        raise Ignore
    if how == "reject":
        raise Reject(how)

@app.task(time_limit=1)
def slow():
    time.sleep(60)

@signals.worker_ready.connect
def send(**_):
    app.send_task("nothing")
    work.apply_async(["expired"], expires=-1)
    for how in ("ok", "ok", "ok", "fail", "retry", "ignore", "reject"):
        work.delay(how)
    slow.delay()
"""

COUNTED = {
    'celery_task_active{name="program.work"}': 0,
    'celery_task_active{name="program.slow"}': 0,
    'celery_task_received_total{name="program.work"}': 9,  # expired ones are revoked before
    'celery_task_received_total{name="program.slow"}': 1,
    'celery_task_queue_time_seconds_count{name="program.work"}': 9,
    'celery_task_queue_time_seconds_count{name="program.slow"}': 1,
    'celery_task_runtime_seconds_count{name="program.work"}': 9,
    'celery_task_runtime_seconds_count{name="program.slow"}': 1,
    'celery_task_succeeded_total{name="program.work"}': 4,
    'celery_task_failed_total{name="program.work",exception="KeyError"}': 1,
    'celery_task_failed_total{name="program.slow",exception="TimeLimitExceeded"}': 1,
    'celery_task_failed_total{name="_OTHER",exception="NotRegistered"}': 1,
    'celery_task_retried_total{name="program.work"}': 2,
    'celery_task_revoked_total{name="program.work"}': 1,
    'celery_task_ignored_total{name="program.work"}': 1,
    'celery_task_rejected_total{name="program.work"}': 1,
    "counter_total": 9,
}


def test_a_prefork_worker_measures_its_tasks_in_its_processes_and_stops_them_all(tmp_path):
    (tmp_path / "program.py").write_text(NOTES + PROGRAM)
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    command = ["celery", "-A", "program", "worker", "-c", "2", "-l", "WARNING", *quiet]
    with master(tmp_path, *command) as worker:
        worker.wait_for("how", 7)
        # The main process, two of the pool, and the successor of the one that ran `slow`.
        worker.wait_for("start", 4)
        assert worker.end() == 0, worker.log
    total = {}
    for found in worker.notes("page"):
        for line in found["page"]:
            name, value = line.rsplit(" ", 1)
            total[name] = total.get(name, 0) + json.loads(value)
    assert total == total | COUNTED
    assert all(value >= 0 for value in total.values())
    started, stopped = ([n["pid"] for n in worker.notes(key)] for key in ("start", "page"))
    assert sorted(started) == sorted(stopped)
    assert [(n["pid"], n["main"]) for n in worker.notes("main")] == [
        (worker.pid, True),
        (worker.pid, False),
    ]
    assert {n["imported"] for n in worker.notes("imported")} == {False}
    assert len(worker.notes("broken")) == 3
    assert worker.log.count("of `children` did not start in this process") == 3
    assert "was running when this process was forked" not in worker.log
    for pid in started:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
