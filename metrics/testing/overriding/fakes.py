"""What takes the place of a part in a test, started and stopped by nobody but its block."""

import sys
from collections.abc import Collection, Iterable
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


def enter(fakes: LifecycleInstance, name: str, given: object) -> Provider:
    """Return what provides a value; a context manager becomes a fake, to be started."""
    if not is_entered(given):
        return providers.Object(given)

    async def hand_over() -> object:
        return given

    fake = Entered((lambda: given) if hasattr(type(given), "__enter__") else hand_over)
    fakes.set_provider(name, fake)
    return fake


def own(fakes: LifecycleInstance, name: str, given: Provider, known: Collection[Provider]) -> None:
    """Make the parts of a provider fakes, unless they are up, or belong to a container.

    Args:
        fakes: what is to start and stop them.
        name: what the provider stands in for.
        given: the provider.
        known: what is declared in the tested container.
    """
    reached = [
        provider
        for provider, _ in in_order([given], declared_needs)
        if isinstance(provider, providers.BaseResource)
    ]
    ownership = fakes._ownership
    responsible = {part: part.lifecycle for part in parts_of(reached)}
    mine = [r for r in reached if r not in known and not r.initialized and not is_owned(r)]
    for number, resource in enumerate(mine):
        fakes.set_provider(name if resource is given else f"{name} ({number})", resource)
    # What the fakes need was adopted with them, and is given back.
    for resource in reached:
        if resource not in mine:
            ownership.stock.pop(resource, None)
    for part in parts_of(r for r in reached if r not in mine):
        ownership.lifecycle.parts.pop(part, None)
        part.lifecycle = responsible[part]
    for part in parts_of(mine):
        if part.state in {State.STOPPED, State.FAILED}:
            part.reset(State.NEW)


def disown(fakes: LifecycleInstance, container: LifecycleInstance) -> None:
    """Let the fakes that are down be used again; whoever starts them next, stops them."""
    ownership = container._ownership
    for provider in fakes.providers.values():
        if isinstance(provider, Resource):
            if not provider.initialized:
                provider.part.lifecycle = None
        elif isinstance(provider, providers.BaseResource):
            part = ownership.stock.pop(provider, None)
            if part is not None:
                ownership.lifecycle.record.pop(part, None)
                ownership.lifecycle.parts.pop(part, None)


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
