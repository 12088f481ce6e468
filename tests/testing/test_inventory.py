"""What is there is found where the system tells little, too."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from multiprocessing import get_context

import pytest

from metrics.testing import inventory
from metrics.testing.origins import recorded

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(params=["waitid and /proc", "waitid", "neither"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let less and less be known of child processes."""
    if request.param != "waitid and /proc":
        monkeypatch.setattr(inventory, "TASKS", "/nowhere")
    if request.param == "neither":
        monkeypatch.delattr(inventory.os, "waitid")
    with recorded():
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


@pytest.mark.skipif(not inventory.OPEN_FILES, reason="the system does not list descriptors")
def test_a_zombie_does_not_run():
    with recorded(), subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.read()
        inventory.os.waitid(
            inventory.os.P_PID, child.pid, inventory.os.WEXITED | inventory.os.WNOWAIT
        )
        assert child.pid not in inventory.children()


def test_no_descriptor_is_known_where_the_system_lists_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(inventory, "OPEN_FILES", "")
    assert "descriptor" not in {key.kind for key in inventory.take()}


def test_neither_the_main_thread_nor_this_one_is_counted():
    found = []
    threads = {id(thread) for thread in inventory.take().values()}
    thread = threading.Thread(target=lambda: found.extend(inventory.take().values()))
    thread.start()
    thread.join()
    assert thread not in found
    assert threading.main_thread() not in found
    assert id(threading.current_thread()) not in threads
