"""What a thing that was left behind is called, and where it was started."""

import linecache
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from re import Pattern
from typing import Any, NamedTuple

from metrics.testing.inventory import OPEN_FILES, Key, known_processes, process_of, read
from metrics.testing.origins import Frame, Origin, Stack, living, origin_of
from metrics.testing.owners import descriptors_of_process

Ignored = str | Pattern[str]

RUNNERS = {"_pytest", "pluggy", "pytest", "pytest_asyncio", "runpy", "unittest", "xdist"}
"""Packages that run tests: a stack is shown from what they call."""

STARTERS = {"asyncio", "concurrent", "multiprocessing", "selectors", "socket", "subprocess"}
"""Packages that start things for others, as `threading` does."""

TOOLS = {
    "_pydev_bundle",
    "_pydevd_bundle",
    "_pytest",
    "coverage",
    "debugpy",
    "execnet",
    "hypothesis",
    "pydevd",
    "pytest_asyncio",
    "pytest_cov",
    "pytest_rerunfailures",
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
            # As it is written as well: an address like [::1]:80 would be a set of characters.
            any(pattern == text or fnmatchcase(text, pattern) for text in (self.name, both))
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
    runners = (depth for depth, frame in enumerate(stack) if runs_tests(frame, RUNNERS))
    run = next(runners, len(stack))
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
    return runs_tests(frame, TOOLS)


def runs_tests(frame: Frame, packages: set[str]) -> bool:
    """Return whether a function is one of these packages' that runs tests, not of their rest."""
    # What is tested may use anyio, and tests use unittest.mock.
    if frame.package == "anyio":
        return frame.code.co_qualname.startswith("TestRunner.")
    return frame.package in packages and frame.module != "unittest.mock"


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
    """Name a process of multiprocessing by its own name, any other by its command line."""
    process = process_of(pid)
    stack = stack_of(process)
    if hasattr(process, "exitcode"):
        return Leak("process", process.name, f"pid {pid}", stack)
    try:
        command = read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
        forked = command == read("/proc/self/cmdline").replace("\0", " ").strip()
    except OSError:
        command, forked = written_out(getattr(process, "args", "")), False
    detail = f"pid {pid}, a fork of this one" if forked else f"pid {pid}"
    return Leak("process", command or str(pid), detail, stack)


def written_out(arguments: Any) -> str:
    """Return the arguments of a command as a command line."""
    if isinstance(arguments, str | bytes | os.PathLike) or not isinstance(arguments, Iterable):
        return os.fsdecode(arguments)
    return " ".join(map(os.fsdecode, arguments))


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
    mode = mode_of(descriptor)
    try:
        target = str(Path(f"{OPEN_FILES}/{descriptor}").readlink())
    except OSError:
        target = ""  # It is closed by now, or the system does not tell.
    holder = holder_of(descriptor)
    detail, stack = f"descriptor {descriptor}", stack_of(holder)
    if hasattr(holder, "getsockname"):
        return Leak("socket", addresses(holder), detail, stack)
    if stat.S_ISSOCK(mode):
        return Leak("socket", addresses_of(descriptor), detail, stack)
    if stat.S_ISFIFO(mode):
        return Leak("pipe", target or str(descriptor), detail, stack)
    if target.startswith("/"):
        return Leak("file", target, detail, stack)
    return Leak("descriptor", target or str(descriptor), detail, stack)


def mode_of(descriptor: int) -> int:
    """Return what kind of file is open; 0 when none is."""
    try:
        return os.fstat(descriptor).st_mode
    except OSError:
        return 0


def holder_of(descriptor: int) -> Any:
    """Return the socket that has a descriptor, or the process that it leads to."""
    for started in living("socket"):
        if started.fileno() == descriptor:
            return started
    processes = known_processes()
    return next((each for each in processes if descriptor in descriptors_of_process(each)), None)


def addresses_of(descriptor: int) -> str:
    """Return the addresses of a socket that Python has no object for."""
    import socket  # noqa: PLC0415 - most leaks are none

    try:
        same = socket.socket(fileno=os.dup(descriptor))
    except OSError:
        return str(descriptor)
    with same:
        return addresses(same)


def addresses(socket: Any) -> str:
    """Return where a socket is bound, and where it is connected to."""
    told = []
    for ask in (socket.getsockname, socket.getpeername):
        with suppress(OSError):
            told.append(address(ask()))
    return " -> ".join(told) or "unnamed"


def address(where: Any) -> str:
    """Return an address as it is usually written."""
    match where:
        case (str(host), int(port), *_):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case bytes():
            # An abstract one of Linux, which begins with a zero.
            return where.replace(b"\0", b"@").decode("utf-8", "replace")
        case str():
            return where or "unnamed"
    return repr(where)


def stack_of(started: Any) -> Stack:
    """Return where something was started, as far as that is known."""
    origin = origin_of(started)
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
