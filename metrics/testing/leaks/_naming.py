"""Names of leaks, and the stacks that started them."""

import gc
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from fnmatch import fnmatchcase
from inspect import isasyncgen
from pathlib import Path
from re import Pattern
from textwrap import indent
from typing import Any, NamedTuple

from metrics.testing.leaks._allowances import Ignored, is_in, location_of
from metrics.testing.leaks._dropped import Dropped
from metrics.testing.leaks._inventory import (
    Key,
    executors,
    known_processes,
    process_of,
    read,
    tasks_of,
)
from metrics.testing.leaks._origins import (
    DEPTH,
    Frame,
    Origin,
    Stack,
    living,
    origin_of,
    stack_from,
    target_of,
)
from metrics.testing.leaks._owners import descriptors_of_process, members_of_executor
from metrics.testing.leaks._places import (
    Place,
    current_places,
    is_tools_stack,
    places,
    position_of,
)

# One that stands for itself: not of an address or a version, and not of a word.
NUMBER = re.compile(r"(?<![A-Za-z\d.])(?<!::)\d+(?![A-Za-z\d.])")

BLOCKED = "blocked event loop"
"""Kind of a callback that held its event loop for too long."""

FOR_POOL = "for the pool"
"""Beginning of the line about the pool of a thread or process."""

ITERATIONS = {"async_generator_asend", "async_generator_athrow"}
"""Types of the steps of an async generator, which Python does not name."""

REMEDIES = {
    "override": "call the provider's reset_override(), or override with metrics.testing.overridden",
    "wiring": "call the container's unwire()",
}
"""Remedies for leaks that were not started, and cannot be closed."""

VERBS = {BLOCKED: "held", "override": "made", "wiring": "made"}
"""Past participles for the lines of leaks that were not started."""

DEFAULT_NAME = re.compile(r"(?:Thread|Task|Process|Dummy)-\d+.*")
"""Names that Python makes when a program has none for a thread, task or process."""


class LeakWarning(UserWarning):
    """Warning of pytest about a leak, in the mode "warn" of the leak check."""


class Leak(NamedTuple):
    """Leak: an object that was left behind, by its kind, name and stack."""

    kind: str
    """thread, executor thread, task, event loop, process, socket, pipe, file, descriptor,
    container, resource, override, wiring or blocked event loop."""
    name: str
    """Name of the thread, container, overridden provider or wired module, the command line, the
    address or the path."""
    detail: str = ""
    """Further facts, such as the state of a container."""
    stack: tuple[Place, ...] = ()
    """Stack that started it, the innermost function first, without functions that only pass a call
    on; empty when it is not known."""
    now: tuple[Place, ...] = ()
    """Stack of a thread or task when it was found, shortened in the same way; empty when it is not
    known, and for all other kinds."""
    context: tuple[str, ...] = ()
    """Further lines about the start: the enclosing threads, the nearest first, at most three; and
    the line that created the pool of a thread or process."""
    descriptor: int = -1
    """Number of the open file; -1 for all other kinds."""

    @property
    def pattern(self) -> str:
        """Pattern that allows this leak in every run: numbers differ from one to the next."""
        if self.name.startswith(f"{self.kind}:[") or self.name.startswith("anon_inode:"):
            return self.kind if self.kind == "pipe" else f"{self.kind} {self.name}"
        return f"{self.kind} {NUMBER.sub('*', self.name)}"

    @property
    def place(self) -> str:
        """Line of the tested code, or of the test, that started it; empty if it is not known."""
        return position_of(self.stack)

    @property
    def remedy(self) -> str:
        """Remedy that an error proposes."""
        return REMEDIES.get(self.kind, "stop or close what was started")

    @property
    def allowance(self) -> str:
        """Pattern that an error proposes: by location, where the name says nothing."""
        if DEFAULT_NAME.fullmatch(self.name) and self.stack:
            return f"{self.kind} @ {'/'.join(Path(self.stack[0].file).parts[-2:])}"
        return self.pattern

    def is_ignored(self, pattern: Ignored, stack: Stack = ()) -> bool:
        """Return whether a pattern is for this one: by name, kind, kind and name, or location.

        Args:
            pattern: the pattern; see `no_leaks`.
            stack: the whole stack that started the object.
        """
        if isinstance(pattern, Pattern):
            return pattern.search(f"{self.kind} {self.name}") is not None
        if located := location_of(pattern):
            what, location = located
            return (not what or self.is_ignored(what)) and any(
                is_in(frame, location) for frame in stack
            )
        # The last one is as the error has it.
        texts = self.kind, self.name, f"{self.kind} {self.name}", f"{self.kind} {self.name!r}"
        # An address like [::1]:80 would be a set of characters.
        written = pattern.replace("[", "[[]")
        return any(fnmatchcase(text, each) for text in texts for each in (pattern, written))

    def __str__(self) -> str:
        text = f"{self.kind} {self.name!r}{self.detail and f' ({self.detail})'}"
        if self.stack:
            text = f"{text}, {VERBS.get(self.kind, 'started')} at\n{traceback_lines(self.stack)}"
        text = "\n    ".join((text, *self.context))
        if self.now:
            link = "\n  now at" if "\n" in text else ", now at"
            text = f"{text}{link}\n{traceback_lines(self.now)}"
        return text


def traceback_lines(stack: Iterable[Place]) -> str:
    """Return the lines of a stack as a traceback has them, the outermost function first."""
    return indent("\n".join(map(str, reversed(tuple(stack)))), " " * 4)


def leak_of(key: Key, obj: Any) -> Leak:
    """Return the leak of an object that was left behind."""
    return NAMING[key.kind](obj)


def with_context(leak: Leak, key: Key, obj: Any, origin: Origin | None) -> Leak:
    """Return a leak with its present stack and the circumstances of its start.

    This takes five times as long as the leak's name, and a check compares names several times.
    """
    frames: Stack = ()
    context = thread_lines(origin)
    if key.kind == "task":
        frames = coroutine_stack(obj.get_coro())
    elif key.kind == "thread":
        frames = stack_of_thread(obj if isinstance(obj, int) else obj.ident)
    if key.kind in {"thread", "process"}:
        context += pool_of(key)
    return leak._replace(now=tuple(current_places(frames)), context=context)


def thread_leak(thread: Any) -> Leak:
    """Name a thread, or the number of one that Python has no object for."""
    if isinstance(thread, int) and thread < 0:
        return Leak("thread", "without a frame", "started by _thread, runs no Python code")
    if isinstance(thread, int):
        return Leak("thread", str(thread), "started without threading")
    origin = origin_of(thread)
    frames = origin.stack[:3] if origin else ()
    executor = any(frame.module.startswith("concurrent.futures") for frame in frames)
    kind = "executor thread" if executor else "thread"
    return Leak(kind, thread.name, "daemon" if thread.daemon else "", stack_of(thread))


def task_leak(task: Any) -> Leak:
    """Name a task after its coroutine, beside its own name."""
    coroutine = getattr(task.get_coro(), "__qualname__", "")
    return Leak("task", task.get_name(), coroutine, stack_of(task))


def loop_leak(loop: Any) -> Leak:
    """Name an event loop after its class."""
    detail = "running" if loop.is_running() else "not closed"
    # A task of a running loop may end at any time; the others wait for ever.
    pending = [] if loop.is_running() else sorted(task.get_name() for task in tasks_of(loop))
    if pending:
        detail = f"{detail}, pending tasks: {', '.join(map(repr, pending))}"
    kind = type(loop)
    known = kind.__module__.startswith("asyncio.")
    name = kind.__qualname__ if known else f"{kind.__module__}.{kind.__qualname__}"
    return Leak("event loop", name, detail, stack_of(loop))


def process_leak(pid: int) -> Leak:
    """Name a process of multiprocessing by its own name, any other by its command line."""
    process = process_of(pid)
    stack = stack_of(process)
    if is_of_multiprocessing(process):
        return Leak("process", process.name, f"pid {pid}", stack)
    try:
        command = read(f"/proc/{pid}/cmdline").replace("\0", " ").strip()
        forked = command == read("/proc/self/cmdline").replace("\0", " ").strip()
    except OSError:
        command, forked = command_line(getattr(process, "args", "")), False
    detail = f"pid {pid}, a fork of this one" if forked else f"pid {pid}"
    return Leak("process", command or str(pid), detail, stack)


def command_line(arguments: Any) -> str:
    """Return the arguments of a command as a command line."""
    if isinstance(arguments, str | bytes | os.PathLike) or not isinstance(arguments, Iterable):
        return os.fsdecode(arguments)
    return " ".join(map(os.fsdecode, arguments))


def container_leak(use: Any) -> Leak:
    """Name a container and its resources in use, or a single resource outside any container."""
    lifecycle, stack = use.lifecycle, stack_of(use.lifecycle)
    names = ", ".join(use.resources)
    if isinstance(use, Dropped):
        detail = f"garbage collected while running, with {names}"
        return Leak("container", lifecycle.name, detail, stack)
    kind = "resource" if use.alone else "container"
    return Leak(kind, use.name, f"{use.state}, with {names}", stack)


def resource_leak(resource: Any) -> Leak:
    """Name a resource of dependency-injector after its hook."""
    hook = resource.provides
    return Leak("resource", getattr(hook, "__qualname__", None) or repr(hook), "initialized")


def descriptor_leak(descriptor: int) -> Leak:
    """Name an open file by its path, a socket by its addresses."""
    mode = mode_of(descriptor)
    target = target_of(descriptor)
    holder = holder_of(descriptor)
    if hasattr(holder, "getsockname"):
        kind, name = "socket", addresses(holder)
    elif stat.S_ISSOCK(mode):
        kind, name = "socket", addresses_of(descriptor)
    elif stat.S_ISFIFO(mode):
        kind, name = "pipe", target or str(descriptor)
    elif target.startswith("/"):
        kind, name = "file", target
    else:
        kind, name = "descriptor", target or str(descriptor)
    return Leak(
        kind,
        name,
        f"descriptor {descriptor}{process_advice(holder)}",
        stack_of(holder),
        descriptor=descriptor,
    )


def process_advice(holder: Any) -> str:
    """Return how to close a descriptor that leads to an ended process; empty for any other."""
    if is_of_multiprocessing(holder):
        return f" of the ended process {holder.name!r}: close() the Process"
    if hasattr(holder, "args"):
        command = command_line(holder.args)
        return f" of the ended process {command!r}: close its pipes, or use Popen in a with block"
    return ""


def is_of_multiprocessing(process: Any) -> bool:
    """Return whether a process is one of multiprocessing, which has a name."""
    # The value of the property would reap the process.
    return hasattr(type(process), "exitcode")


def mode_of(descriptor: int) -> int:
    """Return the mode of an open file; 0 if the descriptor is closed."""
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
    """Return the local and the remote address of a socket."""
    known = []
    for ask in (socket.getsockname, socket.getpeername):
        with suppress(OSError):
            known.append(address(ask()))
    return " -> ".join(known) or "unnamed"


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


def override_leak(override: Any) -> Leak:
    """Name an override after the provider."""
    return Leak("override", override.name, override.by, tuple(places(override.origin.stack)))


def wiring_leak(wiring: Any) -> Leak:
    """Name a wiring after the module, package or class."""
    return Leak("wiring", wiring.name, wiring.to, tuple(places(wiring.origin.stack)))


def thread_lines(origin: Origin | None) -> tuple[str, ...]:
    """Return a line for each thread in which an object was started, the nearest first."""
    lines = []
    for name, stack in origin.threads if origin else ():
        if is_tools_stack(stack):
            break
        lines.append(f"in thread {name!r}, started at {position_of(places(stack))}")
    return tuple(lines)


def pool_of(key: Key) -> tuple[str, ...]:
    """Return a line for the executor that a thread or process works for."""
    for executor in executors():
        if key in members_of_executor(executor):
            position = position_of(stack_of(executor))
            created = f" created at {position}" if position else f", a {type(executor).__name__}"
            return (f"{FOR_POOL}{created}",)
    return ()


def stack_of_thread(ident: int | None) -> Stack:
    """Return the present stack of a thread; empty if it has no frame."""
    return stack_from(sys._current_frames().get(ident or 0))


def coroutine_stack(coroutine: Any) -> Stack:
    """Return the frames of a suspended coroutine and of all that it awaits, the innermost first."""
    stack: list[Frame] = []
    while coroutine is not None and len(stack) < DEPTH:
        frame = first_of(coroutine, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None:
            # The callers of a coroutine that runs at this moment are none of its own.
            stack += stack_from(frame)[:1]
        coroutine = first_of(coroutine, "cr_await", "gi_yieldfrom", "ag_await")
        if type(coroutine).__name__ in ITERATIONS:
            # A step of an async generator exposes its generator to the garbage collector alone.
            generators = (each for each in gc.get_referents(coroutine) if isasyncgen(each))
            coroutine = next(generators, None)
    return tuple(reversed(stack))


def first_of(obj: Any, *names: str) -> Any:
    """Return the first of these attributes that an object has, and that is not None."""
    values = (getattr(obj, name, None) for name in names)
    return next((value for value in values if value is not None), None)


def stack_of(started: Any) -> tuple[Place, ...]:
    """Return the stack that started an object, as far as it is known."""
    origin = origin_of(started)
    return tuple(places(origin.stack)) if origin else ()


NAMING: dict[str, Callable[[Any], Leak]] = {
    "thread": thread_leak,
    "task": task_leak,
    "event loop": loop_leak,
    "process": process_leak,
    "container": container_leak,
    "resource": resource_leak,
    "descriptor": descriptor_leak,
    "override": override_leak,
    "wiring": wiring_leak,
}
