"""Errors and log lines of the lifecycle name the container, the hook and the remedy."""

import asyncio
import gc
import logging
import pickle
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from dependency_injector.wiring import Provide, inject

from metrics import DuplicateMetricError, resources
from metrics.lifecycle import (
    LifecycleContainer,
    MetricsContainer,
    NotRunningError,
    Resource,
    ShutdownError,
    State,
    lifespan,
    running,
    state,
)
from tests.lifecycle.programs import LIGHT
from tests.lifecycle.sessions import wired

PATIENCE = 20.0


class Duplicate(MetricsContainer):
    registry = MetricsContainer.registry
    requests = Resource(resources.counter, registry, "requests")
    again = Resource(resources.counter, registry, "requests")


def plain():
    yield "plain"


def refuses():
    raise OSError("no route")


async def async_refuses():
    raise OSError("no route")


def stays():
    yield
    raise OSError("no answer")


class Plain(LifecycleContainer):
    session = Resource(plain)


class Refusing(LifecycleContainer):
    session = Resource(plain)
    target = Resource(refuses)


class AsyncRefusing(LifecycleContainer):
    session = Resource(plain)
    target = Resource(async_refuses)


class Staying(LifecycleContainer):
    target = Resource(stays)


def test_an_error_of_a_start_names_the_resource_its_hook_and_the_container():
    container = Duplicate()
    with pytest.raises(DuplicateMetricError) as raised:
        container.init_resources()
    assert raised.value.__notes__ == [
        "while starting 'again' (metrics.resources.counter) of Duplicate"
    ]


@pytest.mark.parametrize("kind", [Refusing, AsyncRefusing])
@pytest.mark.parametrize("start", ["init_resources", "target"])
def test_an_error_of_any_start_has_the_note(kind, start):
    container = kind()

    async def life():
        await getattr(container, start)()

    with pytest.raises(OSError, match="no route") as raised:
        asyncio.run(life())
    hook = "refuses" if kind is Refusing else "async_refuses"
    note = f"while starting 'target' ({__name__}.{hook}) of {kind.__name__}"
    assert raised.value.__notes__ == [note]


def test_an_error_of_a_stop_has_the_note():
    container = Staying()
    container.init_resources()
    with pytest.raises(ShutdownError) as raised:
        container.shutdown_resources()
    (error,) = raised.value.exceptions
    assert error.__notes__ == [f"while stopping 'target' ({__name__}.stays) of Staying"]


def test_log_lines_name_the_resource_its_hook_and_the_container(caplog):
    caplog.set_level(logging.DEBUG, "metrics.lifecycle")
    container = Plain()
    container.init_resources()
    container.shutdown_resources()
    lines = [line for line in caplog.messages if "'session'" in line]
    assert len(lines) >= 2
    assert all(f"'session' ({__name__}.plain) of Plain" in line for line in lines)


@pytest.mark.parametrize("way", ["init_resources", "on demand", "running", "async", "async with"])
def test_a_start_that_fails_is_raised_and_not_logged_as_an_error(caplog, way):
    caplog.set_level(logging.DEBUG, "metrics.lifecycle")
    container = AsyncRefusing() if "async" in way else Refusing()

    async def life():
        if way == "async":
            await container.init_resources()
        async with running(container):
            pytest.fail("it started")

    def start():
        if "async" in way:
            asyncio.run(life())
        elif way == "running":
            with running(container):
                pytest.fail("it started")
        elif way == "on demand":
            container.target()
        else:
            container.init_resources()

    with pytest.raises(OSError, match="no route"):
        start()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_a_request_after_the_stop_names_init_resources():
    container = Plain()
    container.init_resources()
    container.shutdown_resources()
    with pytest.raises(NotRunningError, match=r"'session' of Plain.*init_resources\(\)") as raised:
        container.session()
    assert " init()" not in str(raised.value)


def test_a_request_after_a_failed_start_names_init_resources():
    container = Refusing()
    with suppress(OSError):
        container.init_resources()
    with pytest.raises(NotRunningError, match=r"of Refusing.*init_resources\(\)") as raised:
        container.session()
    assert " init()" not in str(raised.value)


def test_a_request_during_the_stop_of_the_container_names_init_resources():
    stopping, go_on = threading.Event(), threading.Event()

    def slow():
        yield
        stopping.set()
        assert go_on.wait(PATIENCE)

    class Slow(LifecycleContainer):
        first = Resource(slow)
        second = Resource(plain)

    container = Slow()
    container.init_resources()
    with ThreadPoolExecutor(1) as executor:
        stop = executor.submit(container.shutdown_resources)
        assert stopping.wait(PATIENCE)
        try:
            with pytest.raises(NotRunningError, match=r"of Slow.*init_resources\(\)") as raised:
                container.second()
        finally:
            go_on.set()
        stop.result(PATIENCE)
    assert " init()" not in str(raised.value)


@inject
def handler(session=Provide["session"]):
    return session


def test_a_request_of_a_collected_container_says_so_and_what_may_have_happened():
    handed_out = [Plain()]
    handed_out[0].init_resources()
    handed_out[0].shutdown_resources()
    with wired(handed_out[0], handler):
        provider = handed_out[0].session
        # A test that replaces its container leaves the module wired to the first one.
        handed_out.clear()
        gc.collect()
        for ask in (provider, handler):
            with pytest.raises(NotRunningError, match="Plain") as raised:
                ask()
            message = str(raised.value)
            assert "garbage" in message
            assert "another container" in message
            assert "wired" in message


@pytest.mark.leakcheck(ignore="container *")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_request_of_a_container_that_was_collected_while_it_ran_says_so():
    container = Plain()
    container.init_resources()
    provider = container.session
    del container
    gc.collect()
    with pytest.raises(NotRunningError, match=r"'session' of Plain.*garbage"):
        provider()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_a_running_container_raises_an_error_that_explains_itself(protocol):
    with running(Plain()) as container:
        for pickled in (container, {"container": container}):
            with pytest.raises(TypeError, match="Plain") as raised:
                pickle.dumps(pickled, protocol)
            message = str(raised.value)
            assert "pickle" in message
            assert "process" in message, "the remedy: create it in the other process"
            assert "_thread" not in message
        assert state(container) is State.RUNNING


async def enter_running():
    async with running(AsyncRefusing()):
        pytest.fail("it started")


async def enter_lifespan():
    async with lifespan(AsyncRefusing())(None):
        pytest.fail("it started")


@pytest.mark.parametrize("enter", [enter_running, enter_lifespan])
def test_a_block_outside_of_asyncio_says_that_asyncio_is_required(enter):
    block = enter()
    try:
        with pytest.raises(RuntimeError, match="asyncio"):
            block.send(None)
    finally:
        block.close()


def test_a_block_under_trio_says_that_asyncio_is_required():
    trio = pytest.importorskip("trio")
    with pytest.raises(RuntimeError, match="asyncio"):
        trio.run(enter_running)


INTERRUPTED = """
import asyncio, signal, sys
from metrics.lifecycle import LifecycleContainer, Resource, running

def interrupts():
    {interrupt}
    yield

async def waits():
    await asyncio.sleep(0)
    yield
    await asyncio.sleep(0)

async def waits_too(*_):
    {interrupt}
    yield

class Container(LifecycleContainer):
    first = Resource(waits)
    second = Resource(interrupts)
    third = Resource(waits_too, first)

class Sync(LifecycleContainer):
    second = Resource(interrupts)

async def in_block():
    async with running(Container()):
        pass

async def in_start():
    await Container().init_resources()

async def on_demand():
    await Container().third()

def sync():
    with running(Sync()):
        pass

{start}
"""

STARTS = [
    "asyncio.run(in_block())",
    "asyncio.run(in_start())",
    "asyncio.run(on_demand())",
    "sync()",
]
INTERRUPTS = ["signal.raise_signal(signal.SIGINT)", "sys.exit(3)", "raise KeyboardInterrupt"]


@pytest.mark.parametrize("interrupt", INTERRUPTS)
@pytest.mark.parametrize("start", STARTS)
def test_an_interrupted_start_prints_no_warnings(start, interrupt):
    program = textwrap.dedent(INTERRUPTED).format(start=start, interrupt=interrupt)
    command = [sys.executable, "-W", "always", "-c", LIGHT + program]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode != 0
    assert "never awaited" not in done.stderr
    assert "never retrieved" not in done.stderr
    assert "Exception ignored" not in done.stderr
