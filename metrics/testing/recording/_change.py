"""Changes of one instrument, or of a family, between two snapshots."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, final

from metrics.instruments import (
    BucketHistogramSnapshot,
    GaugeSnapshot,
    HistogramSnapshot,
    Snapshot,
    UpDownCounterSnapshot,
)
from metrics.instruments._inner import Shared, label_text, text_of, total

DURATIONS = frozenset({"sum", "values", "counts"})
"""Numbers that differ from run to run for an instrument that measures durations."""

SUMMED = ("count", "sum", "delta")
"""Numbers that a family has, as the sum over its children."""


class RecordedValues(tuple[float, ...]):
    """Values of updates, in order: a tuple that equals a list of the same numbers as well."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return super().__eq__(tuple(other) if isinstance(other, list) else other)

    def __ne__(self, other: object) -> bool:
        return super().__ne__(tuple(other) if isinstance(other, list) else other)

    __hash__ = tuple.__hash__


class NumberedChange(Shared):
    """Change whose numbers are its attributes."""

    __slots__ = ("_numbers",)

    def __init__(self, numbers: Mapping[str, Any]) -> None:
        self._numbers = MappingProxyType(numbers)

    @property
    def numbers(self) -> Mapping[str, Any]:
        """All attributes of this change, by name."""
        return self._numbers

    def _missing(self, name: str) -> str:
        """Return the message that there is no such attribute."""
        raise NotImplementedError

    def _attributes(self) -> str:
        """Return the attributes that there are, for a message."""
        return f"it has {', '.join(self._numbers)}" if self._numbers else "it has none"

    def __getattr__(self, name: str) -> Any:
        try:
            return self._numbers[name]
        except KeyError:
            raise AttributeError(self._missing(name)) from None

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._numbers]


@final
class Change(NumberedChange):
    """Change of one instrument while it was recorded. Immutable.

    Its attributes depend on the kind of instrument:

    - counters and meters: `count`, the number of counted events
    - gauges: `value`, the last one, and `delta`, its difference to the first one, or to 0 if the
      gauge was registered later
    - infos: `value`, the last one; health checks: `error`, the last one
    - histograms and resetting timers: `count`, `sum`, and `values`, every update in order; the
      method `percentile` is about these
    - bucket histograms: the same, and `counts`, upper bound (as text) to updates in that bucket
      alone, without empty buckets
    - timers: the numbers of the histogram that they have, in seconds
    - families: `count`, `sum` and `delta`, if the children have them, over all children; see
      `FamilyChange`
    - others: the fields of their snapshot

    A counter that was cleared meanwhile counts from then on. A resetting timer that retains fewer
    values than there were updates has no `values`. A `delta`, a `sum` without values and the count
    of a `FloatCounter` are differences of floats and rounded as such.
    """

    __slots__ = ("_after", "_before", "_timed")

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
        super().__init__(difference(before, after, values))

    @property
    def before(self) -> Snapshot | None:
        """The snapshot at the beginning of the recording; None if it was not registered then."""
        return self._before

    @property
    def after(self) -> Snapshot:
        """The snapshot now, or at the end of the recording; it has the rates."""
        return self._after

    @property
    def changed(self) -> bool:
        """Whether there was any update that made a difference."""
        if "count" in self._numbers:
            return bool(self._numbers["count"] or self._numbers.get("values"))
        # As text, because a NaN is not even equal to itself.
        return repr(self._before) != repr(self._after)

    def percentile(self, p: float) -> float:
        """Return the value below which the fraction `p` of the recorded values lies; 0 of none.

        The position among the values is the same as in the snapshots of histograms.

        Raises:
            AttributeError: this kind of instrument has no values.
            ValueError: `p` is not between 0 and 1.
        """
        return percentile_of(self.values, p)

    def to_dict(self, *, durations: bool = True) -> dict[str, object]:
        """Return the numbers in the types of JSON; on request without durations."""
        return {
            name: plain(value)
            for name, value in self._numbers.items()
            if durations or not self._timed or name not in DURATIONS
        }

    def _missing(self, name: str) -> str:
        kind = type(self._after).__name__.removesuffix("Snapshot")
        return f"the change of a {kind} has no {name!r}; {self._attributes()}"

    def __repr__(self) -> str:
        return f"<Change {listing(self._numbers)}>"


class FamilyChange(NumberedChange):
    """Change of a family's children, all of them or the ones with some labels. Immutable.

    `changes["http"]["GET", "200"]`, or `changes["http"].labels(method="GET", status=200)`, is the
    `Change` of one child; `labels(method="GET")` is the sum over all children with that label.
    """

    __slots__ = ("_children", "_labelnames", "_unmade")

    def __init__(
        self,
        labelnames: tuple[str, ...],
        children: Mapping[tuple[str, ...], Change],
        unmade: Change,
    ) -> None:
        self._labelnames = labelnames
        self._children = MappingProxyType(dict(children))
        self._unmade = unmade
        super().__init__(
            {
                name: sum([getattr(child, name) for child in children.values()])
                for name in SUMMED
                if name in unmade.numbers
            }
        )

    @property
    def children(self) -> Mapping[tuple[str, ...], Change]:
        """Label values to the child's change, of every child there is, or was at the beginning."""
        return self._children

    @property
    def changed(self) -> bool:
        """Whether any child has changed."""
        return any(child.changed for child in self._children.values())

    def labels(self, *values: object, **named: object) -> "Change | FamilyChange":
        """Return the change of the child with these label values, by position or by name.

        With only some labels, by name, return the change of all children that have them. A child
        that was never created has not changed.

        Raises:
            ValueError: the values do not match the family's labels.
        """
        known = [name for name in self._labelnames if name in named]
        if (values and (named or len(values) != len(self._labelnames))) or (
            not values and (not named or len(known) != len(named))
        ):
            raise ValueError(
                f"labels({listing(named) if named else values}) does not match the family's "
                f"labels {self._labelnames}; give all of them by position, or some by name"
            )
        if values or len(known) == len(self._labelnames):
            given = values or [named[name] for name in known]
            return self._children.get(tuple([text_of(value) for value in given]), self._unmade)
        wanted = {(self._labelnames.index(name), text_of(named[name])) for name in known}
        children = {
            values: child
            for values, child in self._children.items()
            if wanted.issubset(enumerate(values))
        }
        return FamilyChange(self._labelnames, children, self._unmade)

    def percentile(self, p: float) -> float:
        """Return the value below which the fraction `p` of all children's values lies; 0 of none.

        Raises:
            AttributeError: this kind of instrument has no values.
            ValueError: `p` is not between 0 and 1.
        """
        children = [self._unmade, *self._children.values()]
        return percentile_of([value for child in children for value in child.values], p)

    def by_label_text(self) -> dict[str, Change]:
        """Return labels, written `{method="GET",status="200"}`, to the child's change."""
        return {
            label_text(self._labelnames, values): change
            for values, change in self._children.items()
        }

    def __getitem__(self, key: object) -> "Change | FamilyChange":
        """Return `labels` of a label value, of a tuple of them, or of a dict of labels."""
        if isinstance(key, Mapping):
            return self.labels(**key)
        return self.labels(*key) if isinstance(key, tuple) else self.labels(key)

    def _missing(self, name: str) -> str:
        return (
            f"a family as a whole has no {name!r}, {self._attributes()}; ask a child, with labels()"
        )

    def __repr__(self) -> str:
        return f"<FamilyChange of {len(self._children)} children, {listing(self._numbers)}>"


@final
class Unregistered(FamilyChange):
    """Change under a name that was never registered: nothing was counted, with any labels."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        super().__init__((), {}, Change(None, HistogramSnapshot(0, 0.0, ()), ()))
        self._name = name
        # The numbers of any kind of instrument that counts, without an update.
        self._numbers = MappingProxyType({**self._unmade.numbers})

    def labels(self, *_values: object, **_named: object) -> "Unregistered":
        """Return this change."""
        return self

    def to_dict(self, **_durations: bool) -> dict[str, object]:
        """Return the numbers in the types of JSON."""
        return self._unmade.to_dict()

    def _missing(self, name: str) -> str:
        return f"{self._name!r} was never registered, and so has no {name!r}; {self._attributes()}"

    def __repr__(self) -> str:
        return f"<Unregistered {self._name!r}>"


def difference(
    before: Snapshot | None, after: Snapshot, values: Sequence[float] | None
) -> dict[str, Any]:
    """Return the numbers of a change, by name."""
    # Snapshots of the same name may be of different kinds, if another instrument took the name.
    then: Any = before if type(before) is type(after) else None
    if after.distribution is not None:
        return distribution(then and then.distribution, after.distribution, values)
    if after.total is not None:
        return {"count": growth(then.total if then else 0, after.total)}
    if isinstance(after, UpDownCounterSnapshot):
        return {"count": after.count - (then.count if then else 0)}
    # The current value counts: nothing else was read in between.
    numbers = {name: getattr(after, name) for name in after.fields}
    if isinstance(after, GaugeSnapshot):
        numbers["delta"] = after.value - (then.value if then else 0.0)
    return numbers


def distribution(
    then: Any, now: HistogramSnapshot | BucketHistogramSnapshot, values: Sequence[float] | None
) -> dict[str, Any]:
    """Return the numbers of a distribution, whether sampled or counted in buckets."""
    if values is not None:
        recorded: dict[str, Any] = {
            "count": len(values),
            "sum": total(values),
            "values": RecordedValues(values),
        }
        if isinstance(now, BucketHistogramSnapshot):
            held = Counter([bisect_left(now.bounds, value) for value in values])
            recorded["counts"] = by_bound(now, [held[index] for index in range(len(now.counts))])
        return recorded
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
    """Return the increase of a count, which is below its old value only if it was cleared."""
    return now - then if now >= then else now


def percentile_of(values: Iterable[float], p: float) -> float:
    """Return a percentile as the snapshots of histograms calculate it."""
    sample = tuple(values)
    return HistogramSnapshot(len(sample), 0.0, sample).percentile(p)


def plain(value: object) -> object:
    """Return a value in the types of JSON."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def listing(numbers: Mapping[str, object]) -> str:
    """Return numbers in one line: `count=2, values=(0.1, 0.2)`."""
    return ", ".join([f"{name}={in_form_of((), value)!r}" for name, value in numbers.items()])


def matches(expected: object, actual: object) -> bool:
    """Return whether a number is as expected; a list stands for a tuple."""
    return bool(expected == in_form_of(expected, actual))


def in_form_of(expected: object, actual: object) -> object:
    """Return an actual number in the form in which it is expected."""
    if isinstance(actual, tuple):
        return list(actual) if isinstance(expected, list) else tuple(actual)
    return dict(actual) if isinstance(actual, Mapping) else actual
