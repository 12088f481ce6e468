"""A program is found by the ancestors that were forked or spawned, not by the parent alone."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metrics.integrations._group import ancestry
from metrics.integrations._group.ancestry import (
    Ancestor,
    is_same_program,
    oldest_ancestor,
    program_key,
    status_of,
)
from tests.forks import forking, in_child

pytestmark = [
    *forking,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here"),
]

KEY = "from metrics.integrations._group.ancestry import program_key; print(program_key(''))"


def key() -> str:
    return program_key("")


def child_key() -> str:
    return in_child(key)


def test_a_forked_process_and_its_own_children_have_the_key_of_their_parent():
    assert in_child(key) == key()
    assert in_child(child_key) == key()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_has_the_key_of_its_parent(method):
    with multiprocessing.get_context(method).Pool(1) as pool:
        assert pool.apply(key) == key()


def test_programs_that_one_process_executes_differ():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    keys = [
        subprocess.run(
            [sys.executable, "-c", KEY], capture_output=True, check=True, text=True, env=environment
        ).stdout
        for _ in range(2)
    ]
    assert len({*keys, f"{key()}\n"}) == 3


def test_names_and_groups_distinguish():
    keys = {program_key("a"), program_key("b"), program_key("a", "x"), program_key("a", "y")}
    assert len(keys) == 4
    assert program_key("a", "x") == program_key("a", "x")


def test_the_process_of_the_test_is_below_its_oldest_ancestor():
    root = oldest_ancestor(os.getpid())
    assert status_of(root.pid) is not None
    assert root.started <= status_of(os.getpid())[1]


def test_the_id_of_another_process_is_no_ancestor():
    assert not is_same_program(os.getpid(), 1) or os.getpid() == 1


def test_without_proc_the_importing_process_is_the_ancestor(monkeypatch, tmp_path):
    monkeypatch.setattr(ancestry, "PROC", tmp_path)
    assert oldest_ancestor(os.getpid()) == Ancestor(ancestry.FIRST_PID, 0)
    assert in_child(oldest_ancestor, 7) == Ancestor(ancestry.FIRST_PID, 0)


def test_equal_command_lines_decide_where_a_process_of_another_user_is_the_parent(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(ancestry, "PROC", tmp_path)
    for pid, command in ((1, b"sh"), (2, b"gunicorn\0app"), (3, b"gunicorn\0app")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "cmdline").write_bytes(command)
        stat = f"{pid} (a ) b) S {pid - 1} {'0 ' * 17}{100 + pid} 0".encode()
        (tmp_path / str(pid) / "stat").write_bytes(stat)
    assert oldest_ancestor(3) == Ancestor(2, 102)
