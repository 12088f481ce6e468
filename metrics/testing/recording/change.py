"""What changed of one instrument between two looks at it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, final

from metrics.instruments import (
    BucketHistogramSnapshot,
    HistogramSnapshot,
    Snapshot,
    UpDownCounterSnapshot,
)
from metrics.instruments._inner import Shared, label_text, text_of, total

DURATIONS = frozenset({"sum", "values", "counts"})
"""What differs from run to run for an instrument that measures durations."""


@final
class Change(Shared):
    """What changed of one instrument while it was recorded. Immutable.

    Its attributes depend on the kind of instrument:

    - counters and meters: `count`, the events that were counted
    - gauges and infos: `value`, the last one; health checks: `error`, the last one
    - histograms and resetting timers: `count`, `sum`, and `values`, every update in order
    - bucket histograms: the same, and `counts`, upper bound (as text) to updates in that bucket
      alone, without empty buckets
    - timers: those of the histogram that they have, in seconds
    - families: `count` and `sum`, where the children have them, over all children; see `labels`
    - others: the fields of their snapshot

    A counter that was cleared meanwhile counts from then on. A resetting timer that keeps fewer
    than it was given has no `values`. A `sum` without them, like the count of a `FloatCounter`, is
    a difference of floats and rounded as such.
    """

    __slots__ = ("_after", "_before", "_numbers", "_timed")

    def __init__(
        self,
        before: Snapshot | None,
        after: Snapshot,
        values: Sequence[float] | None = None,
        *,
        timed: bool = False,
    ) -> None:
        self._before = before
        self._after = after
        self._timed = timed
        self._numbers = MappingProxyType(difference(before, after, values))

    @property
    def before(self) -> Snapshot | None:
        """The snapshot when the recording began; None for an instrument that was not there."""
        return self._before

    @property
    def after(self) -> Snapshot:
        """The snapshot now, or when the recording ended: rates are here."""
        return self._after

    @property
    def numbers(self) -> Mapping[str, Any]:
        """Everything that this change has, by name."""
        return self._numbers

    @property
    def changed(self) -> bool:
        """Whether there was any update that made a difference."""
        if "count" in self._numbers:
            return bool(self._numbers["count"] or self._numbers.get("values"))
        # As text, because a NaN is not even equal to itself.
        return repr(self._before) != repr(self._after)

    def to_dict(self, *, durations: bool = True) -> dict[str, object]:
        """Return the numbers as what JSON has; on request without those that are durations."""
        return {
            name: plain(value)
            for name, value in self._numbers.items()
            if durations or not self._timed or name not in DURATIONS
        }

    def __getattr__(self, name: str) -> Any:
        try:
            return self._numbers[name]
        except KeyError:
            raise AttributeError(missing(name, self)) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._numbers]

    def __repr__(self) -> str:
        return f"<Change {described(self._numbers)}>"


@final
class FamilyChange(Shared):
    """What changed of a family's children. Immutable; see `Change`."""

    __slots__ = ("_children", "_labelnames", "_numbers", "_unmade")

    def __init__(
        self,
        labelnames: tuple[str, ...],
        children: Mapping[tuple[str, ...], Change],
        unmade: Change,
    ) -> None:
        self._labelnames = labelnames
        self._children = MappingProxyType(dict(children))
        self._unmade = unmade
        self._numbers = MappingProxyType(
            {
                name: sum([getattr(child, name) for child in children.values()])
                for name in ("count", "sum")
                if name in unmade.numbers
            }
        )

    @property
    def children(self) -> Mapping[tuple[str, ...], Change]:
        """Label values to the child's change, of every child there is, or was in the beginning."""
        return self._children

    @property
    def numbers(self) -> Mapping[str, Any]:
        """Everything that the family as a whole has, by name."""
        return self._numbers

    @property
    def changed(self) -> bool:
        """Whether any child has changed."""
        return any(child.changed for child in self._children.values())

    def labels(self, *values: object, **named: object) -> Change:
        """Return the change of the child with these label values, by position or by name.

        Of a child that was never made, nothing has changed.

        Raises:
            ValueError: the values do not match the family's labels.
        """
        given = [*values, *[named[name] for name in self._labelnames if name in named]]
        if len(given) != len(self._labelnames) or (named and (values or len(given) != len(named))):
            raise ValueError(
                f"labels({described(named) if named else values}) does not match the family's "
                f"labels {self._labelnames}; give all of them by position or all by name"
            )
        return self._children.get(tuple([text_of(value) for value in given]), self._unmade)

    def by_label_text(self) -> dict[str, Change]:
        """Return labels, written `{method="GET",status="200"}`, to the child's change."""
        return {
            label_text(self._labelnames, values): change
            for values, change in self._children.items()
        }

    def __getattr__(self, name: str) -> Any:
        try:
            return self._numbers[name]
        except KeyError:
            raise AttributeError(missing(name, self)) from None

    def __repr__(self) -> str:
        return f"<FamilyChange of {len(self._children)} children, {described(self._numbers)}>"


def difference(
    before: Snapshot | None, after: Snapshot, values: Sequence[float] | None
) -> dict[str, Any]:
    """Return what has changed, by name."""
    # Snapshots of the same name may be of different kinds, if another instrument took the name.
    then: Any = before if type(before) is type(after) else None
    if after.distribution is not None:
        return distribution(then and then.distribution, after.distribution, values)
    if after.total is not None:
        return {"count": growth(then.total if then else 0, after.total)}
    if isinstance(after, UpDownCounterSnapshot):
        return {"count": after.count - (then.count if then else 0)}
    # Of gauges and the like the current value counts.
    return {name: getattr(after, name) for name in after.fields}


def distribution(
    then: Any, now: HistogramSnapshot | BucketHistogramSnapshot, values: Sequence[float] | None
) -> dict[str, Any]:
    """Return what has changed of a distribution, whether sampled or counted in buckets."""
    if values is not None:
        heard = {"count": len(values), "sum": total(values), "values": tuple(values)}
        if isinstance(now, BucketHistogramSnapshot):
            held = Counter([bisect_left(now.bounds, value) for value in values])
            heard["counts"] = by_bound(now, [held[index] for index in range(len(now.counts))])
        return heard
    if isinstance(now, HistogramSnapshot):
        cleared = then is None or then.total_count > now.total_count
        count, added = (0, 0.0) if cleared else (then.total_count, then.total_sum)
        return {"count": now.total_count - count, "sum": now.total_sum - added}
    counts = then.counts if then else (0,) * len(now.counts)
    fresh = [new - old for new, old in zip(now.counts, counts, strict=True)]
    added = then.sum if then else 0.0
    return {"count": sum(fresh), "sum": now.sum - added, "counts": by_bound(now, fresh)}


def by_bound(histogram: BucketHistogramSnapshot, counts: Sequence[int]) -> dict[str, int]:
    """Return upper bound, as text, to the count of its bucket, without empty ones."""
    bounds = [*map(repr, histogram.bounds), "+Inf"]
    return {bound: n for bound, n in zip(bounds, counts, strict=True) if n}


def growth(then: float, now: float) -> float:
    """Return by how much a count has grown, which is less than before only if it was cleared."""
    return now - then if now >= then else now


def plain(value: object) -> object:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def described(numbers: Mapping[str, object]) -> str:
    """Return numbers in one line: `count=2, values=(0.1, 0.2)`."""
    return ", ".join([f"{name}={alike((), value)!r}" for name, value in numbers.items()])


def matches(asked: object, got: object) -> bool:
    """Return whether what was got is what was asked for; a list stands for a tuple."""
    return bool(asked == alike(asked, got))


def alike(asked: object, got: object) -> object:
    """Return what was got in the form in which it was asked for."""
    if isinstance(got, tuple):
        return list(got) if isinstance(asked, list) else got
    return dict(got) if isinstance(got, Mapping) else got


def missing(name: str, change: Change | FamilyChange) -> str:
    """Say that a change has no such thing, and what it has."""
    has = f"it has {', '.join(change.numbers)}" if change.numbers else "it has none"
    if isinstance(change, FamilyChange):
        return f"a family as a whole has no {name!r}, {has}; ask a child, with labels()"
    kind = type(change.after).__name__.removesuffix("Snapshot")
    return f"the change of a {kind} has no {name!r}; {has}"
