"""Families: one instrument for each combination of label values."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast, final

from metrics import _fork
from metrics.instruments._arguments import Whole
from metrics.instruments._arguments import size as checked_size
from metrics.instruments._labels import checked_labelnames, label_text, text_of
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Instrument, Snapshot, Tickable

I = TypeVar("I", bound=Instrument)  # noqa: E741 - the only type variable here

MAX_CHILDREN = 2000
"""Children a family makes unless told otherwise."""

OVERFLOW = "_overflow"
"""Every label value of the child that takes what is above `max_children`."""


@final
class FamilySnapshot(Snapshot):
    """The children of a `Family`, by their label values."""

    __slots__ = ("_children", "_labelnames", "_overflowed")
    fields = ("labelnames", "children", "overflowed")

    def __init__(
        self,
        labelnames: tuple[str, ...],
        children: Mapping[tuple[str, ...], Snapshot],
        overflowed: int,
    ) -> None:
        self._labelnames = labelnames
        self._children = MappingProxyType(children)
        self._overflowed = overflowed

    @property
    def labelnames(self) -> tuple[str, ...]:
        """The names of the labels, in order."""
        return self._labelnames

    @property
    def children(self) -> Mapping[tuple[str, ...], Snapshot]:
        """Label values to the child's snapshot, in the order of the label values."""
        return self._children

    @property
    def overflowed(self) -> int:
        """How many requests for a new child were answered with the overflow child."""
        return self._overflowed

    def by_label_text(self) -> Iterator[tuple[str, Snapshot]]:
        """Return pairs of labels, written `{method="GET",status="200"}`, and the child's value."""
        for values, child in self._children.items():
            yield label_text(self._labelnames, values), child

    def to_dict(self) -> dict[str, object]:
        """Return each child's dict under its labels."""
        return {labels: child.to_dict() for labels, child in self.by_label_text()}

    def __hash__(self) -> int:
        return hash((self._labelnames, frozenset(self._children.items()), self._overflowed))


@final
class Family(Shared, Generic[I]):
    """Children of one kind, told apart by label values: requests by method and status.

    Get a child with `labels` and update it like any instrument. Asking for an existing child takes
    one dict lookup and no lock. Safe to use from any thread.

    A family makes at most `max_children`. Every label set above that is answered with one overflow
    child, whose label values all are `_overflow`, and counted in `overflowed`: a label that takes
    values from outside (a path, a user) cannot fill the memory.

    Args:
        kind: the children's type; each child has a `tick` if the type has one.
        labelnames: the labels, in the order in which `labels` takes their values.
        factory: makes a child; `kind` itself when not given.
        max_children: how many children to make, the overflow child not counted.

    Raises:
        TypeError: `labelnames` is a str or holds something else than str.
        ValueError: a label name is malformed, reserved or given twice, or there is none, or
            `max_children` is not positive.
    """

    __slots__ = (
        "_children",
        "_factory",
        "_generation",
        "_kind",
        "_labelnames",
        "_lock",
        "_max_children",
        "_overflow",
        "_overflow_values",
        "_overflowed",
        "_pick",
    )

    def __init__(
        self,
        kind: type[I],
        labelnames: Iterable[str],
        factory: Callable[[], I] | None = None,
        max_children: Whole = MAX_CHILDREN,
    ) -> None:
        self._kind = kind
        self._labelnames = checked_labelnames(labelnames)
        self._pick: Callable[[dict[str, object]], Any] = itemgetter(*self._labelnames)
        self._factory = kind if factory is None else factory
        self._max_children = checked_size("Family(max_children)", max_children)
        self._children: dict[tuple[str, ...], I] = {}
        self._overflow_values = (OVERFLOW,) * len(self._labelnames)
        self._overflow: I | None = None
        self._overflowed = 0
        # A signal handler may ask for a child while its own thread is making one.
        self._lock = threading.RLock()
        self._generation = _fork.generation

    @property
    def kind(self) -> type[I]:
        """The type of the children."""
        return self._kind

    @property
    def labelnames(self) -> tuple[str, ...]:
        """The names of the labels, in order."""
        return self._labelnames

    @property
    def overflowed(self) -> int:
        """How many requests for a new child were answered with the overflow child."""
        return self._overflowed

    def labels(self, *values: object, **named: object) -> I:
        """Return the child with these label values, by position or by name; make it if need be.

        Values that are not str (a status code, an enum) are turned into str.

        Raises:
            ValueError: the values do not match the family's labels.
        """
        if named:
            values = self._in_order(values, named)
        try:
            return self._children[values]  # type: ignore[index] # others are not found
        except (KeyError, TypeError):
            # It is new, or the values are not str, or cannot even be hashed.
            texts = self._texts(values)
        child = self._children.get(texts)
        return self._child(texts) if child is None else child

    def prototype(self) -> I:
        """Return a new instrument as the children are, which is none of them."""
        return self._factory()

    def remove(self, *values: object, **named: object) -> bool:
        """Drop the child with these label values; return whether there was one.

        Who still holds the child may go on updating it, to no effect.

        Raises:
            ValueError: the values do not match the family's labels.
        """
        with self._guard():
            texts = self._texts(self._in_order(values, named) if named else values)
            return self._children.pop(texts, None) is not None

    def clear(self) -> None:
        """Drop every child, the overflow child too."""
        with self._guard():
            self._children.clear()
            self._overflow = None

    def children(self) -> dict[tuple[str, ...], I]:
        """Return label values to child, in the order of the label values; overflow comes last."""
        with self._guard():
            children = dict(sorted(self._children.items()))
            if self._overflow is not None:
                children[self._overflow_values] = self._overflow
        return children

    @property
    def table(self) -> tuple[list[tuple[str, ...]], list[I]]:
        """Label values and children now, side by side, in the order the children were made.

        Two copies of lists and no more: for whoever reads many children often.
        """
        with self._guard():
            values = list(self._children)
            children = list(self._children.values())
            if self._overflow is not None:
                values.append(self._overflow_values)
                children.append(self._overflow)
        return values, children

    def tick(self) -> None:
        """Tick every child that has a `tick`. The ticker calls this."""
        if hasattr(self._kind, "tick"):
            for child in self.children().values():
                cast("Tickable", child).tick()

    def snapshot(self, reader: str = "") -> FamilySnapshot:
        """Return every child's snapshot."""
        children = {values: child.snapshot(reader) for values, child in self.children().items()}
        return FamilySnapshot(self._labelnames, children, self._overflowed)

    def _after_fork(self) -> None:
        # Children stay: the program may hold one, and what it counts belongs on the page.
        children: list[Instrument] = [*self._children.values()]
        if self._overflow is not None:
            children.append(self._overflow)
        for child in children:
            if isinstance(child, Shared):
                child._after_fork()  # noqa: SLF001 - the same method of another object
        self._overflowed = 0

    def _guard(self) -> AbstractContextManager[bool]:
        """Return the lock; a new one in a forked process that would wait for the old one."""
        if self._generation != _fork.generation:
            with _fork.renewing:
                if self._generation != _fork.generation:
                    # One that this thread held when it forked is still its own.
                    if _fork.is_orphaned(self._lock):
                        self._lock = threading.RLock()
                    self._generation = _fork.generation
        return self._lock

    def _in_order(self, values: tuple[object, ...], named: dict[str, object]) -> tuple[object, ...]:
        """Return label values that were given by name, in the order of the labels."""
        if values or len(named) != len(self._labelnames):
            raise self._mismatch(values, named)
        try:
            found = self._pick(named)
        except KeyError:
            raise self._mismatch(values, named) from None
        # Of a single name it returns the value itself.
        return found if len(named) > 1 else (found,)

    def _texts(self, values: tuple[object, ...]) -> tuple[str, ...]:
        """Return label values as the children are kept by."""
        if len(values) != len(self._labelnames):
            raise self._mismatch(values, {})
        return tuple([text_of(value) for value in values])

    def _mismatch(self, values: tuple[object, ...], named: dict[str, object]) -> ValueError:
        given = ", ".join([*map(repr, values), *[f"{k}={v!r}" for k, v in named.items()]])
        return ValueError(
            f"labels({given}) does not match the family's labels {self._labelnames}; "
            "give all of them by position or all by name"
        )

    def _child(self, values: tuple[str, ...]) -> I:
        with self._guard():
            child = self._children.get(values)
            if child is not None:
                return child
            # Nobody can ask for the overflow child's labels and get another child.
            if len(self._children) < self._max_children and values != self._overflow_values:
                child = self._factory()
                # The factory may be the program's own code and have made the child meanwhile.
                return self._children.setdefault(values, child)
            self._overflowed += 1
            if self._overflow is None:
                self._overflow = self._factory()
            return self._overflow

    def __repr__(self) -> str:
        return (
            f"Family({self._kind.__name__}, labelnames={self._labelnames}, "
            f"children={len(self._children)})"
        )
