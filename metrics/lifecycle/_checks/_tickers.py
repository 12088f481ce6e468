"""Resources that have to be ticked, declared on a registry without a ticker."""

from typing import Any

from dependency_injector import providers

from metrics import resources
from metrics.resources._shortcut_hooks import TICKED


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
