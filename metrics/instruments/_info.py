"""Info labels: text about the program, such as its version, commit and platform."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import final

from metrics.instruments._shared import Point, Shared
from metrics.instruments._snapshot import Snapshot


@final
class InfoSnapshot(Snapshot):
    """Info labels of an `Info` at one moment."""

    __slots__ = ("_value",)
    fields = ("value",)

    def __init__(self, value: Mapping[str, str]) -> None:
        self._value = MappingProxyType(dict(value))

    @property
    def value(self) -> Mapping[str, str]:
        """Text by name, read-only."""
        return self._value

    def to_dict(self) -> dict[str, object]:
        """Return the info labels under go-ethereum's key, `value`."""
        return {"value": dict(self._value)}

    def __hash__(self) -> int:
        return hash((InfoSnapshot, frozenset(self._value.items())))

    @property
    def points(self) -> tuple[Point, ...]:
        """One point of 1 that has the info labels."""
        return (Point(tuple(sorted(self._value.items())), 1),)


@final
class Info(Shared):
    """Text by name, replaced as a whole. Safe to use from any thread."""

    __slots__ = ("_value",)

    def __init__(self) -> None:
        self._value: dict[str, str] = {}

    def set(self, value: Mapping[str, str]) -> None:
        """Replace all info labels by `value`.

        Raises:
            TypeError: `value` is not a mapping of str to str.
        """
        if not isinstance(value, Mapping):
            raise TypeError(f"Info.set() takes a mapping of str to str, got {value!r}")
        labels = dict(value)
        pairs: Iterable[tuple[object, object]] = labels.items()
        for key, text in pairs:
            if not isinstance(key, str) or not isinstance(text, str):
                raise TypeError(f"Info.set() takes a mapping of str to str, got {key!r}: {text!r}")
        self._value = labels

    @property
    def value(self) -> dict[str, str]:
        """Copy of the info labels."""
        return dict(self._value)

    def snapshot(self, reader: str = "") -> InfoSnapshot:
        """Return the info labels now; they are the same for every reader."""
        return InfoSnapshot(self._value)

    def __repr__(self) -> str:
        return f"Info({self._value!r})"
