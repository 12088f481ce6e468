"""`with running(container)` stops the container whatever ends the block, and puts signals back."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from metrics.lifecycle import LifecycleContainer, Resource, ShutdownError, State, running, state
from metrics.lifecycle import subscribe as subscribe_to
from tests.lifecycle.programs import LIGHT

TIMEOUT = 60
SIGNALS = [signal.SIGTERM, signal.SIGINT]
ENDS = [(signal.SIGTERM, SystemExit), (signal.SIGINT, KeyboardInterrupt)]


class Log(list):
    """What hooks did; dependency-injector copies what is declared, and this must stay one."""

    def __deepcopy__(self, memo: object) -> "Log":
        return self


class Part:
    """A class-based hook that does what it is told when it starts and stops."""

    def __init__(self, log, start=None, stop=None) -> None:
        self.log, self.start, self.stop = log, start, stop

    def __enter__(self):
        self.log.append("start")
        if self.start is not None:
            self.start()

    def __exit__(self, *exit_info: object) -> None:
        if self.stop is not None:
            self.stop()
        self.log.append(("stop", *exit_info[:2]))


def made(log, start=None, stop=None):
    class Container(LifecycleContainer):
        first = Resource(Part, log)
        # Lambdas, because dependency-injector would copy the callables' owners.
        second = Resource(lambda: Part(log, start, stop))

    return Container()


@pytest.fixture
def log():
    return Log()


@pytest.fixture
def earlier():
    """Handlers that were there before; what they received."""
    received = []

    def handle(number, _frame) -> None:
        received.append(number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    received_by = (received, handle)
    yield received_by
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers():
    return [signal.getsignal(number) for number in SIGNALS]


def test_a_block_that_ends_by_itself_stops_the_container(log, earlier):
    _, handle = earlier
    container = made(log)
    with running(container) as entered:
        assert entered is container
        assert state(container) is State.RUNNING
        assert handle not in handlers()
    assert state(container) is State.STOPPED
    assert log == ["start", "start", ("stop", None, None), ("stop", None, None)]
    assert handlers() == [handle, handle]


def test_hooks_receive_the_error_that_ends_the_block(log, earlier):
    container, error = made(log), OSError("no")
    with pytest.raises(OSError, match="no") as raised, running(container):
        raise error
    assert raised.value is error
    assert log[2:] == [("stop", OSError, error)] * 2
    assert handlers() == [earlier[1]] * 2


@pytest.mark.parametrize("end", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()], ids=repr)
def test_hooks_receive_nothing_of_a_normal_end_of_a_program(log, earlier, end):
    container = made(log)
    with pytest.raises(type(end)) as raised, running(container):
        raise end
    assert raised.value is end
    assert log[2:] == [("stop", None, None)] * 2
    assert handlers() == [earlier[1]] * 2


@pytest.mark.parametrize(("number", "kind"), ENDS)
def test_a_signal_ends_the_block(log, earlier, number, kind):
    container = made(log)
    with pytest.raises(kind) as raised, running(container):
        signal.raise_signal(number)
    assert log[2:] == [("stop", None, None)] * 2
    assert kind is KeyboardInterrupt or raised.value.code == 143
    assert handlers() == [earlier[1]] * 2
    assert earlier[0] == []


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_the_start_stops_what_was_up(log, earlier, number):
    container = made(log, start=lambda: signal.raise_signal(number))
    with pytest.raises((SystemExit, KeyboardInterrupt)), running(container):
        pytest.fail("it has started")
    assert [line[0] if isinstance(line, tuple) else line for line in log] == [
        "start",
        "start",
        "stop",
    ]
    assert handlers() == [earlier[1]] * 2
    container.shutdown_resources()


@pytest.mark.parametrize("phase", [State.STARTING, State.RUNNING])
def test_a_signal_while_the_start_is_notified_stops_what_was_up(log, earlier, phase):
    container = made(log)

    def interrupt(event) -> None:
        if (event.resource, event.state) == ("second", phase):
            signal.raise_signal(signal.SIGTERM)

    subscribe_to(container, interrupt)
    with pytest.raises(SystemExit), running(container, timeout=0.5):
        pytest.fail("it has started")
    stops = [line for line in log if line != "start"]
    assert len(stops) == log.count("start")
    assert state(container, "second") is not State.STARTING
    assert handlers() == [earlier[1]] * 2


@pytest.mark.parametrize(("number", "kind"), ENDS)
def test_a_second_signal_is_raised_at_once_and_the_hook_that_hangs_is_logged(
    log, earlier, caplog, number, kind
):
    release = threading.Event()

    def hang() -> None:
        os.kill(os.getpid(), number)
        release.wait(TIMEOUT)

    container = made(log, stop=hang)
    with pytest.raises(kind), running(container, timeout=2 * TIMEOUT):
        signal.raise_signal(signal.SIGTERM)
    assert log == ["start", "start"]
    assert f"second signal, {number.name}" in caplog.text
    assert "'second' (" in caplog.text
    assert handlers() == [earlier[1]] * 2
    assert earlier[0] == []
    release.set()
    container.shutdown_resources()
    assert log[2:] == [("stop", None, None)] * 2
    assert state(container) is State.STOPPED


@pytest.mark.parametrize(("number", "kind"), ENDS)
@pytest.mark.parametrize("timeout", [TIMEOUT, float("inf")])
def test_a_signal_during_the_stop_is_obeyed_when_all_is_down(log, earlier, number, kind, timeout):
    container = made(log, stop=lambda: os.kill(os.getpid(), number))
    with pytest.raises(kind), running(container, timeout=timeout):
        pass
    assert log[2:] == [("stop", None, None)] * 2
    assert state(container) is State.STOPPED
    assert handlers() == [earlier[1]] * 2


def test_a_signal_during_a_stop_that_fails_is_obeyed_as_well(log, earlier):
    def stop() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        raise ValueError

    container = made(log, stop=stop)
    with pytest.raises(SystemExit) as raised, running(container):
        pass
    assert isinstance(raised.value.__cause__ or raised.value.__context__, ShutdownError)


def test_a_failed_stop_raises_and_puts_the_signals_back(log, earlier):
    def stop() -> None:
        raise ValueError

    container = made(log, stop=stop)
    with pytest.raises(ShutdownError, match="second"), running(container):
        pass
    assert log[2:] == [("stop", None, None)]
    assert handlers() == [earlier[1]] * 2


def test_ignored_signals_stay_ignored(log, earlier):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with running(made(log)):
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        signal.raise_signal(signal.SIGINT)
    assert handlers() == [earlier[1], signal.SIG_IGN]


def test_default_handlers_are_put_back(log, earlier):
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with running(made(log)):
        assert signal.SIG_DFL not in handlers()
    assert handlers() == [signal.SIG_DFL, signal.default_int_handler]


def test_an_earlier_handler_need_not_be_hashable(log, earlier):
    class Handler:
        __hash__ = None

        def __call__(self, *_: object) -> None:
            pass

    handler = Handler()
    signal.signal(signal.SIGTERM, handler)
    with running(made(log)):
        pass
    assert signal.getsignal(signal.SIGTERM) is handler


def test_only_the_chosen_signals_end_the_block(log, earlier):
    received, _ = earlier
    with running(made(log), signals=[signal.SIGINT]):
        signal.raise_signal(signal.SIGTERM)
    assert received == [signal.SIGTERM]


def test_another_thread_leaves_signals_alone(log, earlier):
    seen = []

    def run() -> None:
        with running(made(log)):
            seen.append(handlers())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(TIMEOUT)
    assert seen == [[earlier[1]] * 2]
    assert len(log) == 4


def test_blocks_within_blocks_all_end(log, earlier):
    outer, inner = made(log), made(log)
    with pytest.raises(SystemExit), running(outer), running(inner):
        signal.raise_signal(signal.SIGTERM)
    assert len(log) == 8
    assert (state(outer), state(inner)) == (State.STOPPED, State.STOPPED)
    assert handlers() == [earlier[1]] * 2


PROGRAM = """
import asyncio, os, signal, sys, threading
from metrics.lifecycle import LifecycleContainer, Resource, running

class Part:
    def __enter__(self):
        print("start", flush=True)
    def __exit__(self, kind, *_):
        print("stop", kind and kind.__name__, flush=True)
        STOP

async def asynchronous():
    print("start", flush=True)
    yield
    print("stop", flush=True)

class Container(LifecycleContainer):
    part = Resource(Part)
    ASYNC

def send(number):
    os.kill(os.getpid(), number)

container = Container()
PROGRAM
"""


def ran(program, stop="pass", asynchronous="pass"):
    """Return the exit code of a program, what its hooks did, and what it had to say."""
    script = PROGRAM.replace("ASYNC", asynchronous).replace("STOP", stop)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LIGHT + script.replace("\nPROGRAM", "\n" + program)],
        check=False,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


IN_BLOCK = "with running(container):\n    "


@pytest.mark.parametrize(
    ("program", "code", "kind"),
    [
        (IN_BLOCK + "send(signal.SIGTERM)", 143, "None"),
        (IN_BLOCK + "send(signal.SIGINT)", -2, "None"),
        (IN_BLOCK + "sys.exit(5)", 5, "None"),
        (IN_BLOCK + "raise OSError", 1, "OSError"),
        (IN_BLOCK + "pass", 0, "None"),
    ],
)
def test_the_exit_code_says_what_ended_the_program(program, code, kind):
    status, lines, printed = ran(program)
    assert (status, lines) == (code, ["start", f"stop {kind}"])
    assert (printed == "") == (code not in {1, -2})


@pytest.mark.parametrize(
    ("then", "code"),
    [("pass", 0), ("sys.exit(5)", 5), ("raise OSError", 1), ("send(signal.SIGTERM)", 143)],
)
def test_a_block_that_is_never_left_is_stopped_when_the_interpreter_exits(then, code):
    status, lines, printed = ran(f"running(container).__enter__()\n{then}")
    assert status == code
    assert [line.split()[0] for line in lines] == ["start", "stop"]
    assert "atexit" not in printed
    assert (printed == "") == (code != 1)


def test_a_signal_while_the_interpreter_exits_does_not_cut_the_stop():
    stop = "send(signal.SIGTERM); print('down', flush=True)"
    _, lines, printed = ran("running(container).__enter__()", stop)
    assert lines == ["start", "stop None", "down"]
    assert printed == ""


def test_an_async_block_that_is_never_left_is_stopped_when_the_interpreter_exits():
    program = "async def main():\n    await running(container).__aenter__()\nasyncio.run(main())"
    status, lines, printed = ran(program, asynchronous="other = Resource(asynchronous)")
    assert (status, printed) == (0, "")
    assert lines == ["start", "start", "stop", "stop None"]


@pytest.mark.parametrize(
    "program",
    [
        "with running(container, timeout=0.2):\n    send(signal.SIGTERM)",
        "running(container, timeout=0.2).__enter__()",
    ],
    ids=["signal", "interpreter exit"],
)
def test_a_resource_that_hangs_is_named_and_does_not_keep_the_program_up(program):
    code, lines, printed = ran(program, stop="threading.Event().wait()")
    assert lines[0] == "start"
    assert lines[1].startswith("stop")
    if printed.startswith("Timeout"):
        # An interpreter that exits and starts no more threads is ended, with its stack.
        assert sys.version_info[:2] == (3, 12)
        assert "in wait" in printed
        return
    assert "'part' did not stop in" in printed
    # The exit code is that of the signal; otherwise the interpreter prints the error.
    assert code == 143 if "SIGTERM" in program else "ShutdownError" in printed
