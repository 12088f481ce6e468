"""Faults of a container that can be seen before any resource starts.

`check()` reports all of them. Before it calls any hook, `init_resources()` reports the faults that
certainly concern the resources it is about to start.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

from dependency_injector import containers, providers

from metrics.errors import CheckError
from metrics.lifecycle._checks._problems import Fault, Problem
from metrics.lifecycle._checks._survey import Survey
from metrics.lifecycle._graph import (
    Declarations,
    Step,
    all_needs,
    in_order,
    name_of,
    names_of,
    related,
)

__all__ = [
    "Fault",
    "Problem",
    "check",
    "raise_problems",
    "reset_options",
    "startup_problems",
]


def check(
    container: containers.Container | type[containers.DeclarativeContainer],
) -> tuple[Problem, ...]:
    """Return the problems of a container or of a container's class; nothing is started.

    Of a class, options and selectors are checked once its configuration has a value: usually only
    its instances are configured. Resources that a hook requests from a container by itself cannot
    be seen.

    Raises:
        TypeError: `container` is neither.
    """
    origin = getattr(container, "declarative_parent", None) or container
    is_class = isinstance(origin, type) and issubclass(origin, containers.Container)
    if not is_class and not isinstance(container, containers.Container):
        raise TypeError(f"check() takes a container or a container's class, got {container!r}")
    survey = Survey(cast("Declarations", container), calling=False)
    found = survey.all_problems()
    if is_class:
        found += started_on_class(cast("Declarations", origin))
    return tuple(dict.fromkeys(found))


def startup_problems(container: Declarations, steps: Iterable[Step]) -> list[Problem]:
    """Return the certain problems of a start.

    A hook would raise, a second resource would run, or an option would have no effect.

    Args:
        container: the container that starts.
        steps: the steps of the start; resources that run already are not checked.
    """
    starting = [step.provider for step in steps if not step.provider.initialized]
    return list(dict.fromkeys(Survey(container, calling=True).startup_problems(starting)))


def raise_problems(name: str, problems: Sequence[Problem]) -> None:
    """Raise CheckError with a line for each problem of a container, if there are any."""
    if problems:
        count = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise CheckError(f"{name} has {count} and was not started:{lines}", problems)


def reset_options(container: Declarations) -> None:
    """Let the configuration options of a container be read again.

    An option keeps the value of its first read until its configuration is overridden. That misses
    options made by `required()`, which their configuration does not know, and values that were
    changed in place.
    """
    ahead = list(container.providers.values())
    seen = set(ahead)
    for provider in ahead:
        if isinstance(provider, providers.ConfigurationOption):
            provider.reset_cache()
        found = [needed for needed in related(provider) if needed not in seen]
        seen.update(found)
        ahead += found


def started_on_class(declared: Declarations) -> Iterator[Problem]:
    """Find running resources of a class, which are only the pattern of a container's."""
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
