"""What is new, and yet is not left behind by the code that is checked: others answer for it."""

import sys
from collections.abc import Container, Iterator
from typing import Any

from metrics.testing.inventory import Inventory, Key
from metrics.testing.naming import is_a_tools, process_of, socket_of
from metrics.testing.origins import Origin, origins


def without_excused(left: Inventory, now: Inventory, known: Container[int]) -> Inventory:
    """Return what is left without what others answer for.

    Args:
        left: what was not there before.
        now: all that is there.
        known: the identities of the threads and tasks that were there before.
    """
    loops = [thing for key, thing in now.items() if key.kind == "event loop"]
    descriptors = set(kept_by_multiprocessing("_fd", "_forkserver_alive_fd"))
    descriptors.update(number for loop in loops for number in descriptors_of(loop))
    processes = set(kept_by_multiprocessing("_pid", "_forkserver_pid"))
    lasting = [loop for loop in loops if Key("event loop", id(loop)) not in left]
    threads = {id(thread) for loop in lasting for thread in threads_of(loop)}

    def excused(key: Key, thing: Any) -> bool:
        if key.kind == "thread" and (
            id(thing) in threads or any(getattr(thing, "loop", None) is loop for loop in lasting)
        ):
            return True
        if (key.kind == "process" and thing in processes) or (
            key.kind == "descriptor" and thing in descriptors
        ):
            return True
        origin = origin_of(key, thing)
        return origin is not None and (
            id(origin.thread) in known or id(origin.task) in known or is_a_tools(origin)
        )

    return {key: thing for key, thing in left.items() if not excused(key, thing)}


def origin_of(key: Key, thing: Any) -> Origin | None:
    """Return who started something, as far as that is known."""
    if key.kind == "descriptor":
        thing = socket_of(thing)
    elif key.kind == "process":
        thing = process_of(thing)
    try:
        return origins.get(thing)
    except TypeError:
        return None  # It cannot be hashed, or nobody knows it.


def descriptors_of(loop: Any) -> Iterator[int]:
    """Yield the descriptors that an event loop opens for itself."""
    for name in ("_selector", "_ssock", "_csock"):
        own = getattr(loop, name, None)
        if own is not None:
            yield own.fileno()


def threads_of(loop: Any) -> list[Any]:
    """Return the threads of an event loop's default executor, which end with it."""
    return list(getattr(getattr(loop, "_default_executor", None), "_threads", ()))


def kept_by_multiprocessing(*names: str) -> Iterator[int]:
    """Yield what multiprocessing keeps for the life of the process, once it has been used."""
    for module, holder in (
        ("multiprocessing.resource_tracker", "_resource_tracker"),
        ("multiprocessing.forkserver", "_forkserver"),
    ):
        keeping = getattr(sys.modules.get(module), holder, None)
        for name in names:
            kept = getattr(keeping, name, None)
            if kept is not None:
                yield kept
