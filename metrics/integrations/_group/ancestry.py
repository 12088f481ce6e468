"""Identity of a program: the oldest ancestor from which its processes were forked.

The workers of gunicorn and Celery are forked and execute no other program, while uvicorn's are
spawned by multiprocessing. The id of the parent alone would separate a worker's own children from
the worker, and would join programs that one shell has started.
"""

import os
from hashlib import sha256
from multiprocessing import parent_process
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")

FIRST_PID = os.getpid()
"""Id of the process that imported this module; forked processes inherit it."""

MOST_ANCESTORS = 64
"""Ancestors that are examined at most: a process may take the id of one that ends meanwhile."""

SPAWNED = (b"--multiprocessing-fork", b"from multiprocessing.forkserver import")
"""Beginnings of arguments of the interpreters that multiprocessing starts."""


class Ancestor(NamedTuple):
    """A process, which its start distinguishes from later processes of the same id."""

    pid: int
    started: int


def program_key(name: str, group: str | None = None) -> str:
    """Return the key of the group of this process: 16 hexadecimal digits.

    Args:
        name: distinguishes several groups of one program.
        group: the identity of the program; None for its oldest ancestor.
    """
    if group is None:
        root = oldest_ancestor(os.getpid())
        identity = f"{process_namespace()} {root.pid} {root.started}"
    else:
        identity = f"group {group}"
    return sha256(f"{identity}\n{name}".encode()).hexdigest()[:16]


def oldest_ancestor(pid: int) -> Ancestor:
    """Return the oldest process from which a process was forked or spawned by multiprocessing.

    Without /proc, as on macOS: the parent that multiprocessing knows, or the process that imported
    this module before the fork.
    """
    status = status_of(pid)
    if status is None:
        parent = parent_process()
        return Ancestor(FIRST_PID if parent is None or parent.pid is None else parent.pid, 0)
    parent_pid, started = status
    root = Ancestor(pid, started)
    for _ in range(MOST_ANCESTORS):
        parent_status = status_of(parent_pid)
        if parent_status is None or not is_same_program(root.pid, parent_pid):
            break
        root = Ancestor(parent_pid, parent_status[1])
        parent_pid = parent_status[0]
    return root


def status_of(pid: int) -> tuple[int, int] | None:
    """Return the id of a process' parent, and its start in ticks since the boot; None if unknown.

    The fields 4 and 22 of proc_pid_stat(5). The name before them may have spaces and parentheses.
    """
    try:
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return int(fields[1]), int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def is_same_program(pid: int, parent_pid: int) -> bool:
    """Return whether a process was forked from its parent, or spawned by multiprocessing there.

    Each execution of a program gets random addresses in its auxiliary vector, which a forked
    process shares with its parent. The vector of another user's process cannot be read; then equal
    command lines decide.
    """
    own, parent = (bytes_of(each, "auxv") for each in (pid, parent_pid))
    command = bytes_of(pid, "cmdline")
    if own and parent:
        if own == parent:
            return True
    elif command and command == bytes_of(parent_pid, "cmdline"):
        return True
    return any(argument.startswith(SPAWNED) for argument in command.split(b"\0"))


def bytes_of(pid: int, name: str) -> bytes:
    """Return a file of a process; empty if it cannot be read."""
    try:
        return (PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""


def process_namespace() -> str:
    """Return the namespace of process ids, which differs between containers; empty if unknown."""
    try:
        return (PROC / "self" / "ns" / "pid").readlink().name
    except OSError:
        return ""
