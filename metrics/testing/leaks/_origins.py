"""Origins of running objects: stacks, threads and tasks, kept while a check is active.

Open files and threads of `_thread` have no stack. They come from functions, not from methods of a
class: a module that imported these keeps them, and to replace `open` for all the others would
cost every one of its calls. A file has its path for a name, which says nearly as much.
"""

import functools
import gc
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from itertools import islice
from types import CodeType, FrameType, FunctionType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

from metrics.testing.leaks import _dropped as dropped
from metrics.testing.leaks import _overrides as overrides

DEPTH = 40
"""Frames kept of a stack, the innermost."""

LEVELS = 3
"""Enclosing threads kept of an origin, the nearest."""

RUNNER = "_pytest.runner"
"""Module of the outermost frame that is kept: beyond it, the stacks of all tests are the same."""

Method = Callable[..., Any]


class Frame(NamedTuple):
    """Position of a function on a stack."""

    module: str
    code: CodeType
    instruction: int
    """Offset of the instruction, from which the line is found when it is read: most never are."""

    @property
    def line(self) -> int:
        """The line in the function's file."""
        positions = islice(self.code.co_positions(), self.instruction // 2, None)
        return next(positions, (None,))[0] or self.code.co_firstlineno

    @property
    def package(self) -> str:
        """The first component of the module's name."""
        return self.module.partition(".")[0]


Stack = tuple[Frame, ...]
"""The innermost function first."""


class Enclosing(NamedTuple):
    """Thread that has started an object, by its name and the stack that started it."""

    name: str
    stack: Stack


class Origin(NamedTuple):
    """Origin of an object: the stack, threads and tasks that started it."""

    stack: Stack
    starters: tuple[ref[Any], ...]
    """The asyncio task and the thread that started it, and their own starters, as far as they lived
    then; the nearest first. Weak, or each generation would keep the one before."""
    threads: tuple[Enclosing, ...] = ()
    """Threads that started it and were started themselves, ended or not, the nearest first; at most
    `LEVELS`, so that a chain of generations does not grow."""


class StartMethod(NamedTuple):
    """Method that starts or makes an object, which is recorded."""

    module: str
    owner: str
    method: str
    gives: bool = False
    """Whether it returns the started object, and is not a method of that object."""
    kept: bool = False
    """Whether the object is kept, because it is left behind even without a reference."""
    earlier: bool = False
    """Whether objects of before the check are searched, because they may start threads in it."""
    closes: bool = False
    """Whether it ends a kept object, which is not kept any longer."""
    opens: bool = False
    """Whether the descriptors that it opens belong to the object, which does not list them."""
    then: Callable[..., None] | None = None
    """Another function, called with the origin, the object, and the method's arguments."""
    within: Callable[[], AbstractContextManager[None]] = nullcontext
    """Context in which the method is called."""
    gone: Callable[[], object] | None = None
    """Another function, called when an object has been collected."""


STARTS = (
    StartMethod("threading", "Thread", "start"),
    StartMethod("subprocess", "Popen", "__init__"),
    StartMethod("socket", "socket", "__init__"),
    StartMethod("multiprocessing.process", "BaseProcess", "start"),
    StartMethod("concurrent.futures.thread", "ThreadPoolExecutor", "__init__", earlier=True),
    StartMethod("concurrent.futures.process", "ProcessPoolExecutor", "__init__", earlier=True),
    StartMethod("asyncio.base_events", "BaseEventLoop", "__init__", kept=True),
    StartMethod("asyncio.base_events", "BaseEventLoop", "close", closes=True),
    StartMethod("asyncio.base_events", "BaseEventLoop", "create_task", gives=True),
    StartMethod("uvloop", "Loop", "__new__", gives=True, kept=True, opens=True),
    StartMethod("uvloop", "Loop", "close", closes=True),
    StartMethod("uvloop", "Loop", "create_task", gives=True),
    StartMethod("metrics.lifecycle._lifecycle", "Lifecycle", "claim", then=dropped.watch),
    StartMethod("metrics.lifecycle._async_hook", "ResourceTask", "__init__"),
    StartMethod(
        "dependency_injector.containers",
        "DynamicContainer",
        "__init__",
        earlier=True,
        gone=lambda: overrides.overrides(containers),
    ),
    StartMethod(
        "dependency_injector.containers",
        "DeclarativeContainer",
        "__new__",
        gives=True,
        within=overrides.constructing,
    ),
    StartMethod(
        "dependency_injector.providers", "Container", "__init__", within=overrides.constructing
    ),
    StartMethod(
        "dependency_injector.providers",
        "OverridingContext",
        "__init__",
        then=overrides.record_override,
    ),
    StartMethod(
        "dependency_injector.wiring", "ProvidersMap", "__init__", then=overrides.record_wiring
    ),
)

loops: dict[int, Any] = {}
"""The event loops that were made and not closed; kept, because an open loop is a leak."""

opened: dict[int, frozenset[int]] = {}
"""Descriptors of the loops that do not list them, by the identity of the loop."""

# Started objects by identity, because equality may be defined in odd ways; per class.
_started: dict[str, dict[int, tuple[ref[Any], Origin | None]]] = {
    start.owner: {} for start in STARTS
}

# Guards the following, which are the same for all checks that are active.
_lock = threading.Lock()
_active = 0
# The class, the method that was there, and the one that is.
_replaced: dict[StartMethod, tuple[Any, Method, Method]] = {}
# The methods that are not replaced yet, because their modules are not loaded.
_pending = list(STARTS)
# The originals of our methods; a test may put one of ours back long after its check.
_originals: WeakKeyDictionary[Method, Method] = WeakKeyDictionary()


def origin_of(started: Any) -> Origin | None:
    """Return the origin of an object, as far as it is known."""
    for entries in _started.values():
        entry = entries.get(id(started))
        if entry is not None and entry[0]() is started:
            return entry[1]
    return None


def living(owner: str) -> list[Any]:
    """Return the living objects of a class that were started, by its name."""
    entries = _started[owner]
    # Copied at once, because other threads go on.
    found = [entry[0]() for entry in list(entries.values())] if entries else []
    return [each for each in found if each is not None]


def containers() -> list[Any]:
    """Return the living containers, without declarative ones."""
    return living("DynamicContainer")


@contextmanager
def recording() -> Iterator[None]:
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
    """Record the starts of modules that were loaded since the last call, which costs little.

    Args:
        late: whether a check was active when their present objects were made.
    """
    wanted: dict[StartMethod, Any] = {}
    for start in [start for start in _pending if start.module in sys.modules]:
        with _lock:
            # Another thread may be loading the module at this moment.
            owner = getattr(sys.modules.get(start.module), start.owner, None)
            if owner is None or start not in _pending or not _active:
                continue
            replace(start, owner)
            _pending.remove(start)
        if start.earlier or (late and start.kept):
            wanted[start] = owner
    if wanted:
        find(wanted)
    if any(start.owner == "DynamicContainer" for start in wanted):
        overrides.excuse_present(containers())


def replace(start: StartMethod, owner: Any) -> None:
    """Replace a method by one that records the objects that it starts."""
    original = getattr(owner, start.method)
    if type(original) is FunctionType:
        original = _originals.get(original, original)
    method = recorder_of(original, start)
    _originals[method] = original
    _replaced[start] = owner, original, method
    # Builds of dependency-injector for a single version of Python have immutable types.
    with suppress(TypeError):
        setattr(owner, start.method, method)


def put_back() -> None:
    """Restore the methods, unless other code has replaced them since."""
    for start, (owner, original, method) in _replaced.items():
        if getattr(owner, start.method) is method:
            setattr(owner, start.method, original)
    _replaced.clear()
    _pending[:] = STARTS
    loops.clear()
    opened.clear()
    dropped.forget()
    overrides.drop_all()


def find(wanted: dict[StartMethod, Any]) -> None:
    """Enter the objects that were made before they could be recorded."""
    starts: dict[type, StartMethod | None] = {}
    for found in gc.get_objects():
        # By the type, because a proxy lies about its class, or raises.
        kind = type(found)
        if kind not in starts:
            matching = (each for each, owner in wanted.items() if issubclass(kind, owner))
            starts[kind] = next(matching, None)
        if (start := starts[kind]) is not None:
            if start.opens and id(found) not in opened:
                opened[id(found)] = frozenset(filter(is_anonymous, descriptors()))
            if start.kept:
                loops[id(found)] = found
            else:
                enter(found, None, start)


def recorder_of(original: Method, start: StartMethod) -> Method:
    """Return a method that calls the original one, and records the object."""

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _active:
            return original(self, *args, **kwargs)
        if start.closes:
            result = original(self, *args, **kwargs)
            drop(self)
            return result
        running = here()
        origin = Origin(stack_above(2), starters_of(running), enclosing_threads(running))
        if start.method != "__init__" and not start.gives:
            # It may have ended by the time that the original returns.
            enter(self, origin, start)
            if start.then is not None:
                start.then(origin, self, *args, **kwargs)
            return original(self, *args, **kwargs)
        before = descriptors() if start.opens else frozenset()
        with start.within():
            result = original(self, *args, **kwargs)
        started = result if start.gives else self
        enter(started, origin, start)
        if start.opens:
            opened[id(started)] = descriptors() - before
        if start.kept:
            loops[id(started)] = started
        if start.then is not None:
            start.then(origin, started, *args, **kwargs)
        return result

    return method


def drop(loop: Any) -> None:
    """Keep a closed event loop no longer: a test may look whether it is collected."""
    loops.pop(id(loop), None)
    opened.pop(id(loop), None)


def descriptors() -> frozenset[int]:
    """Return the open descriptors, where the system lists them."""
    try:
        listed = list(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - is faster
    except OSError:
        return frozenset()
    # One of them was open to list the others, and its number is the next that is given.
    return frozenset(descriptor for descriptor in listed if is_open(descriptor))


def is_anonymous(descriptor: int) -> bool:
    """Return whether a descriptor is a pipe or a nameless object, such as an epoll object."""
    return target_of(descriptor).startswith(("pipe:", "anon_inode:"))


def target_of(descriptor: int) -> str:
    """Return the path of an open file, or another name as `pipe:[1]`.

    Empty for a closed descriptor, and where the system does not list them.
    """
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - is faster
    except OSError:
        return ""


def is_open(descriptor: int) -> bool:
    """Return whether a descriptor is open."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def enter(started: Any, origin: Origin | None, start: StartMethod) -> None:
    """Keep the origin of an object as long as that exists."""
    entries, key = _started[start.owner], id(started)

    def collected(_: ref[Any]) -> None:
        entries.pop(key, None)
        if start.gone is not None:
            start.gone()

    # Objects without weak references have no origin.
    with suppress(TypeError):
        entries[key] = ref(started, collected), origin


def running_loop() -> Any:
    """Return the event loop that runs here, if any does."""
    events: Any = sys.modules.get("asyncio.events")
    return events._get_running_loop() if events else None


def here() -> list[Any]:
    """Return the asyncio task and the thread that run here, as far as Python has objects."""
    loop = running_loop()
    task = sys.modules["asyncio.tasks"].current_task(loop) if loop is not None else None
    # Not threading.current_thread(), which makes an object for a thread that has none.
    active: Any = vars(threading)["_active"]
    thread = active.get(threading.get_ident())
    return [each for each in (task, thread) if each is not None]


def starters_of(running: Iterable[Any]) -> tuple[ref[Any], ...]:
    """Return references to tasks and threads, and to their starters that live."""
    found: dict[int, ref[Any]] = {}
    for each in running:
        origin = origin_of(each)
        for starter in (ref(each), *(origin.starters if origin else ())):
            if (alive := starter()) is not None:
                found.setdefault(id(alive), starter)
    return tuple(found.values())


def enclosing_threads(running: Iterable[Any]) -> tuple[Enclosing, ...]:
    """Return the thread among these that was started during a check, and its enclosing threads."""
    for each in running:
        if isinstance(each, threading.Thread) and (origin := origin_of(each)) is not None:
            return (Enclosing(each.name, origin.stack), *origin.threads)[:LEVELS]
    return ()


def stack_above(depth: int) -> Stack:
    """Return the stack of a caller, counted from this function."""
    return stack_from(sys._getframe(depth))


def stack_from(frame: FrameType | None) -> Stack:
    """Return the stack of a frame, the frame first."""
    stack: list[Frame] = []
    while frame is not None and len(stack) < DEPTH:
        # The class's own function takes as long as the rest.
        module = frame.f_globals.get("__name__", "")
        stack.append(tuple.__new__(Frame, (module, frame.f_code, frame.f_lasti)))
        if module == RUNNER:
            break
        frame = frame.f_back
    return tuple(stack)
