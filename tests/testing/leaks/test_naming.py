"""What is left is called by a name that a reader knows it by, on every system."""

import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.testing import Leak, LeakError, no_leaks
from metrics.testing.leaks import _inventory as inventory
from metrics.testing.leaks import _naming as naming
from tests.testing.leaks.leaving import SLEEP, blamed


def left_by(*made: object) -> list[Leak]:
    """Return how sockets are named."""
    return [naming.descriptor_leak(each.fileno()) for each in made]


@pytest.mark.skipif(sys.platform != "linux", reason="addresses of Linux")
def test_addresses_that_are_no_host_and_port_are_written_out():
    with closing(socket.socket(socket.AF_UNIX)) as abstract:
        abstract.bind(f"\0left-{os.getpid()}")
        with closing(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)) as netlink:
            netlink.bind((0, 0))
            (first, second) = left_by(abstract, netlink)
    assert first[:2] == ("socket", f"@left-{os.getpid()}")
    assert second.kind == "socket"
    assert second.name.endswith(", 0)")


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (("127.0.0.1", 80), "127.0.0.1:80"),
        (("::1", 80, 0, 0), "[::1]:80"),
        ("/run/socket", "/run/socket"),
        ("", "unnamed"),
        (b"\0a\xff", "@a\ufffd"),
        ((3, 1024), "(3, 1024)"),
        (("can0",), "('can0',)"),
        (None, "None"),
    ],
    ids=str,
)
def test_an_address_is_written_as_usual(where: object, name: str):
    assert naming.address(where) == name


def test_what_the_system_has_no_path_for_is_named_by_its_kind(monkeypatch: pytest.MonkeyPatch):
    reading, writing = os.pipe()
    monkeypatch.setattr(naming, "target_of", lambda _descriptor: "")
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        assert naming.descriptor_leak(server.fileno())[:2] == ("socket", f"127.0.0.1:{port}")
    with tempfile.TemporaryFile() as file:
        assert naming.descriptor_leak(file.fileno()).kind == "descriptor"
    assert naming.descriptor_leak(reading)[:2] == ("pipe", str(reading))
    os.close(reading)
    os.close(writing)
    assert naming.descriptor_leak(reading)[:2] == ("descriptor", str(reading))


def test_a_socket_that_python_has_no_object_for_is_named_by_its_addresses():
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]
        copied = os.dup(server.fileno())
    try:
        assert naming.descriptor_leak(copied)[:2] == ("socket", f"127.0.0.1:{port}")
    finally:
        os.close(copied)


def test_a_process_of_multiprocessing_has_its_own_name():
    context = multiprocessing.get_context("fork")
    child = context.Process(target=time.sleep, args=(60,), name="worker")
    _, leaks = blamed(child.start)
    child.kill()
    child.join()
    child.close()
    assert [leak[:2] for leak in leaks] == [("process", "worker")]


def test_a_process_that_is_closed_hinders_nobody():
    ended = multiprocessing.get_context("fork").Process(target=int)

    def start() -> subprocess.Popen[bytes]:
        ended.start()
        ended.join()
        ended.close()
        return subprocess.Popen(SLEEP)

    child, leaks = blamed(start)
    child.kill()
    child.wait()
    assert [leak[:2] for leak in leaks] == [("process", " ".join(SLEEP))]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pipes_of_an_ended_process_of_multiprocessing_advise_to_close_it(method: str):
    child = multiprocessing.get_context(method).Process(target=int, name="worker")

    def run() -> None:
        child.start()
        child.join()

    _, leaks = blamed(run)
    child.close()
    assert {leak.kind for leak in leaks} == {"pipe"}
    for leak in leaks:
        assert leak.detail.endswith(" of the ended process 'worker': close() the Process")
        assert leak.stack[0].function == "run"


def test_pipes_of_an_ended_command_advise_to_close_them():
    def run() -> subprocess.Popen[bytes]:
        child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
        child.wait()
        return child

    child, (leak,) = blamed(run)
    child.stdout.close()
    assert leak.kind == "pipe"
    assert ": close its pipes, or use Popen in a with block" in leak.detail
    assert sys.executable in leak.detail


def test_a_report_does_not_reap_a_process():
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    naming.process_advice(child)
    with no_leaks():
        naming.process_leak(child.pid)
    assert os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    child.join()
    child.close()


def test_a_fork_that_has_the_same_command_line_is_called_one():
    over, go_on = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(go_on)
        os.read(over, 1)
        os._exit(0)
    try:
        assert naming.process_leak(pid).detail == f"pid {pid}, a fork of this one"
    finally:
        os.close(go_on)
        os.close(over)
        os.waitpid(pid, 0)


@pytest.mark.parametrize(
    "arguments", [SLEEP, " ".join(SLEEP), [os.fsencode(each) for each in SLEEP]]
)
def test_a_command_is_known_where_the_system_does_not_tell(
    arguments: object, monkeypatch: pytest.MonkeyPatch
):
    def unreadable(path: str) -> str:
        raise FileNotFoundError(path)

    with no_leaks(), subprocess.Popen(arguments, shell=isinstance(arguments, str)) as child:
        monkeypatch.setattr(naming, "read", unreadable)
        assert naming.process_leak(child.pid).name == " ".join(SLEEP)
        monkeypatch.undo()
        child.kill()


@pytest.mark.parametrize("name", ["[::1]:80", "pipe:[12]", "a*b", "worker-?"])
def test_what_the_error_proposes_to_ignore_is_ignored(name: str):
    leak = Leak("socket", name)
    assert leak.is_ignored(f"socket {name}")
    assert leak.is_ignored(name)
    assert not leak.is_ignored(f"{name}0")
    assert leak.is_ignored(f"socket {name!r}")
    assert str(LeakError([leak])).endswith(f"allow it: ignore=['{leak.allowance}']")


@given(st.sampled_from(["thread", "socket"]), st.text(st.characters(codec="utf-8")))
def test_a_leak_is_ignored_by_its_own_pattern(kind: str, name: str):
    leak = Leak(kind, name)
    assert leak.is_ignored(leak.pattern)


@pytest.mark.parametrize(
    ("kind", "name", "pattern", "again"),
    [
        ("socket", "127.0.0.1:80", "socket 127.0.0.1:*", "127.0.0.1:8080"),
        ("socket", "[::1]:80", "socket [::1]:*", "[::1]:1"),
        ("pipe", "pipe:[12]", "pipe", "pipe:[345]"),
        ("thread", "Thread-1 (work)", "thread Thread-* (work)", "Thread-12 (work)"),
        ("executor thread", "Pool-0_0", "executor thread Pool-*_*", "Pool-10_2"),
        ("file", "/tmp/pytest-3/x0/l", "file /tmp/pytest-*/x0/l", "/tmp/pytest-4/x0/l"),
        ("process", "python3.11 -m x", "process python3.11 -m x", "python3.11 -m x"),
        ("thread", "a[b]", "thread a[b]", "a[b]"),
    ],
    ids=str,
)
def test_a_pattern_is_for_the_next_run_as_well(kind: str, name: str, pattern: str, again: str):
    assert Leak(kind, name).pattern == pattern
    assert Leak(kind, again).is_ignored(pattern)
    # A pipe has no name but a number.
    assert Leak(kind, f"other {again}").is_ignored(pattern) is (kind == "pipe")


def test_what_is_proposed_to_ignore_is_shown_once():
    error = LeakError([Leak("thread", f"worker-{number}") for number in range(3)])
    assert str(error).endswith("ignore=['thread worker-*']")


def test_a_stack_begins_in_the_test_though_a_mock_is_between():
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    _, (leak,) = blamed(mock.Mock(side_effect=thread.start))
    over.set()
    thread.join()
    assert "in test_a_stack_begins_in_the_test" in str(leak)
    assert "_pytest" not in str(leak)


def test_there_are_names_for_all_kinds_that_are_blamed():
    kinds = {key.kind for key in inventory.take()}
    assert kinds <= {*naming.NAMING, "executor"}
