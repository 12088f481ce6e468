"""What a thing that was left behind is called, and where it was started."""

import linecache
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from re import Pattern
from typing import Any, NamedTuple

from metrics.testing.inventory import OPEN_FILES, Key, read
from metrics.testing.origins import Frame, Origin, Stack, origins

Ignored = str | Pattern[str]

RUNNERS = {"_pytest", "anyio", "pluggy", "pytest", "pytest_asyncio", "runpy", "unittest", "xdist"}
"""Packages that run tests: a stack is shown from what they call."""

STARTERS = {"asyncio", "concurrent", "multiprocessing", "selectors", "socket", "subprocess"}
"""Packages that start things for others, as `threading` does."""

TOOLS = {
    "_pytest",
    "execnet",
    "hypothesis",
    "pytest_asyncio",
    "pytest_timeout",
    "unittest",
    "xdist",
}
"""Packages that start things for themselves, and are not what is tested."""


class Leak(NamedTuple):
    """Something that was left behind."""

    kind: str
    """thread, executor thread, task, event loop, process, socket, pipe, file, descriptor,
    container or resource."""
    name: str
    """What it is called: a thread's or container's name, a command line, an address, a path."""
    detail: str = ""
    """What else is known of it."""
    stack: Stack = ()
    """Where it was started, the innermost function first; empty when that is not known."""

    def is_ignored(self, patterns: tuple[Ignored, ...]) -> bool:
        """Return whether a pattern is for this one: by its name, or by its kind and name."""
        both = f"{self.kind} {self.name}"
        return any(
            fnmatchcase(self.name, pattern) or fnmatchcase(both, pattern)
            if isinstance(pattern, str)
            else pattern.search(both)
            for pattern in patterns
        )

    def __str__(self) -> str:
        text = f"{self.kind} {self.name!r}{self.detail and f' ({self.detail})'}"
        lines = list(written(self.stack))
        return "\n".join([f"{text}, started at", *lines]) if lines else text


def written(stack: Stack) -> Iterator[str]:
    """Yield the lines of a stack, the innermost function last."""
    for _, code, line in reversed(relevant(stack)):
        yield f'    File "{code.co_filename}", line {line}, in {code.co_name}'
        if source := linecache.getline(code.co_filename, line).strip():
            yield f"      {source}"


def relevant(stack: Stack) -> Stack:
    """Return a stack without the functions that only run the test, the thread or the task."""
    run = next((depth for depth, frame in enumerate(stack) if frame.package in RUNNERS), len(stack))
    while run and stack[run - 1].package in STARTERS | {"threading"}:
        run -= 1
    return stack[:run] or stack


def is_a_tools(origin: Origin) -> bool:
    """Return whether something was started by what runs the tests, for itself."""
    for frame in origin.stack:
        if frame.package not in STARTERS | {"threading"}:
            return is_tool(frame)
    return False


def is_tool(frame: Frame) -> bool:
    """Return whether a function belongs to what runs the tests."""
    # anyio is two things: what is tested may use it, and so does its own plugin.
    runs_tests = frame.package == "anyio" and frame.code.co_qualname.startswith("TestRunner.")
    return frame.package in TOOLS or runs_tests


def named(key: Key, thing: Any) -> Leak:
    """Return what is told of something that was left behind."""
    return NAMING[key.kind](thing)


def named_thread(thread: Any) -> Leak:
    """Name a thread, or the number of one that Python has no object for."""
    if isinstance(thread, int):
        return Leak("thread", str(thread), "started without threading")
    stack = stack_of(thread)
    executor = any(frame.module.startswith("concurrent.futures") for frame in stack[:3])
    kind = "executor thread" if executor else "thread"
    return Leak(kind, thread.name, "daemon" if thread.daemon else "", stack)


def named_task(task: Any) -> Leak:
    """Name a task after its coroutine, beside its own name."""
    coroutine = getattr(task.get_coro(), "__qualname__", "")
    return Leak("task", task.get_name(), coroutine, stack_of(task))


def named_loop(loop: Any) -> Leak:
    """Name an event loop after its class."""
    running = "running" if loop.is_running() else "not closed"
    return Leak("event loop", type(loop).__name__, running, stack_of(loop))


def named_process(pid: int) -> Leak:
    """Name a process by its command line."""
    try:
        command = read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
    except OSError:
        command = ""
    return Leak("process", command or str(pid), f"pid {pid}", stack_of(process_of(pid)))


def process_of(pid: int) -> Any:
    """Return the object of a child process, if it was started while a check was active."""
    return next((each for each in list(origins) if getattr(each, "pid", None) == pid), None)


def named_container(lifecycle: Any) -> Leak:
    """Name a container, and what is up in it."""
    parts = ", ".join(part.name for part in list(lifecycle.record))
    # One that is in no container stands for itself.
    alone = [part.name for part in lifecycle.parts] == [lifecycle.name]
    kind = "resource" if alone else "container"
    return Leak(kind, lifecycle.name, f"{lifecycle.state}, with {parts}", stack_of(lifecycle))


def named_resource(resource: Any) -> Leak:
    """Name a resource of dependency-injector after its hook."""
    hook = resource.provides
    return Leak("resource", getattr(hook, "__qualname__", None) or repr(hook), "initialized")


def named_descriptor(descriptor: int) -> Leak:
    """Name an open file by its path, a socket by its addresses."""
    try:
        target = str(Path(f"{OPEN_FILES}/{descriptor}").readlink())
    except OSError:
        target = ""
    detail = f"descriptor {descriptor}"
    if target.startswith("socket:"):
        return Leak("socket", addresses(descriptor), detail, stack_of(socket_of(descriptor)))
    if target.startswith("pipe:"):
        return Leak("pipe", target, detail)
    if target.startswith("/"):
        return Leak("file", target, detail)
    return Leak("descriptor", target or str(descriptor), detail)


def socket_of(descriptor: int) -> Any:
    """Return the socket object that has a descriptor, if it was made while a check was active."""
    module: Any = sys.modules.get("socket")
    for started in list(origins) if module else ():
        if isinstance(started, module.socket) and started.fileno() == descriptor:
            return started
    return None


def addresses(descriptor: int) -> str:
    """Return where a socket is bound, and where it is connected to."""
    import socket  # noqa: PLC0415 - loaded by whoever opened the socket

    try:
        same = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return str(descriptor)
    with same:
        told = [address(same.getsockname())]
        with suppress(OSError):
            told.append(address(same.getpeername()))
    return " -> ".join(told)


def address(where: Any) -> str:
    """Return an address as it is usually written."""
    if isinstance(where, tuple):
        host, port = where[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return where or "unnamed"


def stack_of(started: Any) -> Stack:
    """Return where something was started, as far as that is known."""
    try:
        origin = origins.get(started)
    except TypeError:
        return ()  # It cannot be hashed.
    return origin.stack if origin else ()


NAMING: dict[str, Callable[[Any], Leak]] = {
    "thread": named_thread,
    "task": named_task,
    "event loop": named_loop,
    "process": named_process,
    "container": named_container,
    "resource": named_resource,
    "descriptor": named_descriptor,
}
