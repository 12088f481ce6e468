"""The instruments that one collector has registered: all of them, or none."""

from types import TracebackType
from typing import Self, TypeVar, final

from metrics.instruments._snapshot import Instrument
from metrics.registry import Registry

I = TypeVar("I", bound=Instrument)  # noqa: E741 - the only type variable here


@final
class Owned:
    """Registers instruments and takes exactly those out again.

    As a context manager it guards the making of a collector: when the block raises, what it has
    registered is taken out; when it does not, everything stays. Close it from any thread.

    Args:
        registry: where the instruments go.
    """

    __slots__ = ("_active", "_held", "_registry")

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._held: list[tuple[str, Instrument]] = []
        self._active = registry.enabled

    @property
    def active(self) -> bool:
        """Whether anybody reads the instruments: the registry is enabled and this not closed."""
        return self._active

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """What was added and not yet taken out."""
        return tuple([instrument for _, instrument in self._held])

    def add(self, name: str, instrument: I, description: str, unit: str = "") -> I:
        """Register an instrument; return what to update, a no-op when the registry is disabled.

        Raises:
            DuplicateMetricError: the name is taken, or would be exported like one that is.
        """
        updated = self._registry.register(name, instrument, description=description, unit=unit)
        self._held.append((name, instrument))
        return updated

    def close(self) -> None:
        """Take out everything added; what others have registered since under a name stays."""
        self._active = False
        held, self._held = self._held, []
        for name, instrument in reversed(held):
            self._registry.unregister(name, instrument)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.close()
