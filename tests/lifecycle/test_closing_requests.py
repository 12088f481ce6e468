"""Requests of a web application get a session each, opened and closed by `Closing`."""

import asyncio
import socket
from contextlib import asynccontextmanager

import pytest
import uvicorn
from dependency_injector.wiring import Closing, Provide, inject
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from metrics.lifecycle import LifecycleContainer, NotRunningError, State, lifespan, state
from tests.lifecycle.sessions import Sessions, wired

REQUESTS = 40
PATIENCE = 30.0

KINDS = ["generator", "manager", "async generator", "async manager"]


@inject
async def use_async(session=Closing[Provide["session"]]):
    await asyncio.sleep(0)
    return session.name


@inject
def use(session=Closing[Provide["session"]]):
    return session.name


async def page(_request):
    return PlainTextResponse(await use_async())


def sync_page(_request):
    return PlainTextResponse(use())


@asynccontextmanager
async def served(application):
    """Serve an application with uvicorn for the length of a block; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(application, lifespan="on", log_config=None))
        serving = asyncio.ensure_future(server.serve([listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait_for(serving, PATIENCE)


async def get(port, path="/"):
    """Return the status and the body of a response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def declared(kind):
    sessions = Sessions()
    pool = sessions.resource("generator", "pool")
    container = type(
        "Container",
        (LifecycleContainer,),
        {
            "pool": pool,
            "session": sessions.resource(kind, "session", pool),
            "reports": sessions.resource("generator", "reports", pool),
        },
    )()
    return container, sessions


async def load(application, container, *, concurrent):
    async with served(application) as port:
        for _ in range(1 if concurrent else REQUESTS):
            requests = [get(port) for _ in range(REQUESTS if concurrent else 1)]
            answers = await asyncio.gather(*requests)
            assert answers == [(200, answers[0][1])] * len(answers)
            assert "session" in answers[0][1]
        assert state(container) is state(container, "pool") is State.RUNNING


def check_sessions(container, sessions):
    lines = [line for line in sessions.lines if "session" in line]
    assert lines == ["open session", "close session"] * (len(lines) // 2)
    assert sessions.lines.count("open pool") == sessions.lines.count("close pool") == 1
    assert state(container) is State.STOPPED


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_requests_to_coroutine_endpoints_are_answered(kind, concurrent):
    container, sessions = declared(kind)
    application = Starlette(routes=[Route("/", page)], lifespan=lifespan(container))
    with wired(container, use_async):
        asyncio.run(load(application, container, concurrent=concurrent))
    check_sessions(container, sessions)
    assert concurrent or sessions.lines.count("open session") == REQUESTS


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("kind", ["generator", "manager"])
def test_requests_to_endpoints_in_threads_are_answered(kind, concurrent):
    container, sessions = declared(kind)
    application = Starlette(routes=[Route("/", sync_page)], lifespan=lifespan(container))
    with wired(container, use):
        asyncio.run(load(application, container, concurrent=concurrent))
    check_sessions(container, sessions)


def test_a_call_after_the_server_has_stopped_is_refused():
    container, _ = declared("async generator")
    application = Starlette(routes=[Route("/", page)], lifespan=lifespan(container))

    async def life():
        await load(application, container, concurrent=False)
        with pytest.raises(NotRunningError):
            await use_async()

    with wired(container, use_async):
        asyncio.run(life())


@pytest.mark.parametrize("concurrent", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_requests_to_fastapi_are_answered(kind, concurrent):
    fastapi = pytest.importorskip("fastapi")
    container, sessions = declared(kind)
    application = fastapi.FastAPI(lifespan=lifespan(container))
    depends = fastapi.Depends(Closing[Provide["session"]])

    @application.get("/")
    @inject
    async def index(session=depends):
        await asyncio.sleep(0)
        return {"name": session.name}

    with wired(container, index):
        asyncio.run(load(application, container, concurrent=concurrent))
    check_sessions(container, sessions)
    assert concurrent or sessions.lines.count("open session") == REQUESTS
