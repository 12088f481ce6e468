"""What an instrument is to everyone who reads it: something that gives an immutable snapshot.

The numbers of one snapshot agree with each other: sum, count, buckets and values come from the
same moment. Each instrument's module has the type of its snapshot.
"""

from typing import ClassVar, Protocol, Self


class Snapshot:
    """What every snapshot has: equality by value, a readable repr, and `to_dict`."""

    __slots__ = ()
    fields: ClassVar[tuple[str, ...]] = ()

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


class Instrument(Protocol):
    """What a registry holds. Any object with this method can be registered."""

    def snapshot(self, reader: str = "") -> Snapshot:
        """Return the values now.

        Args:
            reader: who is asking. What resets when it is read resets for this reader alone;
                instruments that never reset ignore it.
        """


class Tickable(Protocol):
    """What a ticker ticks: something that advances once an interval."""

    def tick(self) -> None:
        """Advance by one interval."""
