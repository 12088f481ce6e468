"""Containers that were collected while they ran: nobody was left who could have stopped them.

They stop by themselves, when the garbage collector comes to them, and a look afterwards would find
nothing. To keep them until then would change what is tested.
"""

from typing import Any, NamedTuple
from weakref import ref


class Dropped(NamedTuple):
    """A container that was collected while it ran."""

    lifecycle: Any
    """What has started and stopped its parts; kept, so that no other can have its identity."""
    parts: tuple[str, ...]
    """The names of what was up."""


dropped: dict[int, Dropped] = {}
"""By the identity of the life cycle, as one that runs is known."""

_watched: dict[int, ref[Any]] = {}


def watch(lifecycle: Any) -> None:
    """Notice when the container of a life cycle is collected while it runs."""
    key, owner = id(lifecycle), lifecycle.owner()
    container = None if owner is None else owner.container
    if container is None or key in _watched:
        return

    def collected(_: ref[Any]) -> None:
        _watched.pop(key, None)
        if up := tuple(part.name for part in list(lifecycle.record) if part.state == "RUNNING"):
            dropped[key] = Dropped(lifecycle, up)

    # Of all that is called when it is collected the latest is first: before its parts are stopped.
    _watched[key] = ref(container, collected)


def forget() -> None:
    """Watch no container any more."""
    _watched.clear()
    dropped.clear()
