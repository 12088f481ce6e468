"""What is being stopped can ask how long it may take."""

import asyncio
import math
import subprocess
import sys
import threading
from contextvars import copy_context

import pytest

from metrics.clock import SYSTEM_CLOCK
from metrics.deadline import deadline, join, remaining


def test_outside_of_a_stop_there_is_no_limit():
    assert remaining() is None


def test_what_remains_is_the_time_until_the_end():
    with deadline(SYSTEM_CLOCK.monotonic() + 100.0, ()):
        left = remaining()
        assert left is not None
        assert 50.0 < left <= 100.0
        again = remaining()
        assert again is not None
        assert again <= left
    assert remaining() is None


@pytest.mark.parametrize("late", [0.0, 1.0, 1e6])
def test_it_is_never_negative(late):
    with deadline(SYSTEM_CLOCK.monotonic() - late, ()):
        assert remaining() == 0.0


@pytest.mark.parametrize("at", [math.inf, threading.TIMEOUT_MAX * 2])
def test_more_than_can_be_waited_for_is_no_limit(at):
    with deadline(at, ()):
        assert remaining() is None


def test_the_limit_ends_with_its_block_also_when_that_raises():
    with deadline(SYSTEM_CLOCK.monotonic() + 100.0, ()):
        with pytest.raises(OSError, match="no"), deadline(SYSTEM_CLOCK.monotonic() + 1.0, ()):
            raise OSError("no")
        left = remaining()
        assert left is not None
        assert left > 50.0
    assert remaining() is None


def test_it_follows_the_context_and_not_the_thread():
    seen: list[float | None] = []
    with deadline(SYSTEM_CLOCK.monotonic() + 100.0, ()):
        context = copy_context()
        threads = [
            threading.Thread(target=lambda: seen.append(remaining())),
            threading.Thread(target=context.run, args=(lambda: seen.append(remaining()),)),
        ]
        for thread in threads:
            thread.start()
            thread.join(10)
    alone, inherited = seen
    assert alone is None
    assert inherited is not None


def test_tasks_have_limits_of_their_own():
    async def ask(seconds: float, barrier: asyncio.Barrier) -> float | None:
        with deadline(SYSTEM_CLOCK.monotonic() + seconds, ()):
            await barrier.wait()
            return remaining()

    async def main() -> list[float | None]:
        barrier = asyncio.Barrier(2)
        async with asyncio.timeout(10):
            return await asyncio.gather(ask(100.0, barrier), ask(1000.0, barrier))

    short, long = asyncio.run(main())
    assert short is not None
    assert long is not None
    assert short <= 100.0 < long


@pytest.fixture
def busy():
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    yield thread
    ended.set()
    thread.join(10)


def test_a_thread_that_goes_on_is_waited_for_no_longer_than_told(busy):
    assert not join(busy, 0.0)
    assert not join(busy, 0.01)


def test_a_thread_that_ends_is_waited_for():
    thread = threading.Thread(target=int)
    thread.start()
    assert join(thread, None)
    assert not thread.is_alive()


def test_a_thread_that_waits_for_the_stop_is_left_alone(busy):
    with deadline(math.inf, {busy.ident}):
        assert join(busy, None)
    assert busy.is_alive()


def test_a_thread_that_comes_to_wait_for_the_stop_is_waited_for_no_more(busy):
    waiting: set[int | None] = set()
    joined: list[bool] = []

    def stop() -> None:
        with deadline(math.inf, waiting):
            joined.append(join(busy, None))

    stopping = threading.Thread(target=stop)
    stopping.start()
    waiting.add(busy.ident)
    stopping.join(10)
    assert joined == [True]


def test_no_thread_is_waited_for_while_the_interpreter_exits(busy, monkeypatch):
    monkeypatch.setattr("sys.is_finalizing", lambda: True)
    assert join(busy, None)
    assert busy.is_alive()


EXIT = """
import os, sys
from metrics import Registry, Ticker
from metrics.reporters import file

ticker = Ticker(0.001)
registry = Registry(ticker=ticker)
registry.meter("hits")
reporter = file.append(registry, sys.argv[1], interval=0.001)
ticker.start()
reporter.__enter__()

# Nothing else is there any more when the interpreter has come to this.
def stop(exits=sys.is_finalizing, write=os.write, ticker=ticker, reporter=reporter):
    write(1, b"exits\\n" if exits() else b"too early\\n")
    ticker.stop()
    reporter.__exit__(None, None, None)
    ticker.discard(ticker)
    write(1, b"stopped\\n")

class Owner:
    def __del__(self, stop=stop):
        stop()

def suspended(stop=stop):
    try:
        yield
    finally:
        stop()
"""


@pytest.mark.parametrize(
    "kept",
    [
        "kept = Owner()",
        "kept = suspended(); next(kept)",
        "kept = [Owner()]; kept.append(kept)",
    ],
)
def test_a_stop_while_the_interpreter_exits_returns_at_once(kept, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", f"{EXIT}\n{kept}", tmp_path / "report.csv"],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
    assert done.stdout == "exits\nstopped\n", done.stderr
    assert done.stderr == ""
    assert done.returncode == 0
