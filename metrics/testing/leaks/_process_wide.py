"""Process-wide helpers of libraries: started by their first use, and never stopped by a user.

The first test that uses such a library would otherwise answer for all of them. Another helper is
added with `register`, or in pytest with the hook `pytest_leakcheck_process_wide(kind, obj)`.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metrics.testing.leaks._inventory import known_processes, process_of, read
from metrics.testing.leaks._origins import descriptors, target_of

Helper = Callable[[str, Any], bool | None]
"""Predicate of a helper: takes the kind of an object ("thread", "task", "event loop", "process",
"descriptor", "container") and the object, or the number of a process or descriptor."""


def is_idle_trio_thread(kind: str, obj: Any) -> bool:
    """Return whether a thread waits in trio's cache for its next job, or ten seconds to end."""
    module = sys.modules.get("trio._core._thread_cache")
    if kind != "thread" or module is None:
        return False
    # A thread with a job that does not return is none of the idle ones, and stays a leak.
    return any(worker._thread is obj for worker in list(module.THREAD_CACHE._idle_workers))


def is_signal_pipe(kind: str, obj: Any) -> bool:
    """Return whether a descriptor is an end of the pipe that libuv keeps for all of its loops."""
    if kind != "descriptor" or "uvloop" not in sys.modules:
        return False
    return is_token_pipe(obj)


def is_token_pipe(descriptor: int) -> bool:
    """Return whether a pipe has the one byte that libuv uses as a lock, and both ends are here."""
    pipe = target_of(descriptor)
    if not pipe.startswith("pipe:") or waiting_bytes(descriptor) != 1:
        return False
    ends = [each for each in descriptors() if target_of(each) == pipe]
    return len(ends) == 2  # noqa: PLR2004 - a pipe has two ends


def waiting_bytes(descriptor: int) -> int:
    """Return the number of bytes that can be read from a pipe."""
    import fcntl  # noqa: PLC0415 - not on Windows, which has no libuv with such a pipe
    import termios  # noqa: PLC0415 - as above

    count = bytearray(4)
    try:
        fcntl.ioctl(descriptor, termios.FIONREAD, count)
    except OSError:
        return 0
    return int.from_bytes(count, sys.byteorder)


def is_of_gevent_hub(kind: str, obj: Any) -> bool:
    """Return whether a descriptor is of the loop in which gevent's hub of this thread waits."""
    hubs: Any = sys.modules.get("gevent._hub_local")
    hub = hubs.get_hub_if_exists() if hubs is not None and kind == "descriptor" else None
    if hub is None or hub.loop is None:
        return False
    with_errors = (AttributeError, OSError, TypeError, ValueError)
    try:
        poll = hub.loop.fileno()
        if obj == poll:
            return True
        polled = re.findall(r"(?m)^tfd:\s*(\d+)", read(f"/proc/self/fdinfo/{poll}"))
    except with_errors:
        return False
    # libev registers its wake-up lazily: before the first wait, it is the descriptor that follows.
    wakes = re.fullmatch(r"anon_inode:\[(?:eventfd|timerfd|signalfd)\]", target_of(obj)) is not None
    return wakes and (str(obj) in polled or obj == poll + 1)


def is_idle_gevent_worker(kind: str, obj: Any) -> bool:
    """Return whether a native thread of gevent's pool waits for its next job."""
    if kind != "thread" or not isinstance(obj, int) or "gevent.threadpool" not in sys.modules:
        return False
    frame = sys._current_frames().get(obj)
    # A job would be the innermost function.
    return frame is not None and frame.f_globals.get("__name__", "").startswith("gevent.")


def is_of_anyio_process_pool(kind: str, obj: Any) -> bool:
    """Return whether a task or process belongs to anyio's pool, which ends with its event loop."""
    if "anyio.to_process" not in sys.modules:
        return False
    if kind == "task":
        coroutine = obj.get_coro()
        code = getattr(coroutine, "cr_code", None)
        name = getattr(coroutine, "__qualname__", "")
        file = Path(code.co_filename).parts if code is not None else ()
        return name == "_shutdown_process_pool_on_exit" and "anyio" in file
    if kind == "process":
        return is_anyio_worker(process_of(obj))
    # The pool kills its workers when the test's task ends, and closes pipes when the loop runs on.
    return kind == "descriptor" and any(
        not pipe.closed and pipe.fileno() == obj
        for process in known_processes()
        if is_anyio_worker(process)
        for pipe in (process.stdin, process.stdout, process.stderr)
        if pipe is not None
    )


def is_anyio_worker(process: Any) -> bool:
    """Return whether a process serves anyio's pool, which starts it with a module of its own."""
    arguments = getattr(process, "args", ())
    return isinstance(arguments, list | tuple) and "anyio.to_process" in arguments


def is_asgiref_thread(kind: str, obj: Any) -> bool:
    """Return whether a thread is the one in which asgiref runs all synchronous code."""
    module = sys.modules.get("asgiref.sync")
    if kind != "thread" or module is None:
        return False
    executor = getattr(module.SyncToAsync, "single_thread_executor", None)
    return obj in getattr(executor, "_threads", ())


HELPERS: tuple[Helper, ...] = (
    is_idle_trio_thread,
    is_signal_pipe,
    is_of_gevent_hub,
    is_idle_gevent_worker,
    is_of_anyio_process_pool,
    is_asgiref_thread,
)
"""Helpers of libraries that are known, each with a predicate."""

_registered: list[Helper] = []


@contextmanager
def register(helper: Helper) -> Iterator[None]:
    """Excuse the objects for which a predicate is true, until the block ends.

    Args:
        helper: takes the kind of an object and the object; see `Helper`.
    """
    _registered.append(helper)
    try:
        yield
    finally:
        _registered.remove(helper)


def is_idle(thread: Any) -> bool:
    """Return whether a thread of a process-wide pool waits for its next job."""
    return is_idle_trio_thread("thread", thread) or is_idle_gevent_worker("thread", thread)


def is_process_wide(kind: str, obj: Any) -> bool:
    """Return whether an object belongs to a process-wide helper."""
    return any(helper(kind, obj) for helper in (*HELPERS, *_registered))
