"""Excuses of new objects that the checked code has not left: another owner answers for them."""

import sys
from collections.abc import Container, Iterator
from typing import TYPE_CHECKING, Any

from metrics.testing.leaks._inventory import Inventory, Key, process_of
from metrics.testing.leaks._naming import holder_of
from metrics.testing.leaks._origins import Origin, origin_of
from metrics.testing.leaks._places import STARTERS, TOOLS, is_a_tools
from metrics.testing.leaks._process_wide import is_process_wide

if TYPE_CHECKING:
    from types import FrameType


def without_excused(
    left: Inventory, owners: dict[Key, Key], known: Container[int], own: Container[int]
) -> Inventory:
    """Return the leaks that no other object accounts for.

    Args:
        left: the objects that were not there before.
        owners: the owners of objects that belong to another one.
        known: the identities of the threads and tasks that were there before.
        own: the identities of the thread and the task that are checked.
    """
    kept = {
        "process": set(kept_by_multiprocessing("_pid", "_forkserver_pid")),
        "descriptor": set(kept_by_multiprocessing("_fd", "_forkserver_alive_fd")),
    }
    # Threads of an executor that was there before are as good as there before.
    lasting = {
        id(obj)
        for key, obj in left.items()
        if key in owners and owners[key] not in left and key.kind == "thread"
    }

    def excused(key: Key, obj: Any) -> bool:
        if key.kind == "executor" or obj in kept.get(key.kind, ()):
            return True
        owner = owners.get(key)
        # A descriptor, or the task of a resource, is reported with its owner.
        if owner is not None and (owner not in left or key.kind in {"descriptor", "task"}):
            return True
        origin = started_by(key, obj)
        if origin is not None and (is_a_tools(origin) or is_theirs(origin)):
            return True
        unseen = origin is None and key.kind == "thread"
        return (unseen and is_tools_thread(obj)) or is_process_wide(key.kind, obj)

    def is_theirs(origin: Origin) -> bool:
        """Return whether a thread or task of before, or one of its descendants, started it."""
        for starter in origin.starters:
            alive = starter()
            if alive is None:
                continue
            behind = origin_of(alive)
            # The runner of the tests was there before, and runs this one.
            if id(alive) in own or (behind is not None and is_a_tools(behind)):
                return False
            if id(alive) in known or id(alive) in lasting:
                return True
        return False

    return {key: obj for key, obj in left.items() if not excused(key, obj)}


def is_tools_thread(thread: Any) -> bool:
    """Return whether a thread that was started unseen runs code of a tool that runs the tests."""
    target = getattr(thread, "_target", None) or getattr(thread, "function", None)
    target = getattr(target, "func", target)
    if package_of(getattr(target, "__module__", None)) in TOOLS:
        return True
    ident = thread if isinstance(thread, int) else thread.ident
    frame: FrameType | None = sys._current_frames().get(ident)
    outermost = ""
    while frame is not None:
        package = package_of(frame.f_globals.get("__name__"))
        if package not in STARTERS | {"threading"}:
            outermost = package
        frame = frame.f_back
    return outermost in TOOLS


def package_of(module: str | None) -> str:
    """Return the first component of a module's name."""
    return (module or "").partition(".")[0]


def started_by(key: Key, obj: Any) -> Origin | None:
    """Return the origin of an object, as far as it is known."""
    if key.kind == "descriptor":
        obj = holder_of(obj)
    elif key.kind == "process":
        obj = process_of(obj)
    elif key.kind == "container":
        obj = obj.lifecycle
    elif key.kind in {"override", "wiring"}:
        found: Origin = obj.origin
        return found
    return origin_of(obj)


def kept_by_multiprocessing(*names: str) -> Iterator[int]:
    """Yield descriptors and processes that multiprocessing keeps for the life of the process."""
    for module, holder in (
        ("multiprocessing.resource_tracker", "_resource_tracker"),
        ("multiprocessing.forkserver", "_forkserver"),
    ):
        keeping = getattr(sys.modules.get(module), holder, None)
        for name in names:
            kept = getattr(keeping, name, None)
            if kept is not None:
                yield kept
