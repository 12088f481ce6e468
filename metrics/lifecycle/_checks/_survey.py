"""Inspection of a container: the faults of its providers, one by one."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

from dependency_injector import providers

from metrics import resources
from metrics.lifecycle._checks._calls import UNKNOWN, Calls, is_known
from metrics.lifecycle._checks._hidden import (
    Hidden,
    arguments_of,
    copies_of,
    hidden_declarations,
    hidden_in,
    root_of,
)
from metrics.lifecycle._checks._options import unknown_options
from metrics.lifecycle._checks._problems import Fault, Problem
from metrics.lifecycle._checks._signatures import (
    Signatures,
    article,
    fits,
    makes_context_manager,
    of_library,
)
from metrics.lifecycle._graph import (
    CALLED,
    HANDED_OVER,
    Declarations,
    Provider,
    all_needs,
    in_order,
    is_delegated,
    name_of,
    names_of,
    related,
)
from metrics.lifecycle._hooks import hook_name
from metrics.resources._shortcut_hooks import TICKED

MOST_CYCLES = 10

MAKING = (providers.Callable, providers.Factory, providers.BaseSingleton)

OPTIONS = (providers.ConfigurationOption, providers.TypedConfigurationOption)

ABSTRACT = (
    providers.AbstractCallable,
    providers.AbstractCoroutine,
    providers.AbstractFactory,
    providers.AbstractSingleton,
)


class Survey:
    """One inspection of a container: reads every name and signature once."""

    def __init__(self, container: Declarations, *, calling: bool) -> None:
        self._container = container
        self._calls = Calls(of_class=isinstance(container, type), calling=calling)
        self._signatures = Signatures()

    @cached_property
    def names(self) -> dict[Provider, str]:
        """The dotted names of the providers."""
        return names_of(self._container)

    def all_problems(self) -> list[Problem]:
        """Return every problem."""
        roots = list(self._container.providers.values())
        steps = dict(in_order(roots, all_needs))
        branches = {
            branch
            for provider in steps
            if isinstance(provider, providers.Selector)
            for branch in provider.providers.values()
        }

        def in_use(provider: Provider) -> Iterable[Provider]:
            if isinstance(provider, providers.Container):
                return (needed for needed in related(provider) if needed not in branches)
            if isinstance(provider, providers.Selector):
                return self._calls.needs(provider)
            return all_needs(provider)

        used = {p for p, _ in in_order((r for r in roots if r not in branches), in_use)}
        needed = (need for provider in used for need in self._calls.needs(provider))
        called = {provider for provider, _ in in_order(needed, self._calls.needs)}
        found: list[Problem] = []
        for provider in steps:
            if isinstance(provider, providers.Selector):
                found += self._selector_faults(provider) if provider in used else ()
            else:
                found += self._faults_of(provider, called=provider in called)
            found += self._misplaced(provider, certain=False)
            found += self._hidden(provider)
            found += self._without_ticker(provider)
        found += cycles(steps, self.names)
        found += self._redeclared(certain=False)
        for prefix, declared in self._containers():
            found += self._unknown_options(prefix, declared)
        return found

    def startup_problems(self, starting: Iterable[Provider]) -> Iterator[Problem]:
        """Find the certain problems of starting some resources."""
        done: set[Provider] = set()
        steps: dict[Provider, tuple[Provider, ...]] = {}
        cyclic = False
        for provider, needs in in_order(starting, self._calls.needs):
            steps[provider] = needs
            done.add(provider)
            cyclic = cyclic or not done.issuperset(needs)
            yield from self._faults_of(provider, called=True)
            yield from self._misplaced(provider, certain=True)
        for prefix, declared in self._containers():
            if not done.isdisjoint(declared.providers.values()):
                yield from self._unknown_options(prefix, declared)
            for provider in declared.providers.values():
                if provider not in done:
                    yield from self._misplaced(provider, certain=True)
                    if isinstance(provider, providers.Selector):
                        yield from self._idle_selector_faults(provider)
        if cyclic:
            yield from cycles(steps, self.names)
        yield from self._redeclared(certain=True)

    def _faults_of(self, provider: Provider, *, called: bool) -> Iterable[Problem]:
        """Find the faults of one provider by itself.

        Args:
            provider: the provider.
            called: whether it is certainly called, with no other arguments than its own.
        """
        if provider.last_overriding is not None:
            return ()
        if isinstance(provider, CALLED):
            return self._call_faults(provider, called=called) if is_known(provider) else ()
        if isinstance(provider, providers.Dependency):
            return () if provider.is_defined else [self._undefined(provider)]
        if isinstance(provider, providers.ConfigurationOption):
            return self._option_faults(provider) if called else ()
        if isinstance(provider, providers.Selector):
            return self._selector_faults(provider)
        return ()

    def _undefined(self, provider: Provider) -> Problem:
        name = name_of(provider, self.names)
        if isinstance(provider, ABSTRACT):
            message = f"abstract provider {name!r} is undefined: override it with a provider"
        else:
            message = f"dependency {name!r} is undefined: give the container a provider for it"
        return Problem(Fault.UNDEFINED, name, message)

    def _call_faults(self, provider: Any, *, called: bool) -> list[Problem]:
        if isinstance(provider, ABSTRACT):
            return [self._undefined(provider)] if called else []
        hook, args, kwargs = provider.provides, provider.args, provider.kwargs
        resource = isinstance(provider, providers.BaseResource)
        if hook is None or providers.is_provider(hook) or (resource and provider.initialized):
            return []
        error = self._signatures.error(hook, args, kwargs, whole=called or resource)
        if error:
            name = name_of(provider, self.names)
            message = f"{name!r} does not give {hook_name(hook)} the arguments it takes: {error}"
            return [Problem(Fault.SIGNATURE, name, message)]
        wrong = self._signatures.wrong(hook, args, kwargs)
        if not wrong:
            return []
        (parameter, argument, kind), *others = wrong
        remedy = f"pass {parameter.wanted}"
        for other in others:
            if fits(other.type, parameter.types):
                remedy = f"swap it with argument {other.parameter.name!r}"
        given = article(kind)
        if providers.is_provider(argument):
            given += f" from {name_of(cast('Provider', argument), self.names)!r}"
        name = name_of(provider, self.names)
        message = (
            f"argument {parameter.name!r} of {name!r} ({hook_name(hook)}) takes "
            f"{parameter.wanted}, got {given}: {remedy}"
        )
        return [Problem(Fault.WRONG_ARGUMENT, name, message)]

    def _option_faults(self, option: providers.ConfigurationOption) -> list[Problem]:
        error = self._calls.read(option).error
        if not error:
            return []
        root: Any = option._get_root()
        segments: Any = option.get_name_segments()
        name = ".".join([self.names.get(root, root.get_name()), *segments])
        message = f"configuration option {name!r} is undefined: {error}; set it before the start"
        return [Problem(Fault.MISSING_OPTION, name, message)]

    def _unknown_options(self, prefix: str, declared: Declarations) -> Iterator[Problem]:
        """Find the misspelt keys in the configuration of one container."""
        config = declared.providers.get("config")
        if isinstance(config, providers.Configuration):
            values = self._calls.values_of(config)
            for key, message in unknown_options(self._container, declared, config, values):
                yield Problem(Fault.UNKNOWN_OPTION, f"{prefix}config.{key}", message)

    def _selector_faults(self, selector: providers.Selector[Any]) -> list[Problem]:
        key = UNKNOWN if selector.last_overriding is not None else self._calls.key_of(selector)
        if key is UNKNOWN or key in selector.providers:
            return []
        name = name_of(selector, self.names)
        message = (
            f"selector {name!r} has no branch for its key {key!r}: "
            f"select one of {', '.join(map(repr, selector.providers)) or 'none'}"
        )
        return [Problem(Fault.NO_BRANCH, name, message)]

    def _idle_selector_faults(self, selector: providers.Selector[Any]) -> list[Problem]:
        """Find the faults of a selector that may be called after the start, or never.

        Without a key it is switched off, and any other callable may give another key by then.
        """
        asked: Any = selector.selector
        is_fixed = isinstance(asked, OPTIONS) and self._calls.key_of(selector) is not None
        return self._selector_faults(selector) if is_fixed else []

    def _misplaced(self, provider: Provider, *, certain: bool) -> list[Problem]:
        """Find a context manager that nothing enters.

        A singleton of one could be entered only once. A factory is meant for callers that enter it
        themselves if it is handed over or lacks arguments; if the context manager is not one of the
        library's hooks, that remains possible.
        """
        singleton = isinstance(provider, providers.BaseSingleton)
        if not isinstance(provider, MAKING):
            return []
        hook = provider.provides
        if provider.last_overriding is not None or not makes_context_manager(hook):
            return []
        if not singleton and (
            is_delegated(provider)
            or (certain and not of_library(hook))
            or self._signatures.error(hook, provider.args, provider.kwargs, whole=True)
            or provider in self._handed_over
        ):
            return []
        name = name_of(provider, self.names)
        message = (
            f"{name!r} is a {type(provider).__name__} of {hook_name(hook)}, which returns a "
            "context manager that nothing enters: declare it with Resource"
        )
        return [Problem(Fault.NOT_A_RESOURCE, name, message)]

    @cached_property
    def _handed_over(self) -> set[Provider]:
        """The providers that others are given to call them."""
        steps = dict(in_order(self._container.providers.values(), all_needs))
        handing = [need for needs in steps.values() for need in needs if is_delegated(need)]
        delegates = [need for p in steps if isinstance(p, providers.Delegate) for need in steps[p]]
        return {*handing, *delegates}

    def _hidden(self, provider: Provider) -> Iterator[Problem]:
        if provider.last_overriding is not None:
            return
        name = name_of(provider, self.names)
        for resource in hidden_in(arguments_of(provider)):
            yield Problem(
                Fault.HIDDEN,
                name,
                f"{name!r} hides resource {name_of(resource, self.names)!r} in a function or a "
                "plain collection among its arguments: use providers.List or providers.Dict, or "
                "pass it by itself",
            )
        for resource in hidden_in([provider.provides] if isinstance(provider, CALLED) else []):
            yield Problem(
                Fault.HIDDEN,
                name,
                f"{name!r} hides resource {name_of(resource, self.names)!r} in the function that "
                "makes it: pass it as an argument",
            )

    def _without_ticker(self, provider: Any) -> Iterator[Problem]:
        if lacks_ticker(provider):
            name = name_of(provider, self.names)
            yield Problem(
                Fault.NO_TICKER,
                name,
                f"{name!r} ({hook_name(provider.provides)}) has to be ticked, and its registry has "
                "no ticker: declare the registry with `ticker=`, or this resource",
            )

    def _containers(self) -> Iterator[tuple[str, Declarations]]:
        """Iterate over the container and its embedded ones, with the prefixes of their names."""
        ahead = [("", self._container)]
        for prefix, declared in ahead:
            yield prefix, declared
            for name, provider in declared.providers.items():
                if isinstance(provider, providers.Container) and provider.container is not None:
                    ahead.append((f"{prefix}{name}.", provider.container))

    def _redeclared(self, *, certain: bool) -> Iterator[Problem]:
        for prefix, declared in self._containers():
            cls: Any = getattr(declared, "declarative_parent", None) or declared
            for hidden in hidden_declarations(cls):
                if certain and not isinstance(hidden.provider, providers.BaseResource):
                    continue
                users = self._users_of({hidden.provider}, cls, hidden.name)
                if users and declared is not cls:
                    # An instance has copies of the providers, and may have been overridden.
                    users = self._users_of(copies_of(hidden, declared), declared, hidden.name)
                if users:
                    yield redeclaration(hidden, cls, prefix, users)

    def _users_of(self, hidden: set[Provider], declared: Declarations, name: str) -> list[str]:
        """Return the names of the providers that use hidden ones other than through a wrapper."""
        wrapper = declared.providers[name]

        def selecting(provider: Provider) -> Iterable[Provider]:
            if provider is wrapper:
                return ()
            if provider.last_overriding is None and isinstance(provider, providers.Selector):
                return self._calls.needs(provider)
            return all_needs(provider)

        names = names_of(declared)
        return [
            name_of(provider, names)
            for provider, needs in in_order(declared.providers.values(), selecting)
            if any(need in hidden or root_of(need) in hidden for need in needs)
            and not isinstance(provider, providers.Configuration | providers.ConfigurationOption)
        ]


def redeclaration(hidden: Hidden, cls: type, prefix: str, users: list[str]) -> Problem:
    """Return the problem of a provider that is hidden and used all the same."""
    owner = hidden.owner.__name__
    resource = isinstance(hidden.provider, providers.BaseResource)
    return Problem(
        Fault.REDECLARED,
        prefix + hidden.name,
        f"{prefix + hidden.name!r} is redeclared in {cls.__name__}, but "
        f"{', '.join(repr(prefix + user) for user in users)} still "
        f"{'uses' if len(users) == 1 else 'use'} {owner}.{hidden.name}"
        f"{', which starts as well' * resource}: redeclare the users too, decorate {cls.__name__} "
        f"with @containers.copy({owner}), or override {hidden.name!r} instead",
    )


def cycles(
    needs: dict[Provider, tuple[Provider, ...]], names: dict[Provider, str]
) -> Iterator[Problem]:
    """Find providers that need each other, and so could never be provided."""
    graph = {
        provider: set(() if isinstance(provider, HANDED_OVER) else needed)
        for provider, needed in needs.items()
    }
    places = {provider: place for place, provider in enumerate(names)}
    for _ in range(MOST_CYCLES):
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            cycle: list[Provider] = error.args[1][::-1]
            # It may begin anywhere; the first declared provider is the best known.
            first = min(range(len(cycle) - 1), key=lambda i: places.get(cycle[i], len(places)))
            cycle = [*cycle[first:-1], *cycle[:first], cycle[first]]
            path = [name_of(provider, names) for provider in cycle]
            yield Problem(
                Fault.CYCLE,
                path[0],
                f"{' needs '.join(path)}: {path[0]!r} needs itself to start; pass one of them as "
                "`.provider`, for the other to call it when it is used",
            )
            graph[cycle[0]].discard(cycle[1])
        else:
            return


def lacks_ticker(provider: Any) -> bool:
    """Return whether a resource has to be ticked, and neither it nor its registry has a ticker.

    A registry whose declaration is not in sight may have one.
    """
    if not is_declared(provider) or not getattr(provider.provides, TICKED, False):
        return False
    if provider.kwargs.get("ticker") is not None:
        return False
    registry = provider.args[0] if provider.args else provider.kwargs.get("registry")
    return (
        is_declared(registry)
        and registry.provides is resources.registry
        and registry.kwargs.get("ticker") is None
    )


def is_declared(provider: Any) -> bool:
    """Return whether a provider is a resource that is not overridden."""
    return isinstance(provider, providers.Resource) and provider.last_overriding is None
