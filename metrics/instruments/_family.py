"""Families: one instrument for each combination of label values.

Compiled, and therefore not generic; `_typed_family` has the generic class of type checkers.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from operator import itemgetter
from types import GenericAlias, MappingProxyType
from typing import Any, cast, final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._arguments import Real, Whole, checked_clock, positive
from metrics.instruments._arguments import size as checked_size
from metrics.instruments._cumulative import Cumulative
from metrics.instruments._exemplars import ExemplarSource
from metrics.instruments._expiry import Idleness, is_unchanged
from metrics.instruments._labels import checked_labelnames, label_text, text_of
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Instrument, Snapshot, Tickable

MAX_CHILDREN = 2000
"""Default limit for the number of children of a family."""

MAX_LABEL_LENGTH = 1024
"""Default limit for the length of a label value, in characters."""

OVERFLOW = "_overflow"
"""Each label value of the child for all label sets above `max_children`."""

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
"""Last character of a truncated label value."""


@final
class FamilySnapshot(Snapshot):
    """Children of a `Family`, by their label values."""

    __slots__ = ("_children", "_labelnames", "_overflowed", "_truncated")
    fields = ("labelnames", "children", "overflowed", "truncated")

    def __init__(
        self,
        labelnames: tuple[str, ...],
        children: Mapping[tuple[str, ...], Snapshot],
        overflowed: int,
        truncated: int = 0,
    ) -> None:
        self._labelnames = labelnames
        self._children = MappingProxyType(children)
        self._overflowed = overflowed
        self._truncated = truncated

    @property
    def labelnames(self) -> tuple[str, ...]:
        """Names of the labels, in order."""
        return self._labelnames

    @property
    def children(self) -> Mapping[tuple[str, ...], Snapshot]:
        """Label values to the child's snapshot, in the order of the label values."""
        return self._children

    @property
    def overflowed(self) -> int:
        """Number of requests for a new child that returned the overflow child."""
        return self._overflowed

    @property
    def truncated(self) -> int:
        """Number of requests with a label value longer than the limit."""
        return self._truncated

    def by_label_text(self) -> Iterator[tuple[str, Snapshot]]:
        """Yield pairs of labels, such as `{method="GET",status="200"}`, and child snapshot.

        The text of a family without labels is empty.
        """
        for values, child in self._children.items():
            yield label_text(self._labelnames, values), child

    def to_dict(self) -> dict[str, object]:
        """Return each child's dict under the text of its labels."""
        return {labels: child.to_dict() for labels, child in self.by_label_text()}

    def __hash__(self) -> int:
        children = frozenset(self._children.items())
        return hash((self._labelnames, children, self._overflowed, self._truncated))


class Family(Shared):
    """Children of one kind, distinguished by label values: requests by method and status.

    Get a child with `labels` and update it like any instrument. A lookup of an existing child is
    one dict lookup without a lock. Safe to use from any thread, from signal handlers too.

    Memory is bounded for any values of a label from outside (a path, a user):

    - A family creates at most `max_children`. All further label sets get one overflow child, whose
      label values all are `_overflow`; `overflowed` counts these requests.
    - A label value longer than `max_label_length` is truncated and ends in an ellipsis; `truncated`
      counts these requests. Values that are equal after that share a child.
    - With `expire_after`, idle children are dropped, by the ticker's `tick`.

    A family without labels has a single child, `labels()`, which is created with the family.

    A child is idle if its value has been the same at each tick for `expire_after` seconds; a gauge
    that is set to the value it has is idle too. Its count is compared, or its value if it has no
    count, or the snapshot of an instrument that is not the library's. Gauges that read a function
    and the overflow child do not expire. As after `remove`, a program that still holds an expired
    child updates it to no effect, so get the child with `labels` for each update, or hold no child
    of a family that has `expire_after`; the next request creates a new child, which counts from
    zero. An update during the tick keeps the child. Choose a time longer than the interval of
    every reader, so that each has read the last update.

    Args:
        kind: the children's type; a family of a type with a `tick` ticks its children.
        labelnames: the labels, in the order of the values that `labels` takes.
        factory: creates a child; by default `kind` itself.
        max_children: the largest number of children, the overflow child not counted.
        clock: the source of creation times and of the time of idleness.
        expire_after: seconds after which an idle child is dropped; None keeps all children.
        max_label_length: the largest length of a label value, in characters; None for no limit.

    Raises:
        TypeError: `labelnames` is a str or an element is not a str; a number is of another type.
        ValueError: a label name is malformed, reserved or repeated; `max_children`, `expire_after`
            or `max_label_length` is not positive.
    """

    __slots__ = (
        "_children",
        "_clock",
        "_exemplars",
        "_factory",
        "_generation",
        "_idleness",
        "_kind",
        "_labelnames",
        "_lock",
        "_max_children",
        "_max_label_length",
        "_overflow",
        "_overflow_values",
        "_overflowed",
        "_pick",
        "_truncated",
    )

    def __init__(
        self,
        kind: type[Any],
        labelnames: Iterable[str],
        factory: Callable[[], Any] | None = None,
        max_children: Whole = MAX_CHILDREN,
        *,
        clock: Clock = SYSTEM_CLOCK,
        expire_after: Real | None = None,
        max_label_length: Whole | None = MAX_LABEL_LENGTH,
    ) -> None:
        self._kind = kind
        self._labelnames = checked_labelnames(labelnames)
        self._pick: Callable[[dict[str, object]], Any]
        if self._labelnames:
            self._pick = itemgetter(*self._labelnames)
        self._factory: Callable[[], Any] = kind if factory is None else factory
        self._max_children = checked_size("Family(max_children)", max_children)
        self._max_label_length = (
            sys.maxsize
            if max_label_length is None
            else checked_size("Family(max_label_length)", max_label_length)
        )
        self._clock = checked_clock("Family(clock)", clock)
        self._idleness = (
            None
            if expire_after is None
            else Idleness(positive("Family(expire_after)", expire_after))
        )
        self._children: dict[tuple[str, ...], Any] = {}
        self._exemplars: ExemplarSource | None = None
        self._overflow_values = (OVERFLOW,) * len(self._labelnames)
        self._overflow: Instrument | None = None
        self._overflowed = 0
        self._truncated = 0
        # A signal handler may request a child while its own thread is creating one.
        self._lock = threading.RLock()
        self._generation = _fork.generation
        if not self._labelnames:
            self._child(())

    @classmethod
    def __class_getitem__(cls, kind: object) -> GenericAlias:
        """Return `Family[kind]`, for annotations."""
        return GenericAlias(cls, kind)

    @property
    def kind(self) -> type[Any]:
        """Type of the children."""
        return self._kind

    @property
    def labelnames(self) -> tuple[str, ...]:
        """Names of the labels, in order."""
        return self._labelnames

    @property
    def ticking(self) -> bool:
        """Whether `tick` has work to do: the kind has a `tick`, or idle children expire."""
        return self._idleness is not None or hasattr(self._kind, "tick")

    @property
    def overflowed(self) -> int:
        """Number of requests for a new child that returned the overflow child."""
        return self._overflowed

    @property
    def truncated(self) -> int:
        """Number of requests with a label value longer than the limit."""
        return self._truncated

    def labels(self, *values: object, **named: object) -> Any:
        """Return the child with these label values, by position or by name; create it if needed.

        Values that are not str (a status code, an enum) are converted to str. A request with such
        a value, or with one that has to be truncated, takes longer than one lookup.

        Raises:
            ValueError: the values do not match the family's labels.
        """
        if named:
            values = self._in_order(values, named)
        try:
            child = self._children.get(values)  # type: ignore[arg-type] # finds no others
        except TypeError:
            child = None  # a value has no hash
        return self._converted(values) if child is None else child

    def prototype(self) -> Any:
        """Return a new instrument like the children, but not one of them."""
        return self._factory()

    def remove(self, *values: object, **named: object) -> bool:
        """Drop the child with these label values; return whether it was there.

        A program that still holds the child updates it to no effect.

        Raises:
            ValueError: the values do not match the family's labels.
        """
        with self._guard():
            texts = self._texts(self._in_order(values, named) if named else values)
            return self._children.pop(texts, None) is not None

    def remove_matching(self, *labels: Mapping[str, object], **named: object) -> int:
        """Drop all children that have these label values, with any other labels.

        The overflow child stays: only `clear` drops it.

        Args:
            labels: mappings of names to label values.
            named: label values by name.

        Returns:
            The number of children dropped.

        Raises:
            TypeError: an argument is not a mapping.
            ValueError: a name is not one of the family's labels, or no label is passed.
        """
        # mypyc knows no positional-only parameter, and a label may be called `labels`.
        wanted: dict[object, object] = {}
        for each in labels:
            if not isinstance(each, Mapping):
                raise TypeError(
                    f"labels {each!r} are of type {type(each).__name__}: pass a mapping of names "
                    "to values, or keywords"
                )
            wanted.update(each)
        wanted.update(named)
        if not wanted:
            raise ValueError(
                f"no label to match: pass a value for one or more of {self._labelnames}, or use "
                "clear() to drop every child"
            )
        for name in wanted:
            if name not in self._labelnames:
                raise ValueError(
                    f"unknown label {name!r}: the family's labels are {self._labelnames}"
                )
        texts = self._limited(tuple(wanted.values()))
        pairs = [
            (self._labelnames.index(name), text) for name, text in zip(wanted, texts, strict=True)
        ]
        with self._guard():
            matching = [
                values
                for values in list(self._children)
                if all(values[index] == text for index, text in pairs)
            ]
            return sum([self._children.pop(values, None) is not None for values in matching])

    def clear(self) -> None:
        """Drop every child, the overflow child too.

        A family without labels gets a new child.
        """
        with self._guard():
            self._children.clear()
            self._overflow = None
            if not self._labelnames:
                self._child(())

    def children(self) -> dict[tuple[str, ...], Any]:
        """Return label values to child, in the order of the label values; overflow comes last."""
        with self._guard():
            children = dict(sorted(self._children.copy().items()))
            if self._overflow is not None:
                children[self._overflow_values] = self._overflow
        return children

    @property
    def table(self) -> tuple[list[tuple[str, ...]], list[Any]]:
        """Label values and children now, side by side, in the order of creation.

        Cheap copies, for readers of many children.
        """
        with self._guard():
            # A signal handler may create a child between the two lists.
            copy = self._children.copy()
            values = list(copy)
            children = list(copy.values())
            if self._overflow is not None:
                values.append(self._overflow_values)
                children.append(self._overflow)
        return values, children

    def tick(self) -> None:
        """Tick every child if its kind has a `tick`, and drop idle children if they expire.

        The ticker calls this.
        """
        if hasattr(self._kind, "tick"):
            for child in self.children().values():
                cast("Tickable", child).tick()
        if self._idleness is not None:
            self._drop_idle(self._idleness)

    def snapshot(self, reader: str = "") -> FamilySnapshot:
        """Return the snapshot of every child that has a value."""
        children: dict[tuple[str, ...], Snapshot] = {}
        for values, child in self.children().items():
            value = child.snapshot(reader)
            if not value.absent:
                children[values] = value
        return FamilySnapshot(self._labelnames, children, self._overflowed, self._truncated)

    def _attach(self, source: ExemplarSource) -> None:
        """Take exemplars of the updates of all children, later ones too, from a source."""
        with self._guard():
            self._exemplars = source
            for child in self.table[1]:
                if isinstance(child, Cumulative):
                    child._attach(source)  # noqa: SLF001 - the same method of another object

    def _detach(self, source: ExemplarSource) -> None:
        """Take exemplars from a source no longer."""
        with self._guard():
            if self._exemplars is source:
                self._exemplars = None
            for child in self.table[1]:
                if isinstance(child, Cumulative):
                    child._detach(source)  # noqa: SLF001 - as above

    def _after_fork(self) -> None:
        # Children stay: the program may hold one, and its counts belong on the page.
        children: list[Instrument] = [*self._children.values()]
        if self._overflow is not None:
            children.append(self._overflow)
        now = self._clock.time()
        for child in children:
            if isinstance(child, Shared):
                child._after_fork()  # noqa: SLF001 - the same method of another object
            if isinstance(child, Cumulative):
                child._begin(now, self._clock)  # noqa: SLF001 - a method for owners
        self._overflowed = 0
        self._truncated = 0

    def _guard(self) -> AbstractContextManager[bool]:
        """Return the lock; a new one in a forked process in which the old one is orphaned."""
        if self._generation != _fork.generation:
            with _fork.renewing:
                if self._generation != _fork.generation:
                    # A lock that this thread held when it forked is still its own.
                    if _fork.is_orphaned(self._lock):
                        self._lock = threading.RLock()
                    self._generation = _fork.generation
        return self._lock

    def _in_order(self, values: tuple[object, ...], named: dict[str, object]) -> tuple[object, ...]:
        """Return label values that were passed by name, in the order of the labels."""
        if values or len(named) != len(self._labelnames):
            raise self._mismatch(values, named)
        try:
            found = self._pick(named)
        except KeyError:
            raise self._mismatch(values, named) from None
        # With a single name an itemgetter returns the value itself.
        return found if len(named) > 1 else (found,)

    def _converted(self, values: tuple[object, ...]) -> Any:
        """Return the child whose labels are the text of these values; create it if needed."""
        texts = self._texts(values)
        child = None if texts is values else self._children.get(texts)
        return self._child(texts) if child is None else child

    def _texts(self, values: tuple[object, ...]) -> tuple[str, ...]:
        """Return label values as the key of a child; `values` itself if it is one."""
        if len(values) != len(self._labelnames):
            raise self._mismatch(values, {})
        limit = self._max_label_length
        for value in values:
            if type(value) is not str or len(value) > limit:
                return self._limited(values)
        return cast("tuple[str, ...]", values)

    def _limited(self, values: tuple[object, ...]) -> tuple[str, ...]:
        """Return label values as str of limited length."""
        limit = self._max_label_length
        texts = [text_of(value) for value in values]
        if max(map(len, texts)) > limit:
            texts = [t if len(t) <= limit else t[: limit - 1] + ELLIPSIS for t in texts]
            self._truncated += 1
        return tuple(texts)

    def _mismatch(self, values: tuple[object, ...], named: dict[str, object]) -> ValueError:
        given = ", ".join([*map(repr, values), *[f"{k}={v!r}" for k, v in named.items()]])
        return ValueError(
            f"labels({given}) does not match the family's labels {self._labelnames}; "
            "pass all of them by position or all by name"
        )

    def _child(self, values: tuple[str, ...]) -> Any:
        # New children are created fast: no call that can do without one.
        with self._lock if self._generation == _fork.generation else self._guard():
            child = self._children.get(values)
            if child is not None:
                return child
            # No other child gets the labels of the overflow child.
            if len(self._children) < self._max_children and (
                values != self._overflow_values or not values
            ):
                child = self._factory()
                if isinstance(child, Cumulative):
                    child._begin(self._clock.time(), self._clock)  # noqa: SLF001 - for owners
                    if self._exemplars is not None:
                        child._attach(self._exemplars)  # noqa: SLF001 - as above
                # The factory may be the program's own code and have created the child meanwhile.
                return self._children.setdefault(values, child)
            self._overflowed += 1
            if self._overflow is None:
                child = self._overflow = self._factory()
                if isinstance(child, Cumulative):
                    child._begin(self._clock.time(), self._clock)  # noqa: SLF001 - for owners
                    if self._exemplars is not None:
                        child._attach(self._exemplars)  # noqa: SLF001 - as above
            return self._overflow

    def _drop_idle(self, idleness: Idleness) -> None:
        """Drop the children whose value has not changed for the time that is the limit."""
        with self._guard():
            children = self._children.copy()
        for last in idleness.observe(children.items(), self._clock.monotonic()):
            with self._guard():
                # An update may have come since, or another child. After the comparison no other
                # thread runs until the child is dropped.
                if self._children.get(last.values) is last.child and is_unchanged(last):
                    del self._children[last.values]

    def __repr__(self) -> str:
        return (
            f"Family({self._kind.__name__}, labelnames={self._labelnames}, "
            f"children={len(self._children)})"
        )
