"""Loops that those who run tests close are notified of, and methods put back."""

import asyncio
import asyncio.runners
import threading
from unittest import IsolatedAsyncioTestCase

import pytest

from metrics.testing.leaks import _runners as runners


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the run of pytest around this one."""
    monkeypatch.setattr(runners, "_listeners", [])
    if runners._cancel is not None:
        monkeypatch.setattr(asyncio.runners, "_cancel_all_tasks", runners._cancel)
        monkeypatch.setattr(runners, "_cancel", None)


class Case(IsolatedAsyncioTestCase):
    async def test_nothing(self) -> None:
        pass


def test_the_innermost_run_is_notified_and_then_the_one_around_it():
    before = asyncio.runners._cancel_all_tasks
    outer: list[object] = []
    inner: list[object] = []
    runners.watch(outer.append)
    runners.watch(inner.append)
    runners.watch(inner.append)
    Case("test_nothing").run()
    assert (len(outer), len(inner)) == (0, 1)
    runners.unwatch(inner.append)
    Case("test_nothing").run()
    assert (len(outer), len(inner)) == (1, 1)
    runners.unwatch(outer.append)
    runners.unwatch(outer.append)
    assert asyncio.runners._cancel_all_tasks is before


def test_what_a_test_runs_by_itself_is_not_reported():
    notified: list[object] = []
    runners.watch(notified.append)
    # In a thread, because this test is itself called by one who runs tests.
    thread = threading.Thread(target=lambda: asyncio.run(asyncio.sleep(0)))
    thread.start()
    thread.join()
    asyncio.run(asyncio.sleep(0))
    runners.unwatch(notified.append)
    assert notified == []
