"""Families as type checkers see them: generic in the type of their children.

The class of the type checkers does not exist at run time. mypyc gives each generic class weak
references that it does not clear when an object is freed, and the process crashes (CPython 3.11).
"""

from typing import TYPE_CHECKING

from metrics.instruments import _family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Generic, TypeVar

    from metrics.clock import SYSTEM_CLOCK, Clock
    from metrics.instruments._arguments import Real, Whole
    from metrics.instruments._family import MAX_CHILDREN, MAX_LABEL_LENGTH
    from metrics.instruments._snapshot import Instrument

    I = TypeVar("I", bound=Instrument)  # noqa: E741 - the only type variable here

    class Family(_family.Family, Generic[I]):
        """Children of type `I`."""

        def __init__(
            self,
            kind: type[I],
            labelnames: Iterable[str],
            factory: Callable[[], I] | None = None,
            max_children: Whole = MAX_CHILDREN,
            *,
            clock: Clock = SYSTEM_CLOCK,
            expire_after: Real | None = None,
            max_label_length: Whole | None = MAX_LABEL_LENGTH,
        ) -> None: ...
        @property
        def kind(self) -> type[I]: ...
        def labels(self, *values: object, **named: object) -> I: ...
        def prototype(self) -> I: ...
        def children(self) -> dict[tuple[str, ...], I]: ...
        @property
        def table(self) -> tuple[list[tuple[str, ...]], list[I]]: ...

else:
    Family = _family.Family
