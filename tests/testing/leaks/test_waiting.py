"""How a check waits: for threads first, and for the garbage collector last."""

import gc
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from metrics.testing import LeakError, no_leaks
from metrics.testing.leaks import _check as checking


@contextmanager
def collected() -> Iterator[list[int]]:
    """Record the generations that the block has collected by request."""
    generations: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            generations.append(info["generation"])

    gc.disable()
    gc.callbacks.append(note)
    try:
        yield generations
    finally:
        gc.callbacks.remove(note)
        gc.enable()


def test_a_thread_that_ends_late_costs_no_collection():
    with collected() as generations:
        over = threading.Event()
        with no_leaks(grace=60.0):
            # The check joins the thread, and that is when it may end.
            thread = Joined(target=over.wait)
            thread.over = over
            thread.start()
    assert generations == []


class Joined(threading.Thread):
    """Thread that ends as soon as a check waits for it."""

    over: threading.Event

    def join(self, timeout: float | None = None) -> None:
        self.over.set()
        super().join()


def test_threads_that_end_one_after_the_other_are_not_timed_together(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(checking, "LONGEST_PAUSE", 1.0)
    with no_leaks(grace=1.5):
        for _ in range(5):
            thread = Joined(target=(over := threading.Event()).wait)
            thread.over = over
            thread.start()


def test_all_garbage_is_collected_before_a_thread_is_blamed():
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    with collected() as generations, pytest.raises(LeakError), no_leaks(grace=0.0):
        thread.start()
    assert generations == [1, 2]
    over.set()
    thread.join()


class SelfReference:
    """Open file that only the garbage collector closes, because it refers to itself."""

    def __init__(self) -> None:
        self.itself = self

    def open(self) -> None:
        self.descriptor = os.open(os.devnull, os.O_RDONLY)

    def __del__(self) -> None:
        os.close(self.descriptor)


def test_young_garbage_is_collected_at_once_where_nothing_is_left_that_ends_by_itself(
    monkeypatch: pytest.MonkeyPatch,
):
    pauses: list[float] = []
    running = threading.Event()
    # An earlier thread might close the file, for which a check would wait.
    thread = threading.Thread(target=running.wait)
    thread.start()
    monkeypatch.setattr(checking, "sleep", pauses.append)
    with collected() as generations, no_leaks():
        SelfReference().open()
    running.set()
    thread.join()
    assert (generations, pauses) == ([1], [])


def test_young_garbage_is_collected_at_once_after_the_end_of_the_last_thread():
    with collected() as generations, no_leaks():
        thread = Joined(target=(over := threading.Event()).wait)
        thread.over = over
        thread.start()
        SelfReference().open()
        del thread
    assert generations == [1]


def test_old_garbage_is_collected_before_a_descriptor_is_blamed():
    old = SelfReference()
    gc.collect()
    with collected() as generations, no_leaks():
        old.open()
        del old
    assert generations == [1, 2]


def test_no_name_is_made_of_an_object_that_ends_in_time(monkeypatch: pytest.MonkeyPatch):
    named: list[object] = []
    monkeypatch.setattr(checking, "leak_of", lambda key, obj: named.append(obj))
    with no_leaks():
        thread = Joined(target=(over := threading.Event()).wait)
        thread.over = over
        thread.start()
    assert not named
