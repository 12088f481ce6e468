"""Hidden providers: in closures and plain collections, or behind redeclarations in subclasses."""

import functools
from collections.abc import Iterable, Iterator, Mapping
from types import CellType, FunctionType, MethodType
from typing import Any, NamedTuple, cast

from dependency_injector import providers

from metrics.lifecycle._graph import CALLED, Declarations, Provider, all_needs, in_order, names_of


class Hidden(NamedTuple):
    """A provider that a subclass has declared another provider of the same name for."""

    name: str
    provider: Provider
    owner: type


def hidden_declarations(cls: object) -> Iterator[Hidden]:
    """Find the providers that were declared in base classes of a container and redeclared since."""
    if not isinstance(cls, type):
        return
    declared = cast("Declarations", cls).providers
    bases = [base for base in cls.__mro__ if vars(base).get("cls_providers")]
    if len(bases) == 1:
        return
    in_use = set(declared.values())
    for base in bases:
        for name, provider in vars(base)["cls_providers"].items():
            if name in declared and provider not in in_use:
                yield Hidden(name, provider, base)


def copies_of(hidden: Hidden, declared: Declarations) -> set[Provider]:
    """Return the providers of an instance that were copied from a hidden provider of its class."""
    named = names_of(declared)
    kind, made = type(hidden.provider), getattr(hidden.provider, "provides", None)
    found = set()
    for step in in_order(declared.providers.values(), all_needs):
        for provider in (step.provider, root_of(step.provider)):
            if type(provider) is not kind or provider in named:
                continue
            copied = getattr(provider, "provides", None)
            if copied is made or kind is providers.Configuration:
                found.add(provider)
    return found


def root_of(provider: Provider) -> Provider | None:
    """Return the configuration of an option; None for any other provider."""
    if not isinstance(provider, providers.ConfigurationOption):
        return None
    root: Provider = provider._get_root()
    return root


def arguments_of(provider: Provider) -> list[object]:
    """Return all arguments that a provider was declared with."""
    given: list[object] = []
    if isinstance(provider, (*CALLED, providers.List)):
        given += provider.args
    if isinstance(provider, (*CALLED, providers.Dict)):
        given += provider.kwargs.values()
    if isinstance(provider, providers.Factory | providers.BaseSingleton):
        given += provider.attributes.values()
    return given


def hidden_in(values: Iterable[object]) -> Iterator[providers.BaseResource[Any]]:
    """Find the resources that the contents of functions and plain collections need."""
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
    """Return the contents of a function or a plain collection."""
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
