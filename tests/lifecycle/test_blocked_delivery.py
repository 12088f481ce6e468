"""Subscribers and log handlers that block never delay a deadline."""

import logging
import os
import threading
from contextlib import suppress

import pytest

from metrics.lifecycle import LifecycleContainer, Resource, ShutdownError, State, state, subscribe
from tests.lifecycle.bounded import LONG, run, within
from tests.lifecycle.delivery import (
    KINDS,
    NAMES,
    STARTS,
    STOPS,
    container_of,
    logging_with,
    start,
    start_and_stop,
    stop,
)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def lines():
    return []


class Blocked:
    """Blocks every caller from `close` on, until `open`."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.reached = threading.Event()

    def close(self):
        self.gate.clear()

    def open(self):
        self.gate.set()

    def __call__(self, _event):
        if not self.gate.is_set():
            self.reached.set()
            assert self.gate.wait(60)


def drain(pipe):
    while os.read(pipe, 1 << 16):
        pass
    os.close(pipe)


class FullPipe:
    """The stream of a log handler: a pipe that no process reads."""

    def __init__(self):
        self.reading, writing = os.pipe()
        self.handler = logging.StreamHandler(os.fdopen(writing, "w", buffering=1))

    def close(self):
        """Fill the pipe; the next write blocks."""
        number = self.handler.stream.fileno()
        os.set_blocking(number, False)
        try:
            while os.write(number, b" " * 4096):
                pass
        except BlockingIOError:
            os.set_blocking(number, True)

    def open(self):
        """Read the pipe until it is closed."""
        if self.reading is not None:
            threading.Thread(target=drain, args=[self.reading]).start()
            self.reading = None


@pytest.fixture
def full_pipe():
    pipe = FullPipe()
    with logging_with(logging.DEBUG, handler=pipe.handler):
        yield pipe
        pipe.open()
    within(pipe.handler.stream.close)


@pytest.fixture
def blocked():
    made = Blocked()
    yield made
    made.open()


def check_blocked_stop(lines, kind, container, close):
    """Check that a stop with a limit ends in time, has run every hook, and blames none of them."""
    start_and_stop(container, kind, close, timeout=1)
    assert lines == STARTS + STOPS
    assert {state(container, name) for name in NAMES} == {State.STOPPED}
    assert state(container) is State.STOPPED


def test_a_log_handler_that_blocks_does_not_delay_the_deadline(lines, kind, full_pipe):
    check_blocked_stop(lines, kind, container_of(lines, kind), full_pipe.close)


def test_a_subscriber_that_blocks_does_not_delay_the_deadline(lines, kind, blocked):
    container = container_of(lines, kind)
    subscribe(container, blocked)
    check_blocked_stop(lines, kind, container, blocked.close)
    assert blocked.reached.is_set()


def test_a_container_starts_and_stops_again_when_its_subscriber_no_longer_blocks(
    lines, kind, blocked
):
    container = container_of(lines, kind)
    subscribe(container, blocked)
    check_blocked_stop(lines, kind, container, blocked.close)
    blocked.open()
    lines.clear()
    start_and_stop(container, kind, timeout=LONG)
    assert lines == STARTS + STOPS


def test_a_subscriber_that_blocks_does_not_delay_the_limit_of_a_start(lines, kind, blocked):
    # Whether the start succeeds or reports its limit: it returns, and everything stops.
    container = container_of(lines, kind)
    subscribe(container, blocked)
    blocked.close()

    def in_thread():
        with suppress(TimeoutError):
            container.init_resources(timeout=0.5)
        container.shutdown_resources(timeout=1)

    async def in_loop():
        with suppress(TimeoutError):
            await start(container, timeout=0.5)
        await stop(container, timeout=1)

    within(in_thread) if kind == "sync" else run(in_loop())
    assert sorted(line.split()[1] for line in lines if line.startswith("start")) == sorted(
        line.split()[1] for line in lines if line.startswith("stop")
    )


def test_a_hook_that_hangs_is_named_although_the_log_blocks(full_pipe):
    release = threading.Event()

    def hanging():
        yield
        assert release.wait(60)

    class Container(LifecycleContainer):
        below = Resource(hanging)
        above = Resource(hanging)

    container = Container()
    container.init_resources()
    full_pipe.close()
    try:
        with pytest.raises(ShutdownError) as raised:
            within(container.shutdown_resources, timeout=0.5)
        assert all(name in str(raised.value) for name in ("'above'", "'below'"))
    finally:
        release.set()
        full_pipe.open()
    within(container.shutdown_resources)
