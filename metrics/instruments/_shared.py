"""What instruments and snapshots derive from, so that whoever holds one holds the same one.

A second counter would be counted up and read by nobody, and a snapshot never changes: a copy of
either is the thing itself. Compiled code calls the methods of the library's classes directly and
would pass over what a subclass overrides: only `Snapshot` can be derived from.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

from metrics._native import mypyc_attr

if TYPE_CHECKING:
    from metrics.instruments._buckets import BucketHistogramSnapshot
    from metrics.instruments._meter import MeterSnapshot
    from metrics.instruments._sample import HistogramSnapshot

PACKAGE = __name__.partition(".")[0]


@mypyc_attr(allow_interpreted_subclasses=True)
class Shared:
    """Something of which a copy is the thing itself; it can be neither pickled nor subclassed."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_subclass(cls, Shared)

    def _after_fork(self) -> None:
        """Renew locks, and start totals at zero, in a forked process; by default nothing.

        The parent still reports its totals. A current value, such as that of a gauge, stays.
        """

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(
            f"{type(self).__name__} cannot be pickled: it is shared by all who use it here; "
            "pickle what is read from it, such as a snapshot"
        )


class Point(NamedTuple):
    """A number of an instrument that has several, distinguished by labels.

    A label without a name is called like its metric, as the label of an OpenMetrics StateSet is.
    """

    labels: tuple[tuple[str | None, str], ...]
    value: int


@mypyc_attr(allow_interpreted_subclasses=True)
class Snapshot:
    """What every snapshot has: equality by value, a readable repr, and `to_dict`.

    A snapshot can be sent to another process: it pickles, whatever form the library has there.
    A kind of your own names in `fields` what it consists of, and its constructor takes the same,
    in that order.
    """

    __slots__ = ()
    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        refuse_subclass(cls, Snapshot)

    def snapshot(self, reader: str = "") -> Self:
        """Return itself: what was read elsewhere can stand for the instrument it was read from."""
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
        """Numbers told apart by labels of their own: info labels, states; none for others."""
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
        # A read-only view does not pickle; what it shows does.
        plain = [dict(v) if isinstance(v, MappingProxyType) else v for v in values]
        return type(self), tuple(plain)


def refuse_subclass(kind: type, allowed: type) -> None:
    """Raise TypeError if a class of a program derives from one of the library, save `allowed`."""
    if is_own(kind):
        return
    for base in kind.__bases__:
        if base is not allowed and is_own(base):
            raise TypeError(
                f"{base.__name__} cannot be subclassed: compiled code would pass over what "
                f"{kind.__name__} overrides; hold one in a class of your own instead"
            )


def is_own(kind: type) -> bool:
    """Return whether a class is the library's."""
    return kind.__module__.partition(".")[0] == PACKAGE
