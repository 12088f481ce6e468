"""Values of a registry at one moment."""

from collections.abc import Iterator, Mapping
from typing import final

from metrics.instruments import FamilySnapshot, Snapshot
from metrics.instruments._inner import Shared
from metrics.registry._entries import Entry


@final
class RegistrySnapshot(Shared, Mapping[str, Snapshot]):
    """Values of all instruments of a registry, by full name, in name order. Immutable."""

    __slots__ = ("_entries", "_values")

    def __init__(self, values: dict[str, Snapshot], entries: dict[str, Entry]) -> None:
        self._values = values
        self._entries = entries

    def __getitem__(self, name: str) -> Snapshot:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def entry(self, name: str) -> Entry:
        """Return name, instrument, description and unit of the instrument with a full name.

        Raises:
            KeyError: no instrument has this name.
        """
        return self._entries[name]

    def to_dict(self) -> dict[str, dict[str, object]]:
        """Return the values as plain dicts, under go-ethereum's keys, as its GetAll does.

        A family's children have its name and their labels as key: `requests{method="GET"}`.
        """
        values: dict[str, dict[str, object]] = {}
        for name, snapshot in self._values.items():
            if isinstance(snapshot, FamilySnapshot):
                for labels, value in snapshot.by_label_text():
                    values[name + labels] = value.to_dict()
            else:
                values[name] = snapshot.to_dict()
        return values

    def __reduce__(self) -> tuple[object, ...]:
        # An instrument stays in its process; its snapshot stands for it elsewhere.
        entries = {name: entry.copy(self._values[name]) for name, entry in self._entries.items()}
        return RegistrySnapshot, (self._values, entries)

    def __repr__(self) -> str:
        return f"RegistrySnapshot({self._values!r})"
