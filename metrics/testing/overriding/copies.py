"""What stands in for singletons made of what is replaced, so that theirs are kept for later."""

from collections.abc import Iterable
from typing import Any, cast

from metrics.lifecycle.singletons import Singleton, forget, is_singleton
from metrics.testing.overriding.layers import Provider, put_under, take_out

# The copies that lie over singletons at present.
_copies: set[Provider] = set()


def copy_singletons(among: Iterable[Provider], made: dict[Provider, Provider]) -> None:
    """Have singletons made anew, by a copy over each; enter which copy lies over which."""
    for provider in among:
        if is_singleton(provider) and provider not in _copies:
            copy = made[provider] = copy_of(provider)
            put_under(provider, _copies, copy)
            _copies.add(copy)


def copy_of(singleton: Singleton) -> Singleton:
    """Return a singleton that is declared like another, and has made nothing yet."""
    made_of: Any = singleton
    copy: Any = type(singleton)()
    copy.set_provides(made_of.provides)
    copy.set_args(*made_of.args)
    copy.set_kwargs(**made_of.kwargs)
    copy.set_attributes(**made_of.attributes)
    return cast("Singleton", copy)


def take_back(copies: dict[Provider, Provider]) -> None:
    """Let the singletons provide what they have kept."""
    for singleton, copy in copies.items():
        take_out(singleton, copy)
        _copies.discard(copy)


def remake(stale: Iterable[Provider], in_use: Iterable[Provider]) -> None:
    """Have singletons made anew.

    Args:
        stale: the copies among these, whether or not they are in use.
        in_use: the others among these, unless something lies over them.
    """
    for provider in stale:
        if provider in _copies and is_singleton(provider):
            forget(provider)
    for provider in in_use:
        if provider not in _copies and is_singleton(provider) and not provider.overridden:
            forget(provider)
