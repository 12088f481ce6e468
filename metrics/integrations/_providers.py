"""Registry of a page, resolved at each request: of a container, of a provider, or itself."""

from collections.abc import Callable
from typing import Any, Protocol

from metrics.errors import NotRunningError
from metrics.registry import Registry
from metrics.registry._inner import is_closed


class LifecycleOwner(Protocol):
    """Container whose resources are started and stopped."""

    def init_resources(self) -> Any:
        """Start the resources."""

    def shutdown_resources(self) -> Any:
        """Stop the resources."""


class RegistryContainer(Protocol):
    """Container with a registry, or any object whose attribute `registry` is or provides one."""

    @property
    def registry(self) -> Any:
        """The registry, or its provider."""


Source = Registry | Callable[[], Any] | RegistryContainer
"""Registry, provider of a registry, or container with a registry."""

RULE = "pass a Registry, its provider, or a container with a provider named `registry`"


def check_source(source: object) -> None:
    """Raise TypeError for an object that can provide no registry. Resolves nothing."""
    provider = provider_of(source)
    if not isinstance(provider, Registry) and not callable(provider):
        raise TypeError(f"invalid registry {source!r}: {RULE}")


def resolve(source: Source) -> Registry:
    """Return the running registry; starts nothing that is a resource of a container.

    Raises:
        NotRunningError: the container of the registry has not started, or has stopped.
        TypeError: the provider gives no registry.
    """
    found = provider_of(source)
    if not isinstance(found, Registry):
        if not is_running(found):
            raise NotRunningError(
                "the registry is not running: its container has not started, or has stopped"
            )
        found = found()
    found = provided_value(found)
    if not isinstance(found, Registry):
        raise TypeError(f"invalid registry {found!r}: {RULE}")
    if is_closed(found):
        raise NotRunningError("the registry is closed: its container has stopped")
    return found


def provided_value(provided: Any) -> Any:
    """Return a provided value; of a resource that depends on an async one, the future's result."""
    if callable(getattr(provided, "done", None)) and provided.done():
        return provided.result()
    return provided


def provider_of(source: object) -> Any:
    """Return the registry or its provider: the object itself, or that of a container."""
    if isinstance(source, Registry):
        return source
    # Containers of dependency-injector, their classes, and providers of containers have a dict of
    # providers. A container's class, and a provider of containers, are callable all the same.
    if isinstance(getattr(source, "providers", None), dict) or not callable(source):
        return getattr(source, "registry", None)
    return source


def is_running(provider: object) -> bool:
    """Return whether a call of a provider starts no resource.

    dependency-injector's resources have an attribute `initialized`, and all its providers know the
    ones that override them and the ones on which they depend.
    """
    override = getattr(provider, "last_overriding", None)
    if override is not None:
        return is_running(override)
    initialized = getattr(provider, "initialized", None)
    if isinstance(initialized, bool):
        return initialized
    return all(map(is_running, getattr(provider, "related", ())))
