"""Values are provided as they are; only objects that exist to be entered are entered."""

import asyncio
import contextlib
import io
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import AsyncMock, MagicMock, Mock

import httpx
import pytest
from dependency_injector import containers, providers

from metrics import Counter, Registry, Ticker
from metrics.lifecycle import LifecycleContainer
from metrics.testing import ManualTicker, overridden


class Ours(LifecycleContainer):
    unit = providers.Object("real")


class Stock(containers.DeclarativeContainer):
    unit = providers.Object("real")


@pytest.fixture(params=[Ours, Stock])
def container(request):
    return request.param()


class UnitOfWork:
    """Gives another object when it is entered, as a session's transaction does."""

    entered = 0

    def __enter__(self):
        self.entered += 1
        return "the session"

    def __exit__(self, *_):
        raise AssertionError("left by somebody who did not enter it")


class AsyncUnitOfWork:
    async def __aenter__(self):
        raise AssertionError("entered")

    async def __aexit__(self, *_):
        raise AssertionError("left")


class Both(UnitOfWork, AsyncUnitOfWork):
    pass


@pytest.mark.parametrize(
    "value",
    [None, 0, "text", len, Counter(), Mock(), MagicMock(), AsyncMock(), Registry(), Ticker(),
     UnitOfWork(), AsyncUnitOfWork(), Both()],
)  # fmt: skip
def test_a_value_is_provided_as_it_is(container, value):
    with overridden(container, unit=value):
        assert container.unit() is value

    async def main() -> None:
        async with overridden(container, unit=value):
            assert container.unit() is value

    asyncio.run(main())
    assert container.unit() == "real"


@pytest.mark.parametrize("make", [threading.Lock, threading.RLock, threading.Condition])
def test_a_lock_is_not_acquired(container, make):
    lock = make()
    with overridden(container, unit=lock), ThreadPoolExecutor(1) as other:
        assert container.unit() is lock
        assert other.submit(lock.acquire, blocking=False).result()
        other.submit(lock.release).result()


@pytest.mark.parametrize(
    ("make", "is_closed"),
    [
        (httpx.Client, lambda client: client.is_closed),
        (io.StringIO, lambda file: file.closed),
        (socket.socket, lambda peer: peer.fileno() == -1),
    ],
)
def test_a_value_that_can_be_closed_stays_open(container, make, is_closed):
    with make() as value:
        for _ in range(2):
            with overridden(container, unit=value):
                assert container.unit() is value
        assert not is_closed(value)


def test_an_executor_is_not_shut_down(container):
    with ThreadPoolExecutor(1) as executor:
        with overridden(container, unit=executor):
            pass
        assert executor.submit(int).result() == 0


def test_the_value_of_a_provider_is_not_entered_either(container):
    given = contextlib.nullcontext("inner")
    with overridden(container, unit=providers.Object(given)):
        assert container.unit() is given


@contextlib.contextmanager
def opened(closed):
    yield "opened"
    closed.append("opened")


class Closing:
    def __init__(self, closed) -> None:
        self.closed = closed

    def close(self) -> None:
        self.closed.append("closed")


def test_objects_of_contextlib_are_entered(container):
    closed = []
    stack = contextlib.ExitStack()
    stack.callback(closed.append, "stack")
    for given, provided, left in (
        (opened(closed), "opened", ["opened"]),
        (contextlib.closing(closing := Closing(closed)), closing, ["closed"]),
        (contextlib.nullcontext("null"), "null", []),
        (stack, stack, ["stack"]),
    ):
        closed.clear()
        with overridden(container, unit=given):
            assert container.unit() is provided
            assert closed == []
        assert closed == left


def test_async_objects_of_contextlib_are_entered_in_an_async_block(container):
    lines = []

    @contextlib.asynccontextmanager
    async def connected():
        yield "connected"
        lines.append("disconnected")

    async def main() -> None:
        async with overridden(container, unit=connected()):
            assert container.unit() == "connected"
        async with overridden(container, unit=contextlib.nullcontext("null")):
            assert container.unit() == "null"

    asyncio.run(main())
    assert lines == ["disconnected"]


def test_a_manual_ticker_is_started_for_the_block_and_a_started_one_in_a_provider_stays(container):
    ticker = ManualTicker()
    with overridden(container, unit=ticker):
        assert container.unit() is ticker
        assert ticker.running
    assert not ticker.running
    with ticker, overridden(container, unit=providers.Object(ticker)):
        assert ticker.running
