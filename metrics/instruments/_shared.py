"""Base classes of instruments and snapshots, whose copies are the objects themselves.

Updates of a copied counter would reach no reader, and a snapshot never changes. Compiled code calls
the methods of the library's classes directly and would ignore the overrides of a subclass: programs
can derive from `Snapshot` only.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from metrics._native import mypyc_attr

if TYPE_CHECKING:
    from metrics.instruments._bucket_snapshot import BucketHistogramSnapshot
    from metrics.instruments._exemplars import Exemplars
    from metrics.instruments._meter import MeterSnapshot
    from metrics.instruments._sample import HistogramSnapshot

PACKAGE = __name__.partition(".")[0]


@mypyc_attr(allow_interpreted_subclasses=True)
class Shared:
    """Identity object: copy and deepcopy return the object itself; pickling raises TypeError."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_subclass(cls, Shared)

    def _after_fork(self) -> None:
        """Renew locks and set totals to zero in a forked process; the default does nothing.

        The parent still reports its totals. A current value, such as that of a gauge, stays.
        """

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(
            f"cannot pickle {type(self).__name__}: it belongs to this process; pickle its snapshot"
        )


class Point(NamedTuple):
    """A number of an instrument that has several, distinguished by labels.

    A label without a name is called like its metric, as the label of an OpenMetrics StateSet is.
    """

    labels: tuple[tuple[str | None, str], ...]
    value: int


@mypyc_attr(allow_interpreted_subclasses=True)
class Snapshot:
    """Immutable value of an instrument: equality by value, a readable repr, and `to_dict`.

    A snapshot can be pickled for another process, compiled or interpreted. A subclass of your own
    lists its properties in `fields`, and its constructor takes them in that order. Formats read
    the views: `scalar`, `total`, `distribution`, `rates`, `points` and `exemplars`.
    """

    __slots__ = ()
    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_subclass(cls, Snapshot)

    def snapshot(self, reader: str = "") -> Self:
        """Return the snapshot itself, which stands for its instrument in another process."""
        return self

    @property
    def absent(self) -> bool:
        """Whether there is no value yet; readers leave such an instrument out."""
        return False

    @property
    def scalar(self) -> int | float | None:
        """Scalar value of single-valued snapshots, and the count of a meter; None for others."""
        return None

    @property
    def total(self) -> int | float | None:
        """Cumulative total, which falls only when the instrument is cleared; None without one."""
        return None

    @property
    def distribution(self) -> "HistogramSnapshot | BucketHistogramSnapshot | None":
        """Distribution of the values of a histogram or a timer; None for others."""
        return None

    @property
    def rates(self) -> "MeterSnapshot | None":
        """Moving averages of a meter or a timer; None for others."""
        return None

    @property
    def points(self) -> "tuple[Point, ...]":
        """Numbers distinguished by labels of their own: info labels, states; none for others."""
        return ()

    @property
    def exemplars(self) -> "Exemplars":
        """Latest exemplar of the total, or of each bucket and None for a bucket without one.

        Empty without any exemplar. They lead to examples of the value and are no part of it:
        `==`, `repr` and `to_dict` leave them out, while a pickled snapshot has them.
        """
        return ()

    def to_dict(self) -> dict[str, object]:
        """Return the numbers under go-ethereum's keys (`count`, `mean`, `1m.rate`, ...)."""
        return {name: getattr(self, name) for name in self.fields}

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.fields)

    def __hash__(self) -> int:
        return hash((type(self), *(getattr(self, name) for name in self.fields)))

    def __repr__(self) -> str:
        body = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.fields)
        return f"{type(self).__name__}({body})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        values = [getattr(self, name) for name in self.fields]
        # A read-only view cannot be pickled, unlike its mapping.
        plain = [dict(v) if isinstance(v, MappingProxyType) else v for v in values]
        return type(self), tuple(plain)


def refuse_subclass(kind: type, allowed: type) -> None:
    """Raise TypeError if a program's class derives from one of the library other than `allowed`."""
    if is_own(kind):
        return
    for base in kind.__bases__:
        if base is not allowed and is_own(base):
            raise TypeError(
                f"cannot subclass {base.__name__} as {kind.__name__}: compiled code would ignore "
                "its overrides; hold one in a class of your own instead"
            )


def is_own(kind: type) -> bool:
    """Return whether a class belongs to the library."""
    return kind.__module__.partition(".")[0] == PACKAGE
