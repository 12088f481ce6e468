"""No-ops: stand-ins for the instruments of a disabled registry."""

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from metrics.instruments import Family, Instrument
from metrics.instruments._inner import NO_BLOCK, NoBlock, Shared
from metrics.registry._shortcuts import KINDS, TABLE

F = TypeVar("F", bound=Callable[..., object])
I = TypeVar("I", bound=Instrument)  # noqa: E741 - as in family

UPDATES = frozenset([name for kind in TABLE for name in kind.updates])
"""Updates that a no-op of a foreign instrument ignores."""


def noop(instrument: I) -> I:
    """Return an object that passes for `instrument` and ignores every update.

    It is read as `instrument`, which is never updated. `isinstance` takes it for an `instrument`.
    """
    kind = KINDS.get(type(instrument))
    ignored = UPDATES if kind is None else frozenset(kind.updates)
    return cast("I", noop_class(ignored)(instrument))


class Noop(Shared):
    """Stand-in that ignores updates, and is read as an unused instrument."""

    __slots__ = ("_child", "_instrument")

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._child = noop(instrument.prototype()) if isinstance(instrument, Family) else None

    @property  # type: ignore[misc] # isinstance() requests the class of an object
    def __class__(self) -> type:
        return type(self._instrument)

    def check(self) -> bool:
        """Return True: a disabled check does not run."""
        return True

    def remove(self, *_values: str, **_named: str) -> bool:
        """Return False: a disabled family has no children."""
        return False

    def remove_matching(self, *_labels: object, **_named: object) -> int:
        """Return 0: a disabled family has no children."""
        return 0

    def labels(self, *_values: str, **_named: str) -> Any:
        """Return the one no-op that stands for every child of a family."""
        return self._child

    def _block(self, *_args: object, **_kwargs: object) -> NoBlock:
        """Return a block and decorator that does nothing."""
        return NO_BLOCK

    time = track_inprogress = count_exceptions = _block

    def timed(self, function: F) -> F:
        """Return the function unchanged."""
        return function

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instrument, name)

    def __repr__(self) -> str:
        return f"<no-op {self._instrument!r}>"


def ignore(self: Noop, *_args: object, **_kwargs: object) -> None:
    """Do nothing, because metrics are disabled."""


@cache
def noop_class(updates: frozenset[str]) -> Callable[[Instrument], Noop]:
    """Return the class of no-ops that ignore these updates."""
    namespace: dict[str, object] = {"__slots__": (), "__module__": __name__}
    return type("Noop", (Noop,), namespace | dict.fromkeys(updates, ignore))
