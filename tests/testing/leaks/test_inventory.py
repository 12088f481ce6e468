"""What is there is found where the system tells little, too."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

from metrics.testing.leaks import _inventory as inventory
from metrics.testing.leaks._origins import recording

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(params=["waitid and /proc", "waitid", "neither"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let less and less be known of child processes."""
    if request.param != "waitid and /proc":
        monkeypatch.setattr(inventory, "TASKS", "/nowhere")
    if request.param == "neither":
        monkeypatch.delattr(inventory.os, "waitid")
    with recording():
        yield


def test_a_child_of_subprocess_is_there_until_it_has_ended(system: None):
    with subprocess.Popen(SLEEP) as child:
        assert child.pid in inventory.children()
        child.kill()
        child.wait()
        assert child.pid not in inventory.children()


def test_a_child_of_multiprocessing_is_there_until_it_has_ended(system: None):
    child = get_context("fork").Process(target=threading.Event().wait)
    child.start()
    assert child.pid in inventory.children()
    child.kill()
    child.join()
    assert child.pid not in inventory.children()
    child.close()
    assert inventory.process_of(-1) is None


@pytest.mark.skipif(not inventory.OPEN_FILES, reason="the system does not list descriptors")
def test_a_zombie_does_not_run():
    with recording(), subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read()
        inventory.os.waitid(
            inventory.os.P_PID, child.pid, inventory.os.WEXITED | inventory.os.WNOWAIT
        )
        assert child.pid not in inventory.children()


def test_a_child_of_a_fork_server_is_there_until_it_has_ended(system: None):
    child = get_context("forkserver").Process(target=time.sleep, args=(60,))
    child.start()
    assert child.pid in inventory.children()
    child.kill()
    child.join()
    assert child.pid not in inventory.children()
    child.close()


def test_a_child_that_asyncio_waits_for_keeps_its_status(system: None):
    async def run() -> int:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(7)")
        while child.returncode is None:
            inventory.children()
            await asyncio.sleep(0)
        return await child.wait()

    assert asyncio.run(run()) == 7


def test_a_thread_is_no_process_whatever_it_has(system: None):
    class Watcher(threading.Thread):
        pid = 1

        def poll(self) -> int:
            raise AssertionError

    watcher = Watcher()
    watcher.start()
    watcher.join()
    assert 1 not in inventory.children()


def test_children_are_seen_while_other_threads_start_and_end():
    over = threading.Event()

    def start_and_end() -> None:
        while not over.is_set():
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()

    with subprocess.Popen(SLEEP) as child, ThreadPoolExecutor(2) as pool:
        for _ in range(2):
            pool.submit(start_and_end)
        missed = sum(child.pid not in inventory.children() for _ in range(500))
        over.set()
        child.kill()
    assert missed == 0


def test_only_sockets_are_known_where_the_system_lists_no_descriptors(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(inventory, "OPEN_FILES", "")
    with recording(), tempfile.TemporaryFile() as file, socket.socket() as open_socket:
        found = {thing for key, thing in inventory.take().items() if key.kind == "descriptor"}
        assert open_socket.fileno() in found
        assert file.fileno() not in found


def opened() -> set[int]:
    return {obj for key, obj in inventory.take().items() if key.kind == "descriptor"}


@pytest.fixture(params=["counted", "listed"])
def descriptors(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the system count descriptors, or not, as Linux before 6.2."""
    if not inventory.OPEN_FILES or (request.param == "counted" and not can_count()):
        pytest.skip("the system does not do that")
    monkeypatch.setattr(inventory, "counts_descriptors", lambda: request.param == "counted")


def can_count() -> bool:
    inventory.counts_descriptors.cache_clear()
    return inventory.counts_descriptors()


def test_descriptors_are_known_however_they_come_and_go(descriptors: None):
    before = inventory.take()
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as another:
        assert opened() >= {file.fileno(), another.fileno()}
        number = file.fileno()
        with tempfile.TemporaryFile() as third:
            file.close()
            # As many as before, and others.
            assert number not in opened()
            assert opened() >= {another.fileno(), third.fileno()}
    assert inventory.take().keys() == before.keys()


def test_a_descriptor_with_another_file_is_another_one(descriptors: None):
    with tempfile.TemporaryFile() as file, tempfile.TemporaryFile() as another:
        before = inventory.take()
        os.dup2(another.fileno(), file.fileno())
        after = inventory.take()
        new = [obj for key, obj in after.items() if key not in before]
        assert new == [file.fileno()]
        assert after == inventory.take()


def test_a_closed_standard_stream_hides_no_descriptor(descriptors: None):
    code = """
import os
from metrics.testing.leaks._inventory import take
take()
os.close(0)
new = os.dup2(1, 9)
assert 9 in take().values()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_neither_the_main_thread_nor_this_one_is_counted():
    found = []
    threads = {id(thread) for thread in inventory.take().values()}
    thread = threading.Thread(target=lambda: found.extend(inventory.take().values()))
    thread.start()
    thread.join()
    assert thread not in found
    assert threading.main_thread() not in found
    assert id(threading.current_thread()) not in threads
