"""`lifespan(container)`: a container that runs as long as an ASGI server serves."""

import asyncio
import contextlib
import logging
import socket
import threading
import urllib.request

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from metrics.lifecycle import LifecycleContainer, Resource, State, lifespan, state

LONG = 20


class Protocol:
    """Drives the lifespan protocol of an application by hand, as a server does."""

    def __init__(self, application):
        self.application = application
        self.sent = []

    async def __aenter__(self):
        self.messages = asyncio.Queue()
        self.answered = asyncio.Event()
        self.task = asyncio.create_task(self.application({"type": "lifespan"}, self.get, self.send))
        await self.ask("lifespan.startup")
        return self

    async def __aexit__(self, *exit_info):
        if not self.task.done():
            await self.ask("lifespan.shutdown")
        with contextlib.suppress(Exception):
            await self.task

    async def ask(self, kind):
        self.answered.clear()
        await self.messages.put({"type": kind})
        async with asyncio.timeout(LONG):
            await self.answered.wait()

    async def get(self):
        return await self.messages.get()

    async def send(self, message):
        self.sent.append(message)
        self.answered.set()


def sync_hook(lines, name):
    def hook(*_needed):
        lines.append(f"start {name}")
        yield name
        lines.append(f"stop {name}")

    return hook


def async_hook(lines, name):
    async def hook(*_needed):
        lines.append(f"start {name}")
        await asyncio.sleep(0)
        yield name
        await asyncio.sleep(0)
        lines.append(f"stop {name}")

    return hook


def graph_of(lines, *hooks):
    class Container(LifecycleContainer):
        pass

    needed = []
    for name, hook in zip(("one", "two", "three"), hooks, strict=False):
        part = Resource(hook, *needed)
        setattr(Container, name, part)
        needed = [part]
    return Container()


KINDS = {
    "sync": (sync_hook, sync_hook),
    "async": (async_hook, async_hook),
    "mixed": (async_hook, sync_hook),
}
STARTED = ["start one", "start two"]
STOPPED = ["stop two", "stop one"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_container_is_up_between_startup_and_shutdown(kind):
    lines = []
    first, second = KINDS[kind]
    container = graph_of(lines, first(lines, "one"), second(lines, "two"))
    application = Starlette(lifespan=lifespan(container))

    async def main():
        async with Protocol(application) as server:
            assert server.sent == [{"type": "lifespan.startup.complete"}]
            assert lines == STARTED
            assert state(container) is State.RUNNING
        assert server.sent[1:] == [{"type": "lifespan.shutdown.complete"}]

    asyncio.run(main())
    assert lines == STARTED + STOPPED


def test_one_application_is_served_again_in_another_loop():
    lines = []
    container = graph_of(lines, async_hook(lines, "one"), sync_hook(lines, "two"))
    application = Starlette(lifespan=lifespan(container))

    async def main():
        async with Protocol(application):
            pass

    asyncio.run(main())
    asyncio.run(main())
    assert lines == (STARTED + STOPPED) * 2


def test_a_failed_start_rolls_back_and_the_server_is_told():
    lines = []

    async def failing(*_needed):
        raise OSError("no database")

    container = graph_of(lines, async_hook(lines, "one"), sync_hook(lines, "two"), failing)

    async def main():
        async with Protocol(Starlette(lifespan=lifespan(container))) as server:
            pass
        return server.sent

    (answer,) = asyncio.run(main())
    assert answer["type"] == "lifespan.startup.failed"
    assert "OSError: no database" in answer["message"]
    assert "while starting 'three'" in answer["message"]
    assert lines == STARTED + STOPPED


def test_a_failed_stop_stops_the_others_and_the_server_is_told():
    lines = []

    def failing(*_needed):
        yield
        raise OSError("stuck")

    container = graph_of(lines, async_hook(lines, "one"), failing)

    async def main():
        async with Protocol(Starlette(lifespan=lifespan(container))) as server:
            pass
        return server.sent[1]

    answer = asyncio.run(main())
    assert answer["type"] == "lifespan.shutdown.failed"
    assert "ShutdownError" in answer["message"]
    assert "'two'" in answer["message"]
    assert lines == ["start one", "stop one"]
    container.shutdown_resources()


def test_sync_hooks_leave_the_servers_loop_free():
    begun, go_on = threading.Event(), threading.Event()

    def hook():
        begun.set()
        assert go_on.wait(LONG)
        yield

    container = graph_of([], hook)

    async def main():
        async def release():
            assert await asyncio.to_thread(begun.wait, LONG)
            go_on.set()

        helper = asyncio.create_task(release())
        async with Protocol(Starlette(lifespan=lifespan(container))) as server:
            assert server.sent == [{"type": "lifespan.startup.complete"}]
        await helper

    asyncio.run(main())


def test_the_time_limit_is_the_one_that_was_given():
    go_on = threading.Event()

    def hanging():
        yield
        go_on.wait()

    container = graph_of([], hanging)

    async def main():
        async with Protocol(Starlette(lifespan=lifespan(container, timeout=0.2))) as server:
            pass
        return server.sent[1]

    try:
        answer = asyncio.run(main())
    finally:
        go_on.set()
        container.shutdown_resources()
    assert answer["type"] == "lifespan.shutdown.failed"
    assert "'one' did not stop" in answer["message"]


def test_what_has_no_lifecycle_is_refused_where_the_lifespan_is_made():
    class Container(LifecycleContainer):
        pass

    for wrong in (Container, object()):
        with pytest.raises(TypeError, match=r"lifespan\(\)"):
            lifespan(wrong)


class Served(uvicorn.Server):
    """A real server in a thread of its own."""

    def __init__(self, application):
        super().__init__(uvicorn.Config(application, lifespan="on", log_config=None))
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.up = threading.Event()
        self.thread = threading.Thread(target=self.serve_here)
        self.status = 0

    def serve_here(self):
        try:
            self.run([self.socket])
        except SystemExit as error:  # how it says that the start failed
            self.status = error.code
        finally:
            self.up.set()

    async def startup(self, sockets=None):
        await super().startup(sockets)
        self.up.set()

    def __enter__(self):
        self.thread.start()
        assert self.up.wait(LONG)
        return self

    def __exit__(self, *exit_info):
        self.should_exit = True
        self.thread.join(LONG)
        self.socket.close()

    def get(self, path):
        port = self.socket.getsockname()[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=LONG) as answer:
            return answer.read().decode()


def test_a_real_server_serves_with_the_resources_up_and_stops_them_after_the_last_request():
    lines, answering, may_answer = [], threading.Event(), threading.Event()
    container = graph_of(lines, async_hook(lines, "one"), sync_hook(lines, "two"))

    async def part(request):
        return PlainTextResponse(await container.two())

    async def slow(request):
        answering.set()
        assert await asyncio.to_thread(may_answer.wait, LONG)
        lines.append("answered")
        return PlainTextResponse(await container.two())

    application = Starlette(
        routes=[Route("/part", part), Route("/slow", slow)], lifespan=lifespan(container)
    )
    answers = []
    with Served(application) as server:
        assert server.get("/part") == "two"
        request = threading.Thread(target=lambda: answers.append(server.get("/slow")))
        request.start()
        assert answering.wait(LONG)
        server.should_exit = True
        may_answer.set()
        request.join(LONG)
    assert answers == ["two"]
    assert lines == [*STARTED, "answered", *STOPPED]


def test_a_real_server_reports_a_failed_start_and_serves_nothing(caplog):
    lines = []

    def failing(*_needed):
        raise OSError("no database")

    container = graph_of(lines, async_hook(lines, "one"), sync_hook(lines, "two"), failing)
    with (
        caplog.at_level(logging.INFO, "uvicorn.error"),
        Served(Starlette(lifespan=lifespan(container))) as server,
    ):
        server.thread.join(LONG)
    assert server.status == 3
    assert not server.started
    reported = "\n".join(record.getMessage() for record in caplog.records)
    assert "OSError: no database" in reported
    assert "while starting 'three'" in reported
    assert "Application startup failed" in reported
    assert lines == STARTED + STOPPED
