"""Copies that override singletons for a block, so that these keep their products for later."""

from collections.abc import Iterable
from typing import Any, cast

from dependency_injector import providers

from metrics.lifecycle._testing import is_singleton, reset_singleton
from metrics.testing.overriding._layers import insert_copy, remove_copy
from metrics.testing.overriding._options import Provider

_copies: set[Provider] = set()
"""The copies that override singletons at present."""


def copy_singletons(among: Iterable[Provider], copies: dict[Provider, Provider]) -> None:
    """Have singletons recreated, by a copy over each; enter the copies by their singletons."""
    for provider in among:
        if is_singleton(provider) and provider not in _copies:
            copy = copies[provider] = copy_of(provider)
            insert_copy(provider, _copies, copy)
            _copies.add(copy)


def copy_of(singleton: providers.BaseSingleton[Any]) -> providers.BaseSingleton[Any]:
    """Return a singleton that is declared like another, without a product."""
    declared: Any = singleton
    copy: Any = type(singleton)()
    copy.set_provides(declared.provides)
    copy.set_args(*declared.args)
    copy.set_kwargs(**declared.kwargs)
    copy.set_attributes(**declared.attributes)
    return cast("providers.BaseSingleton[Any]", copy)


def remove_copies(copies: dict[Provider, Provider]) -> None:
    """Let the singletons provide the products that they have kept."""
    for singleton, copy in copies.items():
        remove_copy(singleton, copy)
        _copies.discard(copy)


def recreate(stale: Iterable[Provider], in_use: Iterable[Provider]) -> None:
    """Have singletons recreated.

    Args:
        stale: the copies among these, whether or not they are in use.
        in_use: the others among these, unless they are overridden.
    """
    for provider in stale:
        if provider in _copies and is_singleton(provider):
            reset_singleton(provider)
    for provider in in_use:
        if provider not in _copies and is_singleton(provider) and not provider.overridden:
            reset_singleton(provider)
