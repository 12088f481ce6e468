"""What stands in for an instrument when metrics are switched off."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast, final

from metrics.instruments._family import Family
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Instrument

F = TypeVar("F", bound=Callable[..., object])
I = TypeVar("I", bound=Instrument)  # noqa: E741 - as in family

NOTHING: AbstractContextManager[None] = nullcontext()


def noop(instrument: I) -> I:
    """Return an object that passes for `instrument` but ignores every update.

    What is read from it is what `instrument` says, which nobody ever updates. `isinstance` takes
    the one for the other.
    """
    return cast("I", Noop(instrument))


@final
class Noop(Shared):
    """Ignores every update an instrument can be given, and leaves reading to an unused one."""

    __slots__ = ("_child", "_instrument")

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self._child = Noop(instrument.prototype()) if isinstance(instrument, Family) else None

    @property  # type: ignore[misc] # isinstance() asks an object for its class
    def __class__(self) -> type:
        return type(self._instrument)

    def _ignore(self, *_args: object, **_kwargs: object) -> None:
        """Do nothing, because metrics are switched off."""

    inc = dec = set = set_max = mark = update = update_ns = tick = clear = _ignore

    def check(self) -> bool:
        """Return True: a check that is switched off does not run."""
        return True

    def remove(self, *_values: str, **_named: str) -> bool:
        """Return False: a family that is switched off has no children."""
        return False

    def labels(self, *_values: str, **_named: str) -> Any:
        """Return the one no-op that stands for every child of this family."""
        return self._child

    def time(self) -> AbstractContextManager[None]:
        """Return a context manager that does nothing."""
        return NOTHING

    def timed(self, function: F) -> F:
        """Return the function as it is."""
        return function

    def __getattr__(self, name: str) -> Any:
        return getattr(self._instrument, name)

    def __repr__(self) -> str:
        return f"<no-op {self._instrument!r}>"
