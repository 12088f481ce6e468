"""What the check does to others while it is active: nothing that they notice."""

import asyncio
import gc
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from unittest import mock
from weakref import ref

import freezegun
import pytest
import time_machine

from metrics.testing import no_leaks
from metrics.testing.leaks import _origins as origins


@pytest.fixture
def inactive(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let methods be as they are without the check that is active around this test."""
    replaced = dict(origins._replaced)
    monkeypatch.setattr(origins, "_active", 0)
    monkeypatch.setattr(origins, "_replaced", {})
    monkeypatch.setattr(origins, "_pending", list(origins.STARTS))
    monkeypatch.setattr(origins, "loops", {})
    for start, (owner, original, _) in replaced.items():
        monkeypatch.setattr(owner, start.method, original)


def test_methods_are_put_back_though_a_module_is_gone(inactive, monkeypatch: pytest.MonkeyPatch):
    before = subprocess.Popen.__init__, threading.Thread.start
    with no_leaks():
        assert subprocess.Popen.__init__ is not before[0]
        monkeypatch.delitem(sys.modules, "subprocess")
    assert (subprocess.Popen.__init__, threading.Thread.start) == before


def test_a_method_that_a_patch_puts_back_late_is_replaced_by_what_was_there(inactive):
    before = threading.Thread.start
    patch = mock.patch.object(threading.Thread, "start")
    with no_leaks():
        patch.start()
    patch.stop()
    with no_leaks():
        pass
    assert threading.Thread.start is before


def test_types_that_cannot_be_changed_stay_as_they_are(inactive, monkeypatch: pytest.MonkeyPatch):
    """Builds of dependency-injector for one version of Python have such types."""
    origins._pending.append(origins.StartMethod("builtins", "list", "__init__"))
    with no_leaks():
        assert list("ab") == ["a", "b"]
    assert origins._pending == list(origins.STARTS)


def test_a_patch_of_a_test_is_kept_within_a_block():
    with mock.patch.object(threading.Thread, "start") as patched, no_leaks():
        threading.Thread(target=int).start()
    patched.assert_called_once_with()


def test_a_chain_of_tasks_does_not_keep_those_that_are_done():
    made: list[ref[object]] = []

    async def link(number: int) -> None:
        made.append(ref(asyncio.current_task()))
        if number:
            asyncio.create_task(link(number - 1))  # noqa: RUF006 - nobody is to keep it

    async def main() -> int:
        asyncio.create_task(link(20))  # noqa: RUF006 - as above
        for _ in range(15):
            await asyncio.sleep(0)
        gc.collect()
        return sum(task() is not None for task in made)

    with no_leaks():
        # One that is about to run, and one that has just been.
        assert asyncio.run(main()) <= 2


def test_starters_are_no_more_than_those_that_live():
    with no_leaks():
        lengths = []

        def chain(number: int) -> None:
            origin = origins.origin_of(threading.current_thread())
            lengths.append(len(origin.starters))
            if number:
                following = threading.Thread(target=chain, args=(number - 1,))
                following.start()
                following.join()

        first = threading.Thread(target=chain, args=(5,))
        first.start()
        first.join()
    assert lengths == [length + lengths[0] for length in range(6)]


def test_what_has_ended_is_forgotten():
    with no_leaks():
        before = {owner: len(entries) for owner, entries in origins._started.items()}
        for _ in range(10):
            with no_leaks(), ThreadPoolExecutor(1) as pool, socket.socket():
                pool.submit(asyncio.run, asyncio.sleep(0)).result()
        del pool
        gc.collect()
        after = {owner: len(entries) for owner, entries in origins._started.items()}
    assert {owner for owner in after if after[owner] > before[owner]} == set()


class Particular(socket.socket):
    """Its hash, which does not exist yet when it is recorded, is not asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 1

    def __hash__(self) -> int:
        return hash(self.number)

    def __eq__(self, other: object) -> bool:
        raise AssertionError


def test_what_is_recorded_is_not_asked_for_its_hash_or_equality():
    with no_leaks():
        one, other = Particular(), Particular()
        one.close()
        other.close()


def test_others_may_start_things_while_what_is_there_is_listed():
    over = threading.Event()

    def make() -> None:
        while not over.is_set():
            for made in [socket.socket() for _ in range(20)]:
                made.close()

    interval = sys.getswitchinterval()
    with origins.recording(), ThreadPoolExecutor(2) as pool:
        making = [pool.submit(make) for _ in range(2)]
        sys.setswitchinterval(1e-6)
        try:
            for _ in range(5000):
                origins.living("socket")
        finally:
            sys.setswitchinterval(interval)
            over.set()
    assert [future.exception() for future in making] == [None, None]


@pytest.mark.parametrize(
    "stopped",
    [lambda: freezegun.freeze_time("2020-01-01"), lambda: time_machine.travel(0, tick=False)],
    ids=["freezegun", "time-machine"],
)
def test_a_coroutine_is_checked_while_time_stands_still(stopped):
    kept: list[asyncio.Task[None]] = []

    async def several_steps() -> None:
        for _ in range(3):
            await asyncio.sleep(0)

    async def main() -> None:
        with stopped():
            async with no_leaks(grace=60.0):
                kept.append(asyncio.create_task(several_steps()))

    asyncio.run(main())
    assert kept[0].done()


def test_a_block_is_entered_once_at_a_time():
    block = no_leaks()
    with block, pytest.raises(RuntimeError, match=r"call no_leaks\(\) for each"):
        block.__enter__()
    with block:
        pass


def test_a_block_keeps_nothing_when_it_has_ended():
    block = no_leaks()
    with block:
        assert block._check is not None
    assert block._check is None


@pytest.mark.parametrize("library", ["asyncio", "uvloop"])
def test_a_closed_loop_is_not_kept(library: str):
    module = pytest.importorskip(library)
    with no_leaks():
        loop = module.new_event_loop()
        loop.run_until_complete(asyncio.sleep(0))
        with pytest.raises(RuntimeError):
            loop.run_until_complete(close(loop))
        assert loop in origins.loops.values()
        loop.close()
        closed = ref(loop)
        del loop
        gc.collect()
        assert closed() is None


async def close(loop: asyncio.AbstractEventLoop) -> None:
    loop.close()
