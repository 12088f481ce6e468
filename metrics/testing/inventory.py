"""What runs and what is open at this moment, as a check compares it before and after."""

import os
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from metrics.testing import origins

STANDARD_STREAMS = 3
"""Descriptors below this one are redirected by whoever captures output."""

OPEN_FILES = next((path for path in ("/proc/self/fd", "/dev/fd") if Path(path).is_dir()), "")
TASKS = "/proc/self/task"


_resources: WeakKeyDictionary[Any, tuple[list[Any], list[Any]]] = WeakKeyDictionary()


class Key(NamedTuple):
    """One thing that can be left behind: what kind it is, and which."""

    kind: str
    identity: object


Inventory = dict[Key, Any]
"""The things by their keys; it keeps them, so that no other can take a key while it is in use."""


def take(*, descriptors: bool = True) -> Inventory:
    """Return what there is now.

    Args:
        descriptors: whether to count files and sockets, which nothing but a comparison can blame.
    """
    origins.follow()
    found: Inventory = {}
    for which, thread in threads():
        found[Key("thread", which)] = thread
    for loop in open_loops():
        found[Key("event loop", id(loop))] = loop
        for task in tasks_of(loop):
            found[Key("task", id(task))] = task
    for pid in children():
        found[Key("process", pid)] = pid
    for lifecycle in running_containers():
        found[Key("container", id(lifecycle))] = lifecycle
    for resource in initialized_resources():
        found[Key("resource", id(resource))] = resource
    if descriptors:
        for descriptor, node in open_descriptors():
            found[Key("descriptor", (descriptor, node))] = descriptor
    return found


def threads() -> Iterator[tuple[object, Any]]:
    """Yield every thread but the main one and this one; one that Python has no object for too."""
    # Of threads that Python has not started it may keep an object when they have long ended.
    running = sys._current_frames()
    here = threading.get_ident()
    main = threading.main_thread()
    for thread in threading.enumerate():
        ident = thread.ident
        foreign = isinstance(thread, threading._DummyThread)
        if thread is not main and ident != here and not (foreign and ident not in running):
            yield id(thread), thread
        if ident is not None:
            running.pop(ident, None)
    for ident in running:
        if ident != here:
            yield ("without an object", ident), ident


def open_loops() -> Iterator[Any]:
    """Yield the event loops that are not closed, as far as they are known."""
    asyncio = sys.modules.get("asyncio.events")
    running = asyncio._get_running_loop() if asyncio else None
    if running is not None:
        origins.loops.setdefault(id(running), running)
    for key, loop in list(origins.loops.items()):
        if loop.is_closed():
            origins.loops.pop(key, None)
        else:
            yield loop


def tasks_of(loop: Any) -> Iterable[Any]:
    """Return what runs in an event loop, but not what calls this."""
    tasks = sys.modules["asyncio.tasks"]
    found: set[Any] = tasks.all_tasks(loop)
    found.discard(tasks.current_task(loop))
    return found


def children() -> Iterable[int]:
    """Return the process ids of children that have not ended."""
    if not hasattr(os, "waitid"):
        return known_children()
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return ()
    try:
        listed = [read(f"{TASKS}/{task}/children") for task in os.listdir(TASKS)]  # noqa: PTH208 - it is run after every test
    except FileNotFoundError:
        return known_children()
    return [pid for pids in listed for pid in map(int, pids.split()) if not has_ended(pid)]


def known_children() -> Iterator[int]:
    """Yield the process ids of children that Python has started during the check and that run."""
    for started in list(origins.origins):
        pid = getattr(started, "pid", None)
        # The one is subprocess', the other multiprocessing's.
        ended = getattr(started, "poll", None) or getattr(started, "exitcode", None)
        if isinstance(pid, int) and (ended() if callable(ended) else ended) is None:
            yield pid


def has_ended(pid: int) -> bool:
    """Return whether a process is a zombie, or gone."""
    try:
        return read(f"/proc/{pid}/stat").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def read(path: str) -> str:
    """Return what a small file of the system says."""
    return Path(path).read_text("utf-8", "replace")


def running_containers() -> Iterator[Any]:
    """Yield what starts and stops parts, where parts are up."""
    module = sys.modules.get("metrics.lifecycle.lifecycle")
    for lifecycle in list(module.living) if module else ():
        # What has failed to stop has told so, and what of it hangs is a thread.
        if any(part.state != "FAILED" for part in list(lifecycle.record)):
            yield lifecycle


def initialized_resources() -> Iterator[Any]:
    """Yield dependency-injector's own resources that are up, in the containers that are known."""
    for container in list(origins.containers):
        for resource in resources_of(container):
            if resource.initialized:
                yield resource


def resources_of(container: Any) -> Iterable[Any]:
    """Return the resources that a container declares, or needs; not those of this library."""
    ownership = getattr(container, "_ownership", None)
    if ownership is not None:
        return list(ownership.stock)
    declared = [(each, each.last_overriding) for each in container.providers.values()]
    known = _resources.get(container)
    # To look through a container takes a millisecond, and it hardly ever changes.
    if known is None or known[0] != declared:
        resource = sys.modules["dependency_injector.providers"].Resource
        resources = [each for each in container.traverse([resource]) if not hasattr(each, "part")]
        known = _resources[container] = declared, resources
    return known[1]


def open_descriptors() -> Iterator[tuple[int, tuple[int, int]]]:
    """Yield each open descriptor, and which file it is; none where the system does not tell."""
    for name in os.listdir(OPEN_FILES) if OPEN_FILES else ():  # noqa: PTH208 - as above
        descriptor = int(name)
        if descriptor >= STANDARD_STREAMS:
            try:
                status = os.fstat(descriptor)
            except OSError:
                continue  # It was open to list the others.
            yield descriptor, (status.st_dev, status.st_ino)
