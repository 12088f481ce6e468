"""Fakes: resources of a test in place of others, which their block starts and stops."""

from types import FunctionType
from typing import Any, cast, final

from metrics.lifecycle import LifecycleContainer, Resource
from metrics.lifecycle._testing import LifecycleInstance
from metrics.testing._ticker import ManualTicker
from metrics.testing.overriding._options import Provider


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
    """Return whether a value is entered for the block.

    Only values that exist to be entered are: objects made by `contextlib`, and manual tickers.
    Others, such as locks, clients and files, can be entered as well, but a container provides them
    as they are, and the program enters them.
    """
    return type(given).__module__ == "contextlib" or isinstance(given, ManualTicker)


def enter(fakes: LifecycleInstance, name: str, given: object) -> Provider:
    """Return a provider of the value that a context manager gives, to be started with the fakes.

    Args:
        fakes: starts and stops it.
        name: name of the overridden provider.
        given: the context manager.
    """

    async def hand_over() -> object:
        return given

    kind = type(given)
    hook: Any = (lambda: given) if hasattr(kind, "__enter__") else hand_over
    # Messages name the hook: the class, or the function that `contextlib` has decorated.
    function = getattr(given, "func", None)
    named = function if isinstance(function, FunctionType) else kind
    hook.__module__, hook.__qualname__ = named.__module__, named.__qualname__
    fake = Entered(hook)
    fakes.set_provider(name, fake)
    return fake
