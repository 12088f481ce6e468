"""The provider of a part that is started and stopped."""

from typing import TypeVar

from dependency_injector import providers

T = TypeVar("T")


class Resource(providers.Resource[T]):
    """Provides what a context manager, a generator or a function yields, from start to stop.

    `Resource(hook, *args, **kwargs)`: the hook is entered when the container starts, with its
    arguments provided, and left when it stops. A type checker knows what calling it returns.
    """
