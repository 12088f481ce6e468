"""A program's own signal handler may stop the container, whatever it interrupts."""

import signal

import pytest

from tests.lifecycle.interruptions import RUNS
from tests.lifecycle.programs import Program, call, ran


@pytest.mark.parametrize("run", RUNS)
def test_a_handler_that_stops_the_container_never_deadlocks(run):
    call("interruptions:stop_in_handlers", run)


def test_a_handler_of_a_timer_that_stops_the_container_never_deadlocks():
    call("interruptions:stop_in_handlers_of_a_timer", 200)


PROGRAM = """
    import os, signal, sys
    from metrics.lifecycle import LifecycleContainer, LifecycleError, Resource, state

    def send():
        os.kill(os.getpid(), signal.SIGTERM)

    def say(line):
        # In one piece, because hooks and the handler may run in two threads.
        os.write(1, f"{line}\\n".encode())

    def first():
        yield
        say("stop first")

    def hook(needed):
        if sys.argv[1] == "start":
            send()
        yield
        if sys.argv[1] == "stop":
            send()
        say("stop second")

    class Container(LifecycleContainer):
        shutdown_timeout = None if sys.argv[2] == "None" else float(sys.argv[2])
        one = Resource(first)
        two = Resource(hook, one)

    container = Container()

    def handle(number, frame):
        try:
            container.shutdown_resources(timeout=2)
        except LifecycleError:
            say("refused")
        else:
            say("stopped")

    signal.signal(signal.SIGTERM, handle)
    container.init_resources()
    if sys.argv[1] == "run":
        send()
    container.shutdown_resources()
    say(state(container))
"""

STOPS = ["stop second", "stop first"]


@pytest.mark.parametrize("timeout", ["20", "None"])
@pytest.mark.parametrize(
    ("moment", "lines"),
    [
        ("start", ["refused", *STOPS, "STOPPED"]),
        ("run", [*STOPS, "stopped", "STOPPED"]),
    ],
)
def test_a_handler_gets_the_error_that_hooks_get(moment, lines, timeout):
    ended = ran(PROGRAM, moment, timeout)
    assert (ended.code, ended.lines, ended.errors) == (0, lines, "")


@pytest.mark.parametrize("timeout", ["20", "None"])
def test_a_handler_that_interrupts_a_stop_does_not_wait_for_it(timeout):
    ended = ran(PROGRAM, "stop", timeout)
    assert (ended.code, ended.errors) == (0, "")
    # The hook may go on in another thread before the handler runs.
    assert [line for line in ended.lines if line in STOPS] == STOPS
    assert ended.lines[-1] == "STOPPED"
    assert {"refused", "stopped"}.intersection(ended.lines)


HANGS = """
    import signal, threading
    from metrics.lifecycle import LifecycleContainer, LifecycleError, Resource

    def hook():
        print("hangs", flush=True)
        threading.Event().wait(3600)
        yield

    class Container(LifecycleContainer):
        one = Resource(hook)

    container = Container()

    def handle(number, frame):
        try:
            container.shutdown_resources(timeout=2)
        except LifecycleError as error:
            raise SystemExit(7) from error

    signal.signal(signal.SIGTERM, handle)
    container.init_resources()
"""


def test_a_handler_that_is_refused_can_end_the_program_whose_hook_hangs():
    with Program(HANGS) as program:
        program.until("hangs")
        program.send(signal.SIGTERM)
        ended = program.end()
    assert ended.code == 7, ended
