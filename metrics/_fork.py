"""Forked processes: which hooks survive a fork, and the renewal of the library's own state.

A fork copies the memory of a process and one of its threads. Locks that other threads held stay
locked for good in the child, worker threads are gone, sockets are shared with the parent, and the
counts are the parent's, which still reports them. This module renews the library's objects in the
child before any other code runs there. It starts nothing when it is imported.

`survives_fork` is public, by way of `metrics.lifecycle`.
"""

import os
import threading
import weakref
from collections.abc import Callable, Collection
from contextvars import ContextVar
from functools import partial
from itertools import count
from types import MethodType
from typing import Any, NamedTuple, Protocol, TypeVar, overload

H = TypeVar("H", bound=Callable[..., object])

MARK = "__survives_fork__"
"""The attribute of a hook that holds its `Survival`."""


class Survival(NamedTuple):
    """Survival of a hook's value in forked processes.

    reset: called in the child with the value of the running resource; None resets nothing.
    """

    reset: Callable[[Any], object] | None = None


@overload
def survives_fork(hook: H, /) -> H: ...
@overload
def survives_fork(*, reset: Callable[[Any], object] | None = None) -> Callable[[H], H]: ...
def survives_fork(
    hook: Callable[..., object] | None = None, *, reset: Callable[[Any], object] | None = None
) -> Any:
    """Declare that the value of a hook stays usable in a forked process.

    Without this declaration a resource is NEW in the child: the parent keeps its value, and the
    next request in the child runs the hook again. That is right for connections, servers and
    threads. With it, the running resource stays RUNNING in the child with the same value, and the
    child's own `shutdown_resources()` stops it. That is right for plain memory: caches, tables,
    instruments.

    A surviving value must not depend on a thread of the parent, and the hook's own cleanup has to
    be right in both processes. `reset` corrects the value: it is called in the child, with the
    value, before any other code runs there. It should neither block nor acquire a lock that another
    thread of the parent may have held. A resource whose `reset` raises is NEW in the child after
    all.

    So is a resource that depends on one that does not survive and has to be stopped: a health check
    of a database connection would use the connection of the parent.

    For example:

        @survives_fork(reset=Cache.clear)
        @contextmanager
        def cache(size: int) -> Iterator[Cache]:
            yield Cache(size)

    The declaration may stand above or below `@contextmanager`, and a function made by
    `functools.wraps` inherits it. A class can be declared too; its subclasses are not.

    Args:
        hook: the function or class that a container declares as a resource.
        reset: called in the child with the value of the running resource.

    Returns:
        The same hook; a decorator when only `reset` is given.

    Raises:
        TypeError: `hook` or `reset` is not callable, or `hook` takes no attributes.
    """
    if reset is not None and not callable(reset):
        raise TypeError(f"invalid reset {reset!r}: pass a callable that takes the resource's value")
    survival = Survival(reset)

    def marked(hook: H) -> H:
        if not callable(hook):
            raise TypeError(f"invalid hook {hook!r}: survives_fork decorates a function or a class")
        # A method takes no attributes; its function does.
        target = hook.__func__ if isinstance(hook, MethodType) else hook
        try:
            setattr(target, MARK, survival)
        except (AttributeError, TypeError) as error:
            raise TypeError(
                f"invalid hook {hook!r}: it takes no attributes; wrap it in a function"
            ) from error
        return hook

    return marked if hook is None else marked(hook)


def survival_of(hook: object) -> Survival | None:
    """Return how the value of a hook survives a fork; None if it does not, for any object.

    Looks through `functools.partial` and bound methods. Never raises an `Exception`.
    """
    try:
        while True:
            # `vars` and not `getattr`: a subclass may hold what its base class does not, and an
            # object that answers to every name has declared nothing.
            found = vars(hook).get(MARK)
            if isinstance(found, Survival):
                return found
            if isinstance(hook, partial):
                hook = hook.func
            elif isinstance(hook, MethodType):
                hook = hook.__func__
            else:
                return None
    except Exception:  # noqa: BLE001 - a hook may be any object, a proxy of an absent one too
        return None


registering: ContextVar[object | None] = ContextVar("metrics-registering", default=None)
"""The owner of all names and ticker members that are added in this context; None for no owner.

The lifecycle sets it while a hook is entered. Registries and tickers hold the owner for as long as
they have a name or member of it: use a token that refers to nothing else, such as `object()`.
"""

generation = 0
"""Forks between the first process that imported this module and the present one."""

dormant = False
"""Whether workers that ran in the parent wait for `resume` in this process."""

alone = False
"""Whether names are removed after a fork: no other thread runs, and no lock is needed.

A lock that is held while a thread starts must not be renewed before `resume`, for the same reason.
"""

renewing = threading.RLock()
"""Guards the renewal of an object that is not tracked, at its first use after a fork."""


class Renewable(Protocol):
    """An object that has to be renewed in a forked process.

    It may also have a method `_resume`, which starts its worker again at the first use of the
    library in the child, and `_drop`, which takes the names of the owners that are removed.
    """

    def _after_fork(self) -> None:
        """Renew locks, workers and counts. Runs in the only thread of the child."""


class Reference(weakref.ref[Renewable]):
    """A weak reference that knows its own number."""

    __slots__ = ("number",)
    number: int


# One operation on a dict with int keys is whole under the GIL, so that a fork never copies these
# half changed, and reading them in the child takes no lock. A WeakSet has no such guarantee.
_numbers = count(1)
_tracked: dict[int, Reference] = {}
_held: dict[int, Renewable] = {}


def _forget(reference: Any, pop: Callable[..., object] = _tracked.pop) -> None:
    pop(reference.number, None)


def track(renewable: Renewable) -> None:
    """Have an object renewed in forked processes, after older objects, for as long as it lives."""
    reference = Reference(renewable, _forget)
    reference.number = next(_numbers)
    _tracked[reference.number] = reference


def hold(renewable: Renewable) -> int:
    """Have an object renewed in forked processes until `release` is called; keep it alive.

    For compiled classes, which have no weak references.

    Returns:
        The number to release.
    """
    number = next(_numbers)
    _held[number] = renewable
    return number


def release(number: int) -> None:
    """Hold an object no longer. Does nothing the second time."""
    _held.pop(number, None)


def is_orphaned(lock: Any) -> bool:
    """Return whether a lock is held, in a forked process by a thread that does not exist there.

    An RLock that the calling thread itself holds is not orphaned.
    """
    if lock.acquire(blocking=False):
        lock.release()
        return False
    return True


def drop_registered_by(owners: Collection[object]) -> None:
    """Remove all names and ticker members that were added under `owners`; they are not read again.

    For the lifecycle, in a forked process: the owners are the tokens that `registering` had while
    the hooks that do not survive were entered. They are compared by identity. Never raises an
    `Exception`: failures go to `sys.unraisablehook`, because a fork cannot fail.
    """
    global alone  # noqa: PLW0603 - one process, one state
    if owners:
        identities = frozenset(map(id, owners))
        alone = True
        try:
            errors = _each("_drop", identities)
        finally:
            alone = False
        if errors:
            _Report(ExceptionGroup("names of the parent process were not removed", errors))


def resume() -> None:
    """Start the workers that ran in the parent: in the child, at the first use of the library.

    A fork alone starts no thread: most children execute another program or are done soon, and
    a server's worker may patch `threading` first. Does nothing in a process that was not forked.
    """
    global dormant  # noqa: PLW0603 - one process, one state
    if dormant:
        dormant = False
        # A thread that cannot be started now is started at the next need.
        _each("_resume")


def _live() -> list[Renewable]:
    """Return all objects to renew, in the order of their creation."""
    found: list[tuple[int, Renewable]] = list(_held.items())
    for number, reference in list(_tracked.items()):
        renewable = reference()
        if renewable is not None:
            found.append((number, renewable))
    return [renewable for _, renewable in sorted(found, key=lambda pair: pair[0])]


def _each(method: str, *arguments: object) -> list[Exception]:
    """Call a method of all live objects that define it; return the errors."""
    errors: list[Exception] = []
    for renewable in _live():
        function = getattr(renewable, method, None)
        if function is not None:
            try:
                function(*arguments)
            except Exception as error:  # noqa: BLE001 - one failure must not keep the others back
                errors.append(error)
    return errors


class _Report:
    """Error that cannot be raised: the interpreter reports it when this object is dropped.

    Not logged: another thread of the parent may have held the lock of a log handler.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __del__(self) -> None:
        raise self._error


def _after_fork() -> None:
    """Renew the library in a forked process."""
    global dormant, generation, renewing  # noqa: PLW0603 - one process, one state
    generation += 1
    renewing = threading.RLock()
    dormant = True
    # Also when a hook of the parent forks: the names that the child adds are its own.
    registering.set(None)
    errors = _each("_after_fork")
    if errors:
        # The interpreter prints it and goes on: a fork cannot fail.
        raise ExceptionGroup("objects were not renewed in a forked process", errors)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
