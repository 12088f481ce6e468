"""Which parts a container has, in the order in which they start, and which have to be awaited."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from dependency_injector import providers

from metrics.lifecycle.hooks import is_async_hook
from metrics.lifecycle.order import Needs, Provider, in_order
from metrics.lifecycle.part import Part, State

CALLED = (
    providers.Callable,
    providers.Factory,
    providers.BaseSingleton,
    providers.BaseResource,
)
"""The providers that call a function; asked for, they give what it returns."""

HANDED_OVER = (providers.Delegate, providers.Container, providers.Object)
"""The providers that hand over other providers without asking them for anything."""


class Step(NamedTuple):
    """A part, the provider that starts it, and whether that has to be awaited."""

    part: Part
    provider: providers.BaseResource[Any]
    asynchronous: bool


def plan(
    roots: Iterable[Provider],
    needs: Needs,
    part_of: Callable[[providers.BaseResource[Any]], Part | None],
) -> list[Step]:
    """Return what starting the roots takes: the parts, each after what it needs.

    Args:
        roots: providers, in the order of their declaration.
        needs: what a provider needs.
        part_of: the part of a resource; None when somebody else has started it.
    """
    steps: list[Step] = []
    awaited: set[Provider] = set()
    asynchronous: dict[object, bool] = {}
    for provider, needed in in_order(roots, needs):
        waits = any(n in awaited for n in needed if not is_delegated(n))
        waits = waits and not isinstance(provider, HANDED_OVER)
        overridden = provider.last_overriding is not None
        if isinstance(provider, CALLED) and not overridden and not waits:
            hook = provider.provides
            if hook not in asynchronous:
                asynchronous[hook] = is_async_hook(hook)
            waits = asynchronous[hook]
        if isinstance(provider, providers.BaseResource) and not overridden:
            step = step_of(provider, part_of(provider), waits=waits)
            if step is not None:
                steps.append(step)
                waits = step.asynchronous
        if waits:
            awaited.add(provider)
    return steps


def step_of(
    provider: providers.BaseResource[Any], part: Part | None, *, waits: bool
) -> Step | None:
    """Return the step that starts a part."""
    if part is None:
        return None
    # What a part that is up was started with is not looked at again.
    return Step(part, provider, waits or (part.state is State.RUNNING and part.asynchronous))


def is_delegated(provider: Provider) -> bool:
    """Return whether others are given the provider itself instead of what it provides."""
    return bool(providers.is_delegated(provider))
