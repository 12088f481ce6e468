"""How a check waits: for threads first, and for the garbage collector last."""

import gc
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
