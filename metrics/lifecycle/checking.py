"""What is wrong with a container, as far as it can be seen before anything starts."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
from types import CellType, FunctionType, MethodType
from typing import Any, NamedTuple, cast

from dependency_injector import containers, providers

from metrics.lifecycle.order import Declarations, Provider, all_needs, in_order, name_of, names_of
from metrics.lifecycle.plan import CALLED, HANDED_OVER

MOST_CYCLES = 10


class Fault(StrEnum):
    """What can be wrong."""

    UNDEFINED = "UNDEFINED"
    """A dependency that nothing was given for."""
    CYCLE = "CYCLE"
    """Providers that need each other."""
    HIDDEN = "HIDDEN"
    """A resource that a closure or a plain collection hides: nobody sees who needs it."""
    STARTED_ON_CLASS = "STARTED_ON_CLASS"
    """A resource that was asked for on the container's class, where nothing stops it."""


class Problem(NamedTuple):
    """Something that is wrong with a container."""

    fault: Fault
    name: str
    """The dotted name of the provider it is found at."""
    message: str
    """What is wrong, and what to do."""

    def __str__(self) -> str:
        return self.message


def check(
    container: containers.Container | type[containers.DeclarativeContainer],
) -> tuple[Problem, ...]:
    """Return what is wrong with a container or a container's class; nothing is started.

    Finds dependencies that are undefined, providers that need each other, resources that are hidden
    in closures, default arguments and plain collections, and resources that were started on the
    class. What a hook asks a container for by itself cannot be seen.

    Raises:
        TypeError: `container` is neither.
    """
    origin = getattr(container, "declarative_parent", None) or container
    is_class = isinstance(origin, type) and issubclass(origin, containers.Container)
    if not is_class and not isinstance(container, containers.Container):
        raise TypeError(f"check() takes a container or a container's class, got {container!r}")
    declared = cast("Declarations", container)
    names = names_of(declared)
    steps = list(in_order(declared.providers.values(), all_needs))
    found = [problem for provider, _ in steps for problem in faults_of(provider, names)]
    found += cycles(dict(steps), names)
    if is_class:
        found += started_on_class(cast("Declarations", origin))
    return tuple(found)


def faults_of(provider: Provider, names: dict[Provider, str]) -> Iterator[Problem]:
    """Find what is wrong with one provider by itself."""
    name = name_of(provider, names)
    if isinstance(provider, providers.Dependency) and not provider.is_defined:
        yield Problem(
            Fault.UNDEFINED,
            name,
            f"dependency {name!r} is undefined: give the container a provider for it",
        )
    if provider.last_overriding is not None:
        return
    for resource in hidden_in(arguments_of(provider)):
        yield Problem(
            Fault.HIDDEN,
            name,
            f"{name!r} hides resource {name_of(resource, names)!r} in a function or a plain "
            "collection among its arguments: use providers.List or providers.Dict, or pass it by "
            "itself",
        )
    for resource in hidden_in([provider.provides] if isinstance(provider, CALLED) else []):
        yield Problem(
            Fault.HIDDEN,
            name,
            f"{name!r} hides resource {name_of(resource, names)!r} in the function that makes it: "
            "pass it as an argument",
        )


def arguments_of(provider: Provider) -> list[object]:
    """Return all that a provider was declared with, beside a function."""
    given: list[object] = []
    if isinstance(provider, (*CALLED, providers.List)):
        given += provider.args
    if isinstance(provider, (*CALLED, providers.Dict)):
        given += provider.kwargs.values()
    if isinstance(provider, providers.Factory | providers.BaseSingleton):
        given += provider.attributes.values()
    return given


def hidden_in(values: Iterable[object]) -> Iterator[providers.BaseResource[Any]]:
    """Find the resources that are needed by what is inside functions and plain collections."""
    ahead = [held for value in values for held in held_by(value)]
    seen: set[int] = set()
    inside: dict[Provider, None] = {}
    for value in ahead:
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, providers.Provider):
            inside[value] = None
        else:
            ahead += held_by(value)
    for provider, _ in in_order(inside, all_needs):
        if isinstance(provider, providers.BaseResource):
            yield provider


def held_by(value: object) -> Iterable[object]:
    """Return what is inside a function or a plain collection."""
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, MethodType):
        return [value.__func__]
    if isinstance(value, FunctionType):
        cells = [cell for cell in value.__closure__ or () if cell != CellType()]
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        wrapped = vars(value).get("__wrapped__")
        return [*(cell.cell_contents for cell in cells), *defaults, wrapped]
    return ()


def cycles(
    needs: dict[Provider, tuple[Provider, ...]], names: dict[Provider, str]
) -> Iterator[Problem]:
    """Find providers that need each other, and so could never be provided."""
    graph = {
        provider: set(() if isinstance(provider, HANDED_OVER) else needed)
        for provider, needed in needs.items()
    }
    for _ in range(MOST_CYCLES):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle: list[Provider] = error.args[1][::-1]
            path = [name_of(provider, names) for provider in cycle]
            yield Problem(
                Fault.CYCLE,
                path[0],
                f"{' needs '.join(path)}: give one of them what it needs only when it is used, "
                "with `.provider` for example",
            )
            graph[cycle[0]].discard(cycle[1])
        else:
            return


def started_on_class(declared: Declarations) -> Iterator[Problem]:
    """Find resources that are up although they only are the pattern of a container's."""
    names = names_of(declared)
    for provider, _ in in_order(declared.providers.values(), all_needs):
        if isinstance(provider, providers.BaseResource) and provider.initialized:
            name = name_of(provider, names)
            yield Problem(
                Fault.STARTED_ON_CLASS,
                name,
                f"{name!r} was started on the class, where nothing stops it: call its shutdown(), "
                f"and ask a container for it, Container().{name}() instead of Container.{name}()",
            )
