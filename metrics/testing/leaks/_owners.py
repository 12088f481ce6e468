"""Owners of objects that come and go with another object, and are not their user's.

An executor starts its threads when it is first given work, an event loop has descriptors of its
own, a process has pipes, and an async resource of a container lives in a task.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from metrics.testing.leaks._inventory import Inventory, Key, process_of
from metrics.testing.leaks._origins import opened
from metrics.testing.leaks._process_wide import is_token_pipe


def owners(now: Inventory) -> dict[Key, Key]:
    """Return the owners of objects that belong to another object of the inventory."""
    descriptors = {obj: key for key, obj in now.items() if key.kind == "descriptor"}
    found: dict[Key, Key] = {}
    for key, obj in now.items():
        if key.kind in DESCRIPTORS:
            for descriptor in DESCRIPTORS[key.kind](obj):
                if descriptor in descriptors:
                    found[descriptors[descriptor]] = key
        if key.kind in MEMBERS:
            found.update(dict.fromkeys(MEMBERS[key.kind](obj), key))
        # A worker thread of anyio's serves one loop, and ends with it.
        if key.kind == "thread" and type(obj).__module__.startswith("anyio."):
            found[key] = Key("event loop", id(getattr(obj, "loop", None)))
    found = {key: owner for key, owner in found.items() if owner in now}
    return {key: owner for key, owner in found.items() if key in now}


def descriptors_of_loop(loop: Any) -> Iterator[int]:
    """Yield the descriptors that an event loop opens for itself."""
    # The pipe that libuv keeps for all of its loops was opened with the first one.
    for descriptor in opened.get(id(loop), ()):
        if not is_token_pipe(descriptor):
            yield descriptor
    for name in ("_selector", "_ssock", "_csock"):
        own = getattr(loop, name, None)
        # Another thread may be closing it.
        with suppress(ValueError):
            if own is not None:
                yield own.fileno()


def descriptors_of_process(process: Any) -> Iterator[int]:
    """Yield the descriptors that lead to a child process."""
    for name in ("stdin", "stdout", "stderr"):
        pipe = getattr(process, name, None)
        with suppress(ValueError):
            if pipe is not None:
                yield pipe.fileno()
    # multiprocessing closes these when its object is gone.
    finalizer = getattr(getattr(process, "_popen", None), "finalizer", None)
    yield from getattr(finalizer, "_args", None) or ()


def members_of_loop(loop: Any) -> Iterator[Key]:
    """Yield the threads of an event loop's default executor, which end with it."""
    executor = getattr(loop, "_default_executor", None)
    yield from members_of_executor(executor)


def members_of_executor(executor: Any) -> Iterator[Key]:
    """Yield the threads of an executor, and its processes."""
    threads = list(getattr(executor, "_threads", ()))
    threads.append(getattr(executor, "_executor_manager_thread", None))
    yield from (Key("thread", id(thread)) for thread in threads if thread is not None)
    yield from (Key("process", pid) for pid in list(getattr(executor, "_processes", None) or ()))


def tasks_of_container(use: Any) -> Iterator[Key]:
    """Yield the tasks that the async resources of a container live in, one each."""
    yield from (Key("task", id(task)) for task in getattr(use, "tasks", ()))


DESCRIPTORS: dict[str, Callable[[Any], Iterator[int]]] = {
    "event loop": descriptors_of_loop,
    "process": lambda pid: descriptors_of_process(process_of(pid)),
}
MEMBERS: dict[str, Callable[[Any], Iterator[Key]]] = {
    "container": tasks_of_container,
    "executor": members_of_executor,
    "event loop": members_of_loop,
}
