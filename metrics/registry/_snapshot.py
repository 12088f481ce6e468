"""What was read of a registry at one moment."""

from collections.abc import Iterator, Mapping
from typing import final

from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Snapshot
from metrics.registry._entries import Entry


@final
class RegistrySnapshot(Shared, Mapping[str, Snapshot]):
    """The values of all instruments of a registry, by full name, in name order. Immutable."""

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
        """Return what is known about the instrument with this full name.

        Raises:
            KeyError: there is none.
        """
        return self._entries[name]

    def __reduce__(self) -> tuple[object, ...]:
        # An instrument stays where it is updated; what was read from it stands for it elsewhere.
        entries = {
            name: Entry(name, self._values[name], entry.description, entry.unit, entry.registered)
            for name, entry in self._entries.items()
        }
        return RegistrySnapshot, (self._values, entries)

    def __repr__(self) -> str:
        return f"RegistrySnapshot({self._values!r})"
