"""Containers that were collected while they ran, without a reference left that could stop them.

They stop by themselves when the garbage collector finds them, so that a check afterwards would find
nothing. To keep them until then would change the tested program.
"""

from typing import Any, NamedTuple
from weakref import ref


class Dropped(NamedTuple):
    """Container that was collected while it ran."""

    lifecycle: Any
    """Its lifecycle; kept, so that no other can have its identity."""
    resources: tuple[str, ...]
    """Names of the resources that ran."""


dropped: dict[int, Dropped] = {}
"""By the identity of the lifecycle, as running containers are known."""

_watched: dict[int, ref[Any]] = {}


def watch(_origin: Any, lifecycle: Any, *_: Any) -> None:
    """Notice when the container of a lifecycle is collected while it runs."""
    from metrics.lifecycle import _testing as face  # noqa: PLC0415 - loaded with the lifecycle

    key, container = id(lifecycle), face.container_of(lifecycle)
    if container is None or key in _watched:
        return

    def collected(_: ref[Any]) -> None:
        _watched.pop(key, None)
        resources = face.use_of(lifecycle).resources.items()
        if up := tuple(name for name, state in resources if state == "RUNNING"):
            dropped[key] = Dropped(lifecycle, up)

    # The latest callback of a reference is called first: before the resources are stopped.
    _watched[key] = ref(container, collected)


def forget() -> None:
    """Watch no container any more."""
    _watched.clear()
    dropped.clear()
