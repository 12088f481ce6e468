"""What a container runs may stop the container from inside, and nothing waits for itself."""

import asyncio
import threading
from contextlib import contextmanager
from time import monotonic
from urllib.request import urlopen

import pytest
from dependency_injector import providers

from metrics import resources
from metrics.integrations.uvicorn import serve
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource, State, state

PATIENCE = 10.0
# A stop that waits for itself takes all of the time it has, which is more than this.
QUICK = 4.0
OFTEN = 0.002


class Member:
    """Ticked; calls a function in its first tick, and tells how that went."""

    def __init__(self) -> None:
        self.function = lambda: None
        self.thread = None
        self.error = None
        self.seconds = None
        self.began = threading.Event()
        self.ended = threading.Event()

    def tick(self) -> None:
        if self.thread is not None:
            return
        self.thread, began = threading.current_thread(), monotonic()
        self.began.set()
        try:
            self.function()
        except BaseException as error:  # noqa: BLE001 - raised in the test
            self.error = error
        self.seconds = monotonic() - began
        self.ended.set()

    def __deepcopy__(self, memo):
        return self


def ticking(member, before_ticker=lambda: None):
    """Return a container whose ticker ticks a member from the start on."""

    @contextmanager
    def membership(ticker):
        ticker.add(member)
        yield
        before_ticker()

    class Container(MetricsContainer):
        ticker = MetricsContainer.ticker
        requests = Resource(resources.meter, MetricsContainer.registry, "requests")
        membership_ = Resource(membership, ticker)

    container = Container()
    container.config.from_dict({"tick_interval": OFTEN})
    return container


def workers():
    return [thread for thread in threading.enumerate() if thread.name == "metrics-ticker"]


@pytest.mark.parametrize("timeout", [None, 5.0, float("inf")])
def test_a_tick_may_stop_the_container_whose_worker_it_runs_in(timeout):
    member = Member()
    container = ticking(member)
    member.function = lambda: container.shutdown_resources(timeout=timeout)
    container.init_resources()
    assert member.ended.wait(PATIENCE)
    assert member.error is None
    assert member.seconds < QUICK
    assert member.thread.name == "metrics-ticker"
    member.thread.join(PATIENCE)
    assert workers() == []
    assert state(container) is State.STOPPED
    container.init_resources()
    container.shutdown_resources()


def test_a_tick_may_stop_the_container_and_start_it_again():
    member = Member()
    container = ticking(member)

    def restart() -> None:
        container.shutdown_resources()
        container.init_resources()

    member.function = restart
    container.init_resources()
    assert member.ended.wait(PATIENCE)
    assert member.error is None
    assert member.seconds < QUICK
    # The old worker ends with its tick; the new ticker has one of its own.
    member.thread.join(PATIENCE)
    assert not member.thread.is_alive()
    assert len(workers()) == 1
    container.shutdown_resources()
    assert workers() == []


def test_a_tick_may_stop_the_container_while_another_thread_stops_it():
    member, stopping = Member(), threading.Event()
    container = ticking(member, stopping.set)

    def stop_too() -> None:
        assert stopping.wait(PATIENCE)
        container.shutdown_resources()

    member.function = stop_too
    container.init_resources()
    assert member.began.wait(PATIENCE)
    began = monotonic()
    container.shutdown_resources()
    assert monotonic() - began < QUICK
    assert member.ended.wait(PATIENCE)
    assert member.error is None
    member.thread.join(PATIENCE)
    assert workers() == []


def test_a_tick_that_requests_resources_while_the_container_stops_does_not_hold_it_up():
    member, stopping = Member(), threading.Event()
    container = ticking(member, stopping.set)

    def ask() -> None:
        assert stopping.wait(PATIENCE)
        container.requests().mark()

    member.function = ask
    container.init_resources()
    assert member.began.wait(PATIENCE)
    began = monotonic()
    container.shutdown_resources()
    assert monotonic() - began < QUICK
    assert member.ended.wait(PATIENCE)


class Application:
    """An ASGI application that stops its container in the thread of the server's event loop."""

    def __init__(self) -> None:
        self.function = lambda: None
        self.error = None
        self.thread = None

    async def __call__(self, scope, receive, send) -> None:
        self.thread = threading.current_thread()
        try:
            self.function()
        except BaseException as error:  # noqa: BLE001 - raised in the test
            self.error = error
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"stopped"})

    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize("timeout", [None, float("inf")])
def test_a_request_may_stop_the_container_whose_server_answers_it(timeout):
    application = Application()

    class Container(LifecycleContainer):
        registry = Resource(resources.registry)
        server = Resource(serve, providers.Object(application), port=0)

    container = Container()
    application.function = lambda: container.shutdown_resources(timeout=timeout)
    container.init_resources()
    began = monotonic()
    with urlopen(container.server().url, timeout=PATIENCE) as response:
        assert response.read() == b"stopped"
    assert application.error is None
    application.thread.join(PATIENCE)
    assert not application.thread.is_alive()
    assert monotonic() - began < QUICK
    assert state(container) is State.STOPPED
    container.init_resources()
    container.shutdown_resources()


def test_a_task_that_a_resource_runs_may_stop_the_container():
    stopped = []

    async def main() -> None:
        async def worker(container, task_ended):
            async def work() -> None:
                await ready.wait()
                await container().shutdown_resources()
                stopped.append(True)
                task_ended.set()

            task = asyncio.create_task(work())
            yield task

        ready, ended = asyncio.Event(), asyncio.Event()

        class Container(LifecycleContainer):
            worker_ = Resource(worker, providers.Object(lambda: container), providers.Object(ended))

        container = Container()
        await container.init_resources()
        ready.set()
        await asyncio.wait_for(ended.wait(), PATIENCE)
        assert state(container) is State.STOPPED

    asyncio.run(main())
    assert stopped == [True]
