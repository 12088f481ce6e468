"""An interrupted start leaves no thread behind, and exits with the code of its signal."""

import signal
import threading

import pytest

from metrics.lifecycle import LifecycleContainer, Resource, State, state
from metrics.lifecycle._threads import HookThread
from tests.lifecycle.bounded import LONG
from tests.lifecycle.programs import Program, call, ran


@pytest.mark.parametrize("way", ["start", "block", "async block"])
def test_no_thread_stays_alive_wherever_a_signal_interrupts_the_start(way):
    call("interrupted_starts:interrupt_at_random", way, 50)


def test_a_hook_that_its_thread_had_taken_when_the_start_was_interrupted_is_undone(monkeypatch):
    begun, release, stopped = threading.Event(), threading.Event(), threading.Event()

    def hook():
        begun.set()
        assert release.wait(LONG)
        yield
        stopped.set()

    class Container(LifecycleContainer):
        one = Resource(hook)

    def interrupt(thread):
        monkeypatch.undo()
        thread.end()
        assert begun.wait(LONG)
        raise KeyboardInterrupt

    monkeypatch.setattr(HookThread, "end", interrupt)
    container = Container()
    with pytest.raises(KeyboardInterrupt):
        container.init_resources(timeout=LONG)
    assert state(container, "one") is State.FAILED
    release.set()
    assert stopped.wait(LONG)


STARTS = """
    import asyncio, signal, sys, threading
    from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource, running

    def hook(needed):
        print("starts", flush=True)
        threading.Event().wait(3600)
        yield

    class Container(MetricsContainer):
        ticker = MetricsContainer.ticker
        registry = MetricsContainer.registry
        last = Resource(hook, registry)

    with running(Container()):
        pass
"""

SIGNALS = [signal.SIGTERM, signal.SIGINT]
CODES = {signal.SIGTERM: 143, signal.SIGINT: -signal.SIGINT}


@pytest.mark.parametrize("number", SIGNALS)
def test_a_start_that_a_signal_interrupts_exits_with_its_code(number):
    with Program(STARTS) as program:
        program.until("starts")
        program.send(number)
        ended = program.end()
    assert ended.code == CODES[number], ended
    assert "never awaited" not in ended.errors


FAILS = """
    import asyncio, os, signal, sys
    from metrics.lifecycle import LifecycleContainer, Resource, running

    kind, moment, number = sys.argv[1], sys.argv[2], int(sys.argv[3])

    def failing():
        yield
        raise OSError("fails to stop")

    def signalled(needed):
        if moment == "start":
            os.kill(os.getpid(), number)
        yield

    async def async_failing():
        yield
        raise OSError("fails to stop")

    class Container(LifecycleContainer):
        one = Resource(async_failing if kind == "async hook" else failing)
        two = Resource(signalled, one)

    def sync():
        with running(Container()):
            os.kill(os.getpid(), number)
            print("goes on", flush=True)

    async def asynchronous():
        async with running(Container()):
            os.kill(os.getpid(), number)
            await asyncio.sleep(3600)

    sync() if kind == "sync" else asyncio.run(asynchronous())
"""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", ["start", "block"])
@pytest.mark.parametrize("kind", ["sync", "async", "async hook"])
def test_the_exit_code_is_the_signals_also_when_a_resource_fails_to_stop(kind, moment, number):
    ended = ran(FAILS, kind, moment, int(number))
    assert (ended.code, ended.lines) == (CODES[number], []), ended
    assert "fails to stop" in ended.errors
    assert "never awaited" not in ended.errors
