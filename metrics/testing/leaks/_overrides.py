"""Overridden providers and wired modules of dependency-injector's containers.

An override holds for the whole process, and for every test after one that does not reset it.
Each override and each wiring is recorded when it is made, so that an inventory without any costs
nothing. Records hold no reference to providers, which would keep their containers alive.

Overrides and wirings of an import stay for the life of the process, and are not recorded; neither
are the overrides by which dependency-injector creates containers. The types of dependency-injector
can be observed in its wheels for CPython. Other builds, whose types are immutable, show wirings
only.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from operator import attrgetter
from reprlib import Repr
from types import ModuleType
from typing import Any, NamedTuple, final
from weakref import ref

PROGRAMS = {"__main__", "__channelexec__"}
"""Modules that run for as long as the program does; the last one is a worker's of xdist."""

SHORT = Repr()
SHORT.maxother = SHORT.maxstring = 60

Pair = tuple[int, int]
"""Identities of an overridden and an overriding provider."""


class _Construction(threading.local):
    """Number of constructors of containers that a thread is in."""

    depth = 0


@final
class Override:
    """Override of a provider.

    Args:
        pair: the identities of the provider and of the one in its place.
        origin: the stack that made it.
    """

    __slots__ = ("_container", "_path", "origin", "pair")

    def __init__(self, pair: Pair, origin: Any) -> None:
        # The container of the provider and the path within, once they are known.
        self._container: ref[Any] | None = None
        self._path: tuple[str, ...] = ()
        self.pair = pair
        self.origin = origin

    @property
    def container(self) -> Any:
        """The container of the provider; None if it is not known, or was collected."""
        return None if self._container is None else self._container()

    @property
    def name(self) -> str:
        """Dotted name of the provider, such as "Container.service"."""
        return ".".join((container_name(self.container), *self._path))

    @property
    def by(self) -> str:
        """Description of the overriding provider; empty when the override was reset."""
        overriding = self.overriding()
        return "" if overriding is None else f"by {description_of(overriding)}"

    def locate(self, container: Any, path: tuple[str, ...]) -> None:
        """Keep where the provider is."""
        self._container, self._path = ref(container), path

    def overriding(self) -> Any:
        """Return the overriding provider; None if the override is not known to be in effect."""
        provider = self.container
        for name in self._path:
            provider = getattr(provider, "providers", {}).get(name)
        if provider is None or id(provider) != self.pair[0]:
            return None
        return next((each for each in provider.overridden if id(each) == self.pair[1]), None)


class Wiring(NamedTuple):
    """Wiring of a module, package or class to a container."""

    container: ref[Any]
    name: str
    """Name of the module, package or class."""
    origin: Any
    """The stack that made it."""

    @property
    def to(self) -> str:
        """Name of the container."""
        return f"to {container_name(self.container())}"


class WireCall(NamedTuple):
    """Call of `container.wire`."""

    modules: int
    """Number of modules that had been wired before."""
    packages: int
    """Number of packages that had been wired before."""
    origin: Any
    """The stack that made it; None for an import's."""


@final
class Wirings:
    """Wirings of one container.

    Args:
        container: the container, which is not kept alive.
        number: a number that no other container gets, as it may get the identity.
    """

    __slots__ = ("_container", "_lasting", "_latest", "_seen", "calls", "number")

    def __init__(self, container: ref[Any], number: int) -> None:
        self._container = container
        self.number = number
        self.calls: list[WireCall] = []
        self._latest: list[Wiring] = []
        # Names that an import has wired, which a test may unwire and wire again.
        self._lasting: set[str] = set()
        # Identities of modules, which may refer to the container and would keep it alive.
        self._seen: tuple[int, ...] = ()

    def excuse(self, targets: Iterable[Any]) -> None:
        """Excuse the wirings of modules, packages and classes."""
        self._lasting.update(map(target_name, targets))

    def in_effect(self) -> list[Wiring]:
        """Return the recorded wirings that are in effect."""
        container = self._container()
        if container is None:
            return []
        targets = *enumerate(container.wired_to_modules), *enumerate(container.wired_to_packages)
        seen = len(self.calls), len(container.wired_to_modules), *(id(each) for _, each in targets)
        if seen != self._seen:
            modules, self._seen = seen[1], seen
            self._latest = []
            for position, (index, target) in enumerate(targets):
                name = target_name(target)
                call = self._call(index, is_package=position >= modules)
                if call is not None and call.origin is None:
                    self._lasting.add(name)
                elif call is not None and name not in self._lasting:
                    self._latest.append(Wiring(self._container, name, call.origin))
        return self._latest

    def _call(self, index: int, *, is_package: bool) -> WireCall | None:
        """Return the latest call that may have wired a module; None if it is not recorded."""
        began = attrgetter("packages" if is_package else "modules")
        return next((call for call in reversed(self.calls) if began(call) <= index), None)


_construction = _Construction()
_overrides: dict[Pair, Override] = {}
# Overrides of imports, which a test may reset and make again.
_lasting: set[Pair] = set()
# By the identity of the container: its hash and equality may be defined in odd ways.
_wirings: dict[int, Wirings] = {}
_numbers = count()


@contextmanager
def constructing() -> Iterator[None]:
    """Record no override until the block ends: a container is being created in this thread."""
    _construction.depth += 1
    try:
        yield
    finally:
        _construction.depth -= 1


def record_override(origin: Any, _context: Any, overridden: Any, overriding: Any) -> None:
    """Record an override.

    Args:
        origin: the stack that makes it.
        overridden: the provider, which has its new override.
        overriding: the provider in its place.
    """
    # Each option that is set overrides the whole configuration.
    if _construction.depth or isinstance(overridden, kind("Configuration")):
        return
    pair = id(overridden), id(overriding)
    again = sum(each is overriding for each in overridden.overridden) > 1
    if again and pair in _overrides:
        return
    if is_imported(origin):
        _lasting.add(pair)
    elif pair not in _lasting:
        _overrides[pair] = Override(pair, origin)


def record_wiring(origin: Any, _map: Any, container: Any) -> None:
    """Record a call of `container.wire`, before its modules are added to the container's."""
    modules, packages = len(container.wired_to_modules), len(container.wired_to_packages)
    call = WireCall(modules, packages, None if is_imported(origin) else origin)
    wirings_of(container).calls.append(call)


def wirings_of(container: Any) -> Wirings:
    """Return the wirings of a container."""
    key = id(container)
    found = _wirings.get(key)
    if found is None:
        gone = ref(container, lambda _: _wirings.pop(key, None))
        found = _wirings[key] = Wirings(gone, next(_numbers))
    return found


def excuse_present(instances: Iterable[Any]) -> None:
    """Excuse the overrides and wirings that were made before the first one could be recorded.

    Args:
        instances: the known containers, without declarative ones.
    """
    for container in (*declarative_containers(), *instances):
        for _, provider in providers_of(container):
            _lasting.update((id(provider), id(each)) for each in provider.overridden)
        if isinstance(container, type):
            continue  # A class cannot be wired.
        if targets := [*container.wired_to_modules, *container.wired_to_packages]:
            wirings_of(container).excuse(targets)


def drop_all() -> None:
    """Drop all records."""
    _overrides.clear()
    _lasting.clear()
    _wirings.clear()


def overrides(instances: Callable[[], Iterable[Any]]) -> list[Override]:
    """Return the recorded overrides that are in effect in a living container; drop the others.

    Args:
        instances: returns the known containers, without declarative ones.
    """
    if not _overrides:
        return []
    recorded = list(_overrides.values())
    if any(each.container is None for each in recorded):
        locate(recorded, (*declarative_containers(), *instances()))
    found = []
    for each in recorded:
        if each.overriding() is not None:
            found.append(each)
        elif _overrides.get(each.pair) is each:
            # It was reset, or the container is gone, whose identities may be used again.
            _overrides.pop(each.pair, None)
    return found


def locate(recorded: Iterable[Override], containers: Iterable[Any]) -> None:
    """Find the containers of new overrides among the living ones."""
    lost: dict[int, list[Override]] = {}
    for override in recorded:
        if override.container is None:
            lost.setdefault(override.pair[0], []).append(override)
    for container in containers:
        for path, provider in providers_of(container):
            # A derived class has the providers of its base, which comes first.
            for override in lost.pop(id(provider), ()):
                override.locate(container, path)


def wirings() -> dict[object, Wiring]:
    """Return the recorded wirings that are in effect, of living containers, by their identity."""
    if not _wirings:
        return {}
    return {
        (wired.number, each.name): each
        for wired in list(_wirings.values())
        for each in wired.in_effect()
    }


def kind(name: str) -> Any:
    """Return a class of providers, to be used with `isinstance`."""
    return getattr(sys.modules.get("dependency_injector.providers"), name, ())


def declarative_containers() -> Iterator[Any]:
    """Yield the classes of containers, derived ones after their bases."""
    containers: Any = sys.modules.get("dependency_injector.containers")
    ahead = [containers.DeclarativeContainer] if containers else []
    for each in ahead:
        ahead += type.__subclasses__(each)
        yield each


def providers_of(container: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the declared providers of a container, and borrowed ones, with their paths."""
    declared = list(container.providers.items())
    ahead: list[tuple[tuple[str, ...], Any]] = [((name,), provider) for name, provider in declared]
    for path, provider in ahead:
        if isinstance(provider, kind("DependenciesContainer")):
            borrowed = list(provider.providers.items())
            ahead += (((*path, name), each) for name, each in borrowed)
        yield path, provider


def is_imported(origin: Any) -> bool:
    """Return whether a stack is of a module that is being imported."""
    return any(
        frame.code.co_name == "<module>" and frame.module not in PROGRAMS for frame in origin.stack
    )


def container_name(container: Any) -> str:
    """Return the name of a container, with the names of the containers around it."""
    # Where the embedding provider was replaced, dependency-injector raises an error.
    with suppress(Exception):
        if name := container.parent_name:
            return str(name)
    return type(container).__name__ if container is not None else "container"


def target_name(target: Any) -> str:
    """Return the name of a wired module, package or class."""
    if isinstance(target, ModuleType):
        return target.__name__
    return f"{target.__module__}.{getattr(target, '__qualname__', target)}"


def description_of(provider: Any) -> str:
    """Return the kind of a provider and its object or function, such as "Object(3)"."""
    kind = type(provider).__name__
    # The text of an object that cannot be represented is its type's name.
    return f"{kind}({SHORT.repr(provider.provides)})" if hasattr(provider, "provides") else kind
