"""Forked processes of a test: bounded, with their outcome, and forked at bad moments."""

import os
import pickle
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import pytest

T = TypeVar("T")

DEADLINE = 30.0

forking = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here"),
    # Python 3.12 warns of every fork with threads; that such a fork is safe is what is tested.
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
"""The marks of a module that forks."""


def in_child(function: Callable[..., T], *arguments: object, printed: Sequence[str] = ()) -> T:
    """Return what a function returns in a forked process; fail if it raises or hangs there.

    Errors of the fork itself, which the interpreter only prints, have to contain `printed`; there
    must be none if that is empty.
    """
    reader, writer = os.pipe()
    errors: list[BaseException] = []
    hook, sys.unraisablehook = sys.unraisablehook, lambda event: errors.append(event.exc_value)
    try:
        pid = os.fork()
    finally:
        sys.unraisablehook = hook
    if pid == 0:
        try:
            try:
                text = "".join("".join(traceback.format_exception(error)) for error in errors)
                assert bool(text) is bool(printed), text
                assert all(part in text for part in printed), text
                outcome = (True, function(*arguments))
            except BaseException:  # noqa: BLE001 - raised in the parent
                outcome = (False, traceback.format_exc())
            os.write(writer, pickle.dumps(outcome))
        finally:
            os._exit(0)
    os.close(writer)
    try:
        if not select.select([reader], [], [], DEADLINE)[0]:
            os.kill(pid, signal.SIGKILL)
            pytest.fail("the child hangs")
        written = os.read(reader, 1 << 16)
    finally:
        os.close(reader)
        os.waitpid(pid, 0)
    assert written, "the child died"
    succeeded, outcome = pickle.loads(written)
    assert succeeded, outcome
    return outcome


def waiting_child() -> int:
    """Fork a process that waits until it is killed; return its id."""
    pid = os.fork()
    if pid == 0:
        os.read(os.pipe()[0], 1)
    return pid


@contextmanager
def hammered(action: Callable[[], object], threads: int = 4) -> Iterator[None]:
    """Have threads of this process call a function over and over while the block runs."""
    stop, parent = threading.Event(), os.getpid()
    started = threading.Barrier(threads + 1)

    def hammer() -> None:
        started.wait(DEADLINE)
        while not stop.is_set() and os.getpid() == parent:
            action()

    hammering = [threading.Thread(target=hammer, name="hammering") for _ in range(threads)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in hammering:
            thread.start()
        started.wait(DEADLINE)
        yield
    finally:
        sys.setswitchinterval(interval)
        stop.set()
        for thread in hammering:
            thread.join(DEADLINE)
            assert not thread.is_alive()


@contextmanager
def held(lock: threading.Lock) -> Iterator[None]:
    """Have another thread hold a lock while the block runs."""
    taken, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            let_go.wait(DEADLINE)

    thread = threading.Thread(target=hold, name="holding")
    thread.start()
    try:
        assert taken.wait(DEADLINE)
        yield
    finally:
        let_go.set()
        thread.join(DEADLINE)
