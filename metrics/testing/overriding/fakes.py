"""Fakes: resources of a test in place of others, which their block starts and stops."""

import sys
from types import FunctionType
from typing import Any, cast, final

from dependency_injector import providers

from metrics.lifecycle import LifecycleContainer, Resource
from metrics.lifecycle._testing import LifecycleInstance
from metrics.testing.overriding.layers import Provider


@final
class Entered(Resource[Any]):
    """Context manager that is entered for a block."""


class Fakes(LifecycleContainer):
    """Owner of the fakes, so that the tested container borrows them and does not stop them."""

    # No time limit, so that a fake is exited in the thread in which it was entered.
    shutdown_timeout = None


def new_fakes() -> LifecycleInstance:
    """Return an empty container for fakes."""
    return cast("LifecycleInstance", Fakes())


def is_entered(given: object) -> bool:
    """Return whether a value is a context manager, and not a mock of everything."""
    kind = type(given)
    manager = hasattr(kind, "__enter__") or hasattr(kind, "__aenter__")
    mock = sys.modules.get("unittest.mock")
    return manager and not (mock is not None and isinstance(given, mock.NonCallableMock))


def enter(fakes: LifecycleInstance, name: str, given: object, *, in_loop: bool) -> Provider:
    """Return a provider of a value; a context manager becomes a fake, to be started.

    Args:
        fakes: starts and stops it.
        name: name of the overridden provider.
        given: the value.
        in_loop: whether one that is both kinds of context manager is entered as an async one.
    """
    if not is_entered(given):
        return providers.Object(given)

    async def hand_over() -> object:
        return given

    kind = type(given)
    asynchronous = hasattr(kind, "__aenter__") and (in_loop or not hasattr(kind, "__enter__"))
    hook: Any = hand_over if asynchronous else lambda: given
    # Messages name the hook: the class, or the function that `contextlib` has decorated.
    function = getattr(given, "func", None)
    named = function if isinstance(function, FunctionType) else kind
    hook.__module__, hook.__qualname__ = named.__module__, named.__qualname__
    fake = Entered(hook)
    fakes.set_provider(name, fake)
    return fake
