"""Subscribers and log handlers that fail have no effect on a start or a stop."""

import io
import logging
import math
import sys

import pytest

from metrics.lifecycle import State, state, subscribe
from tests.lifecycle.delivery import (
    KINDS,
    NAMES,
    STARTS,
    STOPS,
    container_of,
    logging_with,
    start_and_stop,
)


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def lines():
    return []


class Unheard(BaseException):
    """An exception that is no `Exception`."""


ERRORS = [LookupError("no"), SystemExit(3), Unheard(), KeyboardInterrupt()]


class FailingHandler(logging.Handler):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def emit(self, record):
        raise self.error.with_traceback(None)


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
@pytest.mark.parametrize("where", ["filter", "handler"])
def test_a_log_filter_or_handler_that_raises_has_no_effect(lines, kind, where, level, error):
    def failing(_record):
        raise error.with_traceback(None)

    failing_part = (
        {"log_filter": failing} if where == "filter" else {"handler": FailingHandler(error)}
    )
    container = container_of(lines, kind)
    with logging_with(level, **failing_part):
        for _ in range(2):
            lines.clear()
            start_and_stop(container, kind)
            assert lines == STARTS + STOPS
            assert {state(container, name) for name in NAMES} == {State.STOPPED}
            assert state(container) is State.STOPPED


@pytest.mark.parametrize("raise_exceptions", [True, False])
@pytest.mark.parametrize("stream", ["closed", None])
def test_a_closed_stderr_has_no_effect(lines, kind, monkeypatch, stream, raise_exceptions):
    closed = io.StringIO()
    closed.close()
    container = container_of(lines, kind)
    with (
        logging_with(logging.DEBUG, handler=logging.StreamHandler(closed)),
        monkeypatch.context() as patch,
    ):
        patch.setattr(logging, "raiseExceptions", raise_exceptions)
        patch.setattr(sys, "stderr", closed if stream == "closed" else None)
        start_and_stop(container, kind)
    assert lines == STARTS + STOPS
    assert {state(container, name) for name in NAMES} == {State.STOPPED}


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("at", list(State)[1:5])
def test_a_subscriber_that_raises_has_no_effect(lines, kind, at, error):
    container, events = container_of(lines, kind), []

    def failing(event):
        if event.state is at:
            raise error.with_traceback(None)

    subscribe(container, failing)
    subscribe(container, events.append)
    for _ in range(2):
        lines.clear()
        events.clear()
        start_and_stop(container, kind)
        assert lines == STARTS + STOPS
        # The other subscriber receives every event.
        assert len(events) == 12
        assert {state(container, name) for name in NAMES} == {State.STOPPED}


@pytest.mark.parametrize("at", [State.STOPPING, State.STOPPED])
def test_the_users_interruption_of_a_subscriber_is_raised_when_everything_has_stopped(lines, at):
    container = container_of(lines, "sync")

    def interrupted(event):
        if event.state is at:
            raise KeyboardInterrupt

    subscribe(container, interrupted)
    container.init_resources()
    with pytest.raises(KeyboardInterrupt):
        container.shutdown_resources(timeout=math.inf)
    assert lines == STARTS + STOPS
    assert {state(container, name) for name in NAMES} == {State.STOPPED}
    assert state(container) is State.STOPPED


def test_events_arrive_in_order_before_the_start_and_the_stop_return(lines, kind):
    container, events = container_of(lines, kind), []
    subscribe(container, events.append)
    expected = [
        (name, new, previous)
        for name in NAMES
        for new, previous in [("STARTING", "NEW"), ("RUNNING", "STARTING")]
    ]

    def check_start():
        assert [(event.resource, event.state, event.previous) for event in events] == expected

    start_and_stop(container, kind, check_start)
    expected += [
        (name, new, previous)
        for name in reversed(NAMES)
        for new, previous in [("STOPPING", "RUNNING"), ("STOPPED", "STOPPING")]
    ]
    check_start()
    assert all(event.error is None for event in events)
