"""What is wrong with a container, as far as it can be seen before anything starts."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from graphlib import CycleError, TopologicalSorter
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
        return f"{self.name}: {self.message}"


def check(
    container: containers.Container | type[containers.DeclarativeContainer],
) -> tuple[Problem, ...]:
    """Return what is wrong with a container or a container's class; nothing is started.

    Finds dependencies that are undefined, providers that need each other, resources that are hidden
    in closures, default arguments and plain collections, and resources that were started on the
    class. What a hook asks a container for by itself cannot be seen.
    """
    declared: Any = container
    names = names_of(declared)
    steps = list(in_order(declared.providers.values(), all_needs))
    found = [problem for provider, _ in steps for problem in faults_of(provider, names)]
    found += cycles(dict(steps), names)
    origin = getattr(container, "declarative_parent", None) or container
    if isinstance(origin, type):
        found += started_on_class(cast("Declarations", origin))
    return tuple(found)


def faults_of(provider: Provider, names: dict[Provider, str]) -> Iterator[Problem]:
    """Find what is wrong with one provider by itself."""
    name = name_of(provider, names)
    if isinstance(provider, providers.Dependency) and not provider.is_defined:
        dotted = provider.parent_name or name
        yield Problem(
            Fault.UNDEFINED,
            names.get(provider, dotted),
            f"dependency {dotted!r} is undefined: give the container a provider for it",
        )
    if not isinstance(provider, CALLED) or provider.last_overriding is not None:
        return
    given = [*provider.args, *provider.kwargs.values()]
    for resource in hidden_in(value for value in given if not is_provider(value)):
        yield Problem(
            Fault.HIDDEN,
            name,
            f"resource {name_of(resource, names)!r} is hidden in a plain collection or function "
            "among its arguments: use providers.List or providers.Dict, or pass it by itself",
        )
    for resource in hidden_in([provider.provides] if not is_provider(provider.provides) else []):
        yield Problem(
            Fault.HIDDEN,
            name,
            f"resource {name_of(resource, names)!r} is hidden in the function that makes it: "
            "pass it as an argument",
        )


def hidden_in(values: Iterable[object]) -> Iterator[providers.BaseResource[Any]]:
    """Find resources inside functions and plain collections."""
    ahead, seen = list(values), set[int]()
    for value in ahead:
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, providers.BaseResource):
            yield value
        elif isinstance(value, functools.partial):
            ahead += [value.func, *value.args, *value.keywords.values()]
        elif isinstance(value, Mapping):
            ahead += value.values()
        elif isinstance(value, list | tuple | set | frozenset):
            ahead += value
        elif callable(value):
            ahead += function_holds(value)


def function_holds(function: object) -> Iterator[object]:
    """Return what a function has in its closure and default arguments, and what it wraps."""
    for cell in getattr(function, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    yield from getattr(function, "__defaults__", None) or ()
    yield from (getattr(function, "__kwdefaults__", None) or {}).values()
    if hasattr(function, "__wrapped__"):
        yield function.__wrapped__


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
                f"{' needs '.join(path)}: give one of them what it needs when it is used, "
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
                f"was started on the class, where nothing stops it: call its shutdown(), and ask "
                f"a container for it, Container().{name}() instead of Container.{name}()",
            )


def is_provider(value: object) -> bool:
    """Return whether something is a provider."""
    return bool(providers.is_provider(value))
