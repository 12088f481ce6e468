"""Where what runs was started: the stack, the thread and the task, kept while a check is active."""

import functools
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import CodeType, FrameType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, WeakSet

DEPTH = 40
"""Frames kept of a stack, the innermost."""

Method = Callable[..., Any]


class Frame(NamedTuple):
    """Where a function was."""

    module: str
    code: CodeType
    line: int

    @property
    def package(self) -> str:
        """The first part of the module's name."""
        return self.module.partition(".")[0]


Stack = tuple[Frame, ...]
"""The innermost function first."""


class Origin(NamedTuple):
    """Who started something."""

    stack: Stack
    thread: threading.Thread | None
    task: object
    """The asyncio task that was running there."""


class Start(NamedTuple):
    """A method that starts something."""

    module: str
    owner: str
    method: str
    gives: bool = False
    """Whether it returns what it starts, and is not a method of that."""
    kept: bool = False
    """Whether what it makes is kept, because it is left behind even when nobody has it."""
    earlier: bool = False
    """Whether what was made before a check is looked for: it may be started within."""


STARTS = (
    Start("threading", "Thread", "start"),
    Start("subprocess", "Popen", "__init__"),
    Start("socket", "socket", "__init__"),
    Start("multiprocessing.process", "BaseProcess", "start"),
    Start("asyncio.base_events", "BaseEventLoop", "__init__", kept=True),
    Start("asyncio.base_events", "BaseEventLoop", "create_task", gives=True),
    Start("metrics.lifecycle.lifecycle", "Lifecycle", "claim"),
    Start("dependency_injector.containers", "DynamicContainer", "__init__", earlier=True),
)

origins: WeakKeyDictionary[Any, Origin] = WeakKeyDictionary()
"""What was started, as far as it still exists."""

loops: dict[int, Any] = {}
"""The event loops that were made and not closed; kept, because a loop nobody closes is a leak."""

containers: WeakSet[Any] = WeakSet()
"""The containers that are not garbage: dependency-injector does not tell which resources are up."""

# Guards the following, which are the same for all checks that are active.
_lock = threading.Lock()
_active = 0
_replaced: dict[Start, tuple[Method, Method]] = {}


@contextmanager
def recorded() -> Iterator[None]:
    """Record, until the block ends, where threads and the like are started."""
    global _active  # noqa: PLW0603 - methods are replaced for the whole process
    with _lock:
        _active += 1
        first = _active == 1
    try:
        follow(late=not first)
        yield
    finally:
        with _lock:
            _active -= 1
            if not _active:
                put_back()


def follow(*, late: bool = True) -> None:
    """Record what modules start that were loaded since the last call. Cheap when there are none.

    Args:
        late: whether what they have made so far was made while a check was active.
    """
    if len(_replaced) == len(STARTS):
        return
    for start in STARTS:
        if start in _replaced or start.module not in sys.modules:
            continue
        with _lock:
            owner = owner_of(start)
            # Another thread may be loading the module at this moment.
            if owner is None or start in _replaced or not _active:
                continue
            original = getattr(owner, start.method)
            method = recording(original, start)
            _replaced[start] = original, method
            setattr(owner, start.method, method)
        if start.earlier or (late and start.kept):
            find(start)


def put_back() -> None:
    """Let methods be what they were, unless somebody else has replaced them since."""
    for start, (original, method) in _replaced.items():
        owner = owner_of(start)
        if getattr(owner, start.method) is method:
            setattr(owner, start.method, original)
    _replaced.clear()
    loops.clear()


def owner_of(start: Start) -> Any:
    """Return the class that a method belongs to."""
    return getattr(sys.modules[start.module], start.owner, None)


def find(start: Start) -> None:
    """Enter what was made before it could be recorded."""
    kind = owner_of(start)
    for found in gc.get_objects():
        # Asked of its type, because a proxy lies about its class, and may fail to tell.
        if issubclass(type(found), kind):
            register(found, start)


def register(made: Any, start: Start) -> None:
    """Enter what a check has to know."""
    if start.kept:
        loops[id(made)] = made
    if start.earlier:
        containers.add(made)


def recording(original: Method, start: Start) -> Method:
    """Return a method that does what the original does, and records it."""

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _active:
            return original(self, *args, **kwargs)
        origin = origin_here(self if start.gives else None)
        if start.method != "__init__" and not start.gives:
            # It may have ended by the time that the original returns.
            enter(self, origin)
            return original(self, *args, **kwargs)
        result = original(self, *args, **kwargs)
        started = result if start.gives else self
        enter(started, origin)
        register(started, start)
        return result

    return method


def enter(started: Any, origin: Origin) -> None:
    """Keep an origin. What cannot be hashed, or referred to, has none."""
    with suppress(TypeError):
        origins[started] = origin


def origin_here(loop: Any) -> Origin:
    """Return the stack of whoever called a method that is replaced, and what runs there."""
    tasks = sys.modules.get("asyncio.tasks") if loop is not None else None
    # Not threading.current_thread(), which makes an object for a thread that has none.
    active: Any = vars(threading)["_active"]
    thread = active.get(threading.get_ident())
    task = tasks.current_task(loop) if tasks else None
    return Origin(stack_above(3), thread, task)


def stack_above(depth: int) -> Stack:
    """Return the stack of a caller, counted from this function."""
    frame: FrameType | None = sys._getframe(depth)
    stack: list[Frame] = []
    while frame is not None and len(stack) < DEPTH:
        stack.append(Frame(frame.f_globals.get("__name__", ""), frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return tuple(stack)
