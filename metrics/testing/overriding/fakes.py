"""What takes the place of a part in a test, started and stopped by nobody but its block."""

import sys
from collections.abc import Collection, Iterable, Mapping
from typing import Any, cast, final

from dependency_injector import providers

from metrics.lifecycle.container import LifecycleContainer, LifecycleInstance
from metrics.lifecycle.order import declared_needs, in_order
from metrics.lifecycle.part import Part, State
from metrics.lifecycle.resource import Resource
from metrics.testing.overriding.holders import AnyContainer, AnyResource
from metrics.testing.overriding.layers import Provider


@final
class Entered(Resource[Any]):
    """A context manager that is entered for a block."""


class Fakes(LifecycleContainer):
    """Owns the parts that the tested container is lent, so that it does not stop them itself."""

    # No time limit, so that a fake is left in the thread in which it was entered.
    shutdown_timeout = None


def new_fakes() -> LifecycleInstance:
    """Return an empty container for fakes."""
    return cast("LifecycleInstance", Fakes())


def is_entered(given: object) -> bool:
    """Return whether something is a context manager, and not a mock of everything."""
    kind = type(given)
    manager = hasattr(kind, "__enter__") or hasattr(kind, "__aenter__")
    mock = sys.modules.get("unittest.mock")
    return manager and not (mock is not None and isinstance(given, mock.NonCallableMock))


def enter(fakes: LifecycleInstance, name: str, given: object, *, in_loop: bool) -> Provider:
    """Return what provides a value; a context manager becomes a fake, to be started.

    Args:
        fakes: what is to start and stop it.
        name: what it stands in for.
        given: the value.
        in_loop: whether one that is both kinds of context manager is entered as an async one.
    """
    if not is_entered(given):
        return providers.Object(given)

    async def hand_over() -> object:
        return given

    kind = type(given)
    asynchronous = hasattr(kind, "__aenter__") and (in_loop or not hasattr(kind, "__enter__"))
    fake = Entered(hand_over if asynchronous else lambda: given)
    fakes.set_provider(name, fake)
    return fake


def own(
    fakes: LifecycleInstance, given: Mapping[str, Provider], known: Collection[Provider]
) -> None:
    """Make the parts of providers fakes, unless they are up, or belong to a container.

    Args:
        fakes: what is to start and stop them.
        given: the providers, by the names of what they stand in for.
        known: what is declared in the tested container.
    """
    reached = [
        provider
        for provider, _ in in_order(given.values(), declared_needs)
        if isinstance(provider, providers.BaseResource)
    ]
    mine = [r for r in reached if r not in known and not r.initialized and not is_owned(r)]
    others = [r for r in reached if r not in mine]
    responsible = {part: (part.lifecycle, part.name) for part in parts_of(others)}
    for name, provider in given.items():
        fakes.set_provider(name, provider)
    # What else they need was adopted with them, and is given back.
    ownership = fakes._ownership
    for resource in others:
        ownership.stock.pop(resource, None)
    for part, known_by in responsible.items():
        ownership.lifecycle.parts.pop(part, None)
        part.lifecycle, part.name = known_by
    for part in parts_of(mine):
        if part.state in {State.STOPPED, State.FAILED}:
            part.reset(State.NEW)


def disown(fakes: LifecycleInstance, container: LifecycleInstance) -> None:
    """Let the fakes that are down be used again; whoever starts them next, stops them."""
    lent, borrower = fakes._ownership, container._ownership
    for part in lent.lifecycle.parts:
        if part.leave is None:
            part.lifecycle = None
    for resource in lent.stock:
        known = borrower.stock.pop(resource, None)
        if known is not None:
            borrower.lifecycle.record.pop(known, None)
            borrower.lifecycle.parts.pop(known, None)


def parts_of(among: Iterable[AnyResource]) -> list[Part]:
    """Return the parts of the resources that know theirs."""
    return [resource.part for resource in among if isinstance(resource, Resource)]


def is_owned(resource: AnyResource) -> bool:
    """Return whether a container that lives owns the part."""
    lifecycle = resource.part.lifecycle if isinstance(resource, Resource) else None
    return lifecycle is not None and lifecycle.owner() is not None


@final
class Borrowed:
    """A whole container that stands in for an embedded one; what the block starts, it stops."""

    def __init__(self, container: AnyContainer) -> None:
        self._container = container
        self._up = set(self._owned())

    def started(self) -> list[Part]:
        """Return what is up and was not at the beginning."""
        return [part for part in self._owned() if part not in self._up]

    def _owned(self) -> list[Part]:
        if not isinstance(self._container, LifecycleInstance):
            return []
        parts = self._container._ownership.owned(providers.BaseResource)
        return [part for part in parts if part.leave is not None]
