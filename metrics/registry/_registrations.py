"""Instruments that are registered together, and unregistered together."""

from collections.abc import Callable
from logging import getLogger
from typing import Any, Self, TypeVar, final

from metrics.clock import Clock
from metrics.instruments import Instrument
from metrics.instruments._inner import TickSource
from metrics.registry._entries import is_ticking
from metrics.registry._kinds import Defaults
from metrics.registry._registry import Registry
from metrics.registry._shortcuts import Shortcuts

I = TypeVar("I", bound=Instrument)  # noqa: E741 - an instrument


@final
class Registrations(Shortcuts):
    """Instruments that one owner, a hook or a collector, has registered: all of them, or none.

    It has the shortcuts of a registry, which always create a new instrument: a name that is taken
    is a `DuplicateMetricError`. As a context manager it guards the creation of its owner: when the
    block raises, its instruments are unregistered; otherwise all stay until `close`. Close it from
    any thread.

    Args:
        registry: the registry of the instruments.
        ticker: ticks the instruments in place of the registry's ticker.
        clock: the clock of the instruments in place of the registry's clock.
    """

    __slots__ = ("_active", "_clock", "_registered", "_registry", "_ticker")

    def __init__(
        self,
        registry: Registry,
        *,
        ticker: TickSource | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._registry = registry
        self._ticker = ticker
        self._clock = registry.clock if clock is None else clock
        self._registered: list[tuple[str, Instrument]] = []
        self._active = registry.enabled

    @property
    def active(self) -> bool:
        """Whether the instruments are read: the registry is enabled and this is not closed."""
        return self._active

    def register(
        self,
        name: str,
        instrument: I,
        *,
        description: str = "",
        unit: str = "",
        ticker: TickSource | None = None,
    ) -> I:
        """Register an instrument; return the object to update, a no-op in a disabled registry.

        Raises:
            DuplicateMetricError: the name is taken.
            TypeError, ValueError: as `Registry.register`.
        """
        ticker = self._ticker if ticker is None else ticker
        updated = self._registry.register(
            name, instrument, description=description, unit=unit, ticker=ticker
        )
        self._registered.append((name, instrument))
        if self._active and is_ticking(instrument):
            warn_without_ticker(self._registry, ticker, name)
        return updated

    def close(self) -> list[str]:
        """Unregister the instruments, and return their names; a successor of one name stays."""
        self._active = False
        registered, self._registered = self._registered, []
        for name, instrument in reversed(registered):
            self._registry.unregister(name, instrument)
        return [name for name, _ in registered]

    def _obtain(
        self,
        name: str,
        kind: type[Instrument],  # noqa: ARG002 - of interest for an existing one
        labels: tuple[str, ...] | None,  # noqa: ARG002 - as above
        new: Callable[[Defaults], Instrument],
        description: str,
        unit: str,
        ticker: TickSource | None,
    ) -> Any:
        defaults = self._registry._defaults(unit, self._ticker if ticker is None else ticker)
        made = new(defaults._replace(clock=self._clock))
        return self.register(name, made, description=description, unit=unit, ticker=ticker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            self.close()


def warn_without_ticker(registry: Registry, ticker: TickSource | None, name: str) -> None:
    """Log, once for each registry, that a resource has to be ticked and has no ticker."""
    if ticker is None and registry.ticker is None and registry._store.warn_once("ticker"):
        getLogger("metrics.registry").warning(
            "%r has to be ticked, and its registry has no ticker: its rates and samples stand "
            "still; give the registry a ticker, or the hook `ticker=`",
            registry.prefix + name,
        )
