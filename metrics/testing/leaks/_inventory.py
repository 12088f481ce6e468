"""Inventory of running and open objects, which a check compares before and after."""

import _thread
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from metrics.testing.leaks import _origins as origins
from metrics.testing.leaks import _overrides as overrides
from metrics.testing.leaks._dropped import dropped

STANDARD_STREAMS = 3
"""Descriptors below this one are redirected by tools that capture output."""

OPEN_FILES = next((path for path in ("/proc/self/fd", "/dev/fd") if Path(path).is_dir()), "")
TASKS = "/proc/self/task"

HIDDEN = "without a frame"
"""First part of the identity of a thread that runs no Python code."""

File = tuple[int, int]
"""Identity of a file: its device and inode."""

RESOURCES = "_leakcheck_resources"
"""Attribute of a container with the result of its latest search. Providers may refer to their
container, which a cache outside would keep alive, even one of weak keys."""


class Key(NamedTuple):
    """Key of an object that can be left behind: its kind and identity."""

    kind: str
    identity: object


Inventory = dict[Key, Any]
"""Objects by their keys; it keeps them, so that no other can take a key while it is in use."""

# The standard streams and descriptors of the last listing, their files, and the inventory of them.
_listed: tuple[list[int], list[int], list[File], Inventory] = [], [], [], {}


def take(*, descriptors: bool = True) -> Inventory:  # noqa: C901 - a line for each kind
    """Return the present inventory.

    Args:
        descriptors: whether to count files, sockets, overrides and wirings, for which only a
            comparison can blame a program.
    """
    origins.follow()
    found: Inventory = {}
    for which, thread in threads():
        found[Key("thread", which)] = thread
    for executor in executors():
        found[Key("executor", id(executor))] = executor
    for loop in open_loops():
        found[Key("event loop", id(loop))] = loop
        for task in tasks_of(loop):
            found[Key("task", id(task))] = task
    for pid in children():
        found[Key("process", pid)] = pid
    for which, container in running_containers():
        found[Key("container", which)] = container
    for resource in initialized_resources():
        found[Key("resource", id(resource))] = resource
    if descriptors:
        found |= open_descriptors()
        for override in overrides.overrides(origins.containers):
            found[Key("override", override.pair)] = override
        for identity, wiring in overrides.wirings().items():
            found[Key("wiring", identity)] = wiring
    return found


def threads() -> Iterator[tuple[object, Any]]:
    """Yield every thread but the main one and this one; one that Python has no object for too."""
    # Of threads that Python has not started it may keep an object when they have long ended.
    running = sys._current_frames()
    here = threading.get_ident()
    main = threading.main_thread()
    started = _thread._count()
    for thread in threading.enumerate():
        ident = thread.ident
        if isinstance(thread, threading._DummyThread):
            # Known by its number, because it may be given its object at any time.
            if ident in running and ident != here:
                yield ("without an object", ident), thread
        elif thread is not main and ident != here:
            yield id(thread), thread
        if thread is not main and (
            ident in running or not isinstance(thread, threading._DummyThread)
        ):
            started -= 1
        if ident is not None:
            running.pop(ident, None)
    for ident in running:
        started -= 1
        if ident != here:
            yield ("without an object", ident), ident
    yield from hidden_threads(started)


def hidden_threads(count: int) -> Iterator[tuple[object, Any]]:
    """Yield threads of `_thread` that run no Python code, which nothing but a number shows.

    Args:
        count: the threads that Python has started, less the ones that are listed.
    """
    if count > 0:
        # A child process inherits the number of its parent, and not the threads.
        count = min(count, native_threads() - 1)
    for number in range(count):
        yield (HIDDEN, number), -1 - number


def executors() -> list[Any]:
    """Return the executors; they are not blamed, but answer for threads that they start later."""
    return origins.living("ThreadPoolExecutor") + origins.living("ProcessPoolExecutor")


def open_loops() -> Iterator[Any]:
    """Yield the event loops that are not closed, as far as they are known."""
    running = origins.running_loop()
    if running is not None:
        origins.loops.setdefault(id(running), running)
    for loop in list(origins.loops.values()):
        if loop.is_closed():
            origins.drop(loop)
        else:
            yield loop


def tasks_of(loop: Any) -> Iterable[Any]:
    """Return the tasks of an event loop, without the calling one."""
    tasks = sys.modules["asyncio.tasks"]
    found: set[Any] = tasks.all_tasks(loop)
    found.discard(tasks.current_task(loop))
    return found


def children() -> set[int]:
    """Return the process ids of children that have not ended."""
    listed = listed_children()
    # Processes of a fork server are no children of this process.
    unlisted = (each for each in known_processes() if listed is None or is_forked_by_server(each))
    return {*(listed or ()), *(process.pid for process in unlisted if runs(process))}


def listed_children() -> list[int] | None:
    """Return the process ids of children as the system lists them; None where it does not."""
    if not hasattr(os, "waitid"):
        return None
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return []
    while True:
        try:
            listed = [read(f"{TASKS}/{task}/children") for task in os.listdir(TASKS)]  # noqa: PTH208 - it is run after every test
        except (FileNotFoundError, ProcessLookupError):
            if not Path(f"{TASKS}/{os.getpid()}/children").exists():
                return None
            continue  # A thread has ended meanwhile, and another one has got its children.
        return [pid for pids in listed for pid in map(int, pids.split()) if not has_ended(pid)]


def is_single_threaded() -> bool:
    """Return whether there is no thread but this one, not even one that Python does not know."""
    return native_threads() == 1


def native_threads() -> int:
    """Return the number of the process' threads, large where the system does not list them."""
    try:
        # The links of a folder: one each of its folders, its own, and the one of its parent. To
        # list them takes ten times as long.
        links = os.stat(TASKS).st_nlink  # noqa: PTH116 - is faster
        return links - 2 if links > 2 else len(os.listdir(TASKS))  # noqa: PLR2004, PTH208 - as above
    except OSError:
        return sys.maxsize


def known_processes() -> list[Any]:
    """Return the processes that Python has started during the check and has not closed."""
    # Of multiprocessing's, one that is closed raises ValueError instead of its number.
    started = [each for each in origins.living("BaseProcess") if not each._closed]
    return [each for each in origins.living("Popen") + started if each.pid is not None]


def process_of(pid: int) -> Any:
    """Return the object of a process, if it was started while a check was active."""
    return next((each for each in known_processes() if each.pid == pid), None)


def is_forked_by_server(process: Any) -> bool:
    """Return whether a process was started by multiprocessing's fork server."""
    return getattr(getattr(process, "_popen", None), "method", "") == "forkserver"


def runs(process: Any) -> bool:
    """Return whether a process has not ended, and leave its status to its waiting caller."""
    if is_forked_by_server(process):
        from multiprocessing.connection import wait  # noqa: PLC0415 - loaded by the code that started it

        # Its status may have been read, and the pipe not be closed yet.
        return process._popen.returncode is None and not wait([process.sentinel], 0)
    if hasattr(os, "waitid"):
        try:
            flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
            return os.waitid(os.P_PID, process.pid, flags) is None
        except ChildProcessError:
            return False
    if not hasattr(process, "poll"):
        return process.exitcode is None
    origin = origins.origin_of(process)
    # asyncio waits for its children by itself, and would not find one that was polled here.
    if origin and any(frame.module.startswith("asyncio.unix") for frame in origin.stack):
        return process.returncode is None
    return process.poll() is None


def has_ended(pid: int) -> bool:
    """Return whether a process is a zombie, or gone."""
    try:
        return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def read(path: str) -> str:
    """Return the text of a small file of the system."""
    return Path(path).read_text("utf-8", "replace")


def lifecycle() -> Any:
    """Return the face of `metrics.lifecycle`; None if the program has not loaded that."""
    if "metrics.lifecycle" not in sys.modules:
        return None
    from metrics.lifecycle import _testing  # noqa: PLC0415 - it would load dependency-injector

    return _testing


def running_containers() -> Iterator[tuple[int, Any]]:
    """Yield the containers with resources in use, and the dropped ones that had some."""
    face = lifecycle()
    for use in face.resources_in_use() if face else ():
        yield id(use.lifecycle), use
    yield from list(dropped.items())


def initialized_resources() -> Iterator[Any]:
    """Yield the running resources of dependency-injector's own, in the known containers."""
    for container in origins.containers():
        for resource in resources_of(container):
            if resource.initialized:
                yield resource


def resources_of(container: Any) -> Iterable[Any]:
    """Return dependency-injector's own resources that a container declares or depends on."""
    face = lifecycle()
    stock: list[Any] | None = face.stock_resources(container) if face else None
    if stock is not None:
        return stock
    declared = [(each, each.last_overriding) for each in container.providers.values()]
    attributes = vars(container)
    known: tuple[list[Any], list[Any]] | None = attributes.get(RESOURCES)
    # To search a container takes a millisecond, and it hardly ever changes.
    if known is None or known[0] != declared:
        resource = sys.modules["dependency_injector.providers"].Resource
        resources = [each for each in container.traverse([resource]) if not hasattr(each, "record")]
        known = attributes[RESOURCES] = declared, resources
    return known[1]


def open_descriptors() -> Inventory:
    """Return the open descriptors; only sockets where the system does not list them."""
    global _listed  # noqa: PLW0603 - the descriptors are of the whole process, too
    if not OPEN_FILES:
        open_sockets = (each for each in origins.living("socket") if each.fileno() >= 0)
        return inventory_of((each.fileno(), (0, id(each))) for each in open_sockets)
    streams, numbers, files, found = _listed
    # The same number of descriptors, with all of the earlier ones open, are the same descriptors:
    # a count takes a fifth of the time of a listing.
    if counts_descriptors() and os.stat(OPEN_FILES).st_size == len(streams) + len(numbers):  # noqa: PTH116 - is faster
        with suppress(OSError):
            for stream in streams:
                os.get_inheritable(stream)  # Raises OSError if it is closed.
            if files == [(file.st_dev, file.st_ino) for file in map(os.fstat, numbers)]:
                return found
    streams, listed = [], {}
    for number in map(int, os.listdir(OPEN_FILES)):  # noqa: PTH208 - as above
        # One of them was open to list the others.
        with suppress(OSError):
            file = os.fstat(number)
            if number < STANDARD_STREAMS:
                streams.append(number)
            else:
                listed[number] = file.st_dev, file.st_ino
    found = inventory_of(listed.items())
    _listed = streams, [*listed], [*listed.values()], found
    return found


def inventory_of(descriptors: Iterable[tuple[int, File]]) -> Inventory:
    """Return an inventory of descriptors, each with its file."""
    return {Key("descriptor", each): each[0] for each in descriptors}


@cache
def counts_descriptors() -> bool:
    """Return whether the size of their folder is the number of descriptors: Linux since 6.2."""
    before = os.stat(OPEN_FILES).st_size  # noqa: PTH116 - as above
    another = os.open(os.devnull, os.O_RDONLY)
    try:
        return os.stat(OPEN_FILES).st_size == before + 1  # noqa: PTH116 - as above
    finally:
        os.close(another)
