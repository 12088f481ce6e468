"""What changed in a registry, as a whole."""

import threading
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TypeAlias, final

from metrics.instruments._inner import Shared
from metrics.registry import Registry
from metrics.registry._inner import Entry
from metrics.testing.recording.change import (
    Change,
    FamilyChange,
    alike,
    described,
    matches,
    missing,
)
from metrics.testing.recording.tracks import Noted, noted

Key: TypeAlias = str | tuple[str, Mapping[str, object]]
"""A name, or a name and labels."""

SHOWN = 20
"""Lines about what else changed in a message."""


@final
class Changes(Shared):
    """What changed in a registry while it was recorded; see `recorded`.

    `changes["rpc/requests"]` is the `Change` of an instrument, whether it changed or not, and
    `changes["http/requests", {"method": "GET"}]` that of a family's child. A name may be given with
    the registry's prefix or without it. Iteration, `len` and `in` are about what did change, as
    text: `http/requests{method="GET"}`.

    Inside the block everything is read when asked for; with its end it stands still. Safe to use
    from any thread.
    """

    __slots__ = ("_ended", "_final", "_lock", "_reader", "_registry", "_tracks", "_unreadable")

    def __init__(self, registry: Registry, reader: str) -> None:
        self._registry = registry
        self._reader = reader
        self._tracks: dict[str, Noted] = {}
        self._final: dict[str, Change | FamilyChange] | None = None
        self._unreadable: dict[str, Exception] = {}
        self._ended = False
        # Guards what is followed, and whether anything more is.
        self._lock = threading.RLock()

    def __getitem__(self, key: Key) -> Change | FamilyChange:
        """Return the change of an instrument, or of a family's child.

        Raises:
            KeyError: nothing of this name is or was registered; says which name is like it.
            TypeError: the key is neither a name nor a name and labels, or there are labels for what
                is no family.
            ValueError: the labels do not match the family's.
            Exception: whatever reading the instrument raises.
        """
        if not isinstance(key, str):
            name, labels = checked_key(key)
            change = self[name]
            if isinstance(change, Change):
                raise TypeError(f"{name!r} is no family and has no labels, got {dict(labels)}")
            return change.labels(**labels)
        full_name = self._full_name(key)
        if full_name is not None:
            return self._read(full_name)
        # The text that iteration gives for a child.
        family, brace, rest = key.partition("{")
        full_name = self._full_name(family)
        if brace and full_name is not None:
            change = self._read(full_name)
            if isinstance(change, FamilyChange):
                children = change.by_label_text()
                if brace + rest in children:
                    return children[brace + rest]
                raise KeyError(self._unknown(key, [family + text for text in children]))
        raise KeyError(self._unknown(key, [*self._tracks]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._changed())

    def __len__(self) -> int:
        return len(self._changed())

    def __contains__(self, key: object) -> bool:
        return key in self._changed() or (
            isinstance(key, str) and self._registry.prefix + key in self._changed()
        )

    def to_dict(self, *, durations: bool = False) -> dict[str, dict[str, object]]:
        """Return what changed as plain dicts, in name order: for golden files.

        There are no times in it, and so nothing that differs from run to run: no rates, and no
        durations of timers unless you ask for them because their clock is a `ManualClock`.
        """
        return {
            name: change.to_dict(durations=durations) for name, change in self._changed().items()
        }

    def assert_recorded(
        self, name: str, labels: Mapping[str, object] | None = None, /, **expected: object
    ) -> None:
        """Fail unless an instrument changed as expected.

        Args:
            name: what the instrument is called.
            labels: those of a family's child.
            expected: what its change has to be, by name (`count=3`, `values=[0.1, 0.2]`); anything
                that can be compared, `pytest.approx` too. Without any, it has to have changed.

        Raises:
            AssertionError: it did not; says what was asked and got, and what else changed.
            KeyError: nothing of this name is or was registered.
            TypeError: this kind of instrument has nothing of the name of an expectation, or
                `labels` is no dict.
        """
        __tracebackhide__ = True
        if labels is not None and not isinstance(labels, Mapping):
            raise TypeError(
                f"assert_recorded() takes labels as a dict, got {labels!r}; what is expected has a "
                f"name, as in assert_recorded({name!r}, count=1)"
            )
        change = self[name] if labels is None else self[name, labels]
        for field in expected:
            if field not in change.numbers:
                raise TypeError(f"{name!r}: {missing(field, change)}")
        wrong = [
            f"  {field}: asked {asked!r}, got {alike(asked, change.numbers[field])!r}"
            for field, asked in expected.items()
            if not matches(asked, change.numbers[field])
        ]
        if not wrong and (expected or change.changed):
            return
        text = repr(name) if labels is None else f"{name!r} with {described(labels)}"
        heading = f"{text} was not recorded as asked:" if wrong else f"{text} did not change"
        raise AssertionError("\n".join([heading, *wrong, *self._others(name, labels)]))

    def _begin(self, entry: Entry) -> None:
        """Follow what is registered from now on."""
        if entry.name.startswith(self._registry.prefix):
            self._follow(entry, is_new=True)

    def _follow(self, entry: Entry, *, is_new: bool) -> None:
        with self._lock:
            old = self._tracks.get(entry.name)
            if not self._ended and (old is None or old.instrument is not entry.instrument):
                self._tracks[entry.name] = noted(entry.instrument, self._reader, is_new=is_new)
                if old is not None:
                    old.end()

    def _end(self) -> None:
        with self._lock:
            self._ended = True
        self._final = self._read_all()
        for track in self._tracks.values():
            track.end()

    def _full_name(self, name: str) -> str | None:
        for full_name in (name, self._registry.prefix + name):
            if full_name in self._tracks:
                return full_name
        return None

    # Instruments are read without the lock: a gauge's function may wait for whoever registers.
    def _read(self, name: str) -> Change | FamilyChange:
        if self._final is None:
            return self._tracks[name].read()
        if name in self._unreadable:
            raise self._unreadable[name]
        return self._final[name]

    def _read_all(self) -> dict[str, Change | FamilyChange]:
        if self._final is not None:
            return self._final
        changes = {}
        for name, track in self._tracks.copy().items():
            try:
                changes[name] = track.read()
            except Exception as error:  # noqa: BLE001 - raised when this one is asked for
                self._unreadable[name] = error.with_traceback(None)
        return changes

    def _changed(self) -> dict[str, Change]:
        """Return text to change, of instruments and children that did change."""
        changes: dict[str, Change] = {}
        for name, change in self._read_all().items():
            if isinstance(change, Change):
                changes[name] = change
            else:
                for labels, child in change.by_label_text().items():
                    changes[name + labels] = child
        return {name: changes[name] for name in sorted(changes) if changes[name].changed}

    def _others(self, name: str, labels: Mapping[str, object] | None) -> list[str]:
        """Return what changed beside what was asked for, in lines."""
        full_name = self._full_name(name) or name
        asked_for = {full_name}
        change = self[name]
        if isinstance(change, FamilyChange):
            texts = change.by_label_text()
            child = None if labels is None else change.labels(**labels)
            asked_for = {full_name + text for text in texts if child in {None, texts[text]}}
        others = [
            f"  {text}: {described(other.numbers)}"
            for text, other in self._changed().items()
            if text not in asked_for
        ]
        if not others:
            return ["nothing else changed"]
        more = [f"  and {len(others) - SHOWN} more"] if len(others) > SHOWN else []
        return ["what else changed:", *others[:SHOWN], *more]

    def _unknown(self, key: str, names: list[str]) -> str:
        prefix = self._registry.prefix
        known = {**{name.removeprefix(prefix): name for name in names}, **{n: n for n in names}}
        like = get_close_matches(key, known, n=1, cutoff=0.5)
        hint = f"did you mean {like[0]!r}?" if like else f"there is {', '.join(names) or 'nothing'}"
        return f"no instrument {key!r} was registered; {hint}"

    def __repr__(self) -> str:
        lines = [f"{name}: {described(c.numbers)}" for name, c in self._changed().items()]
        return f"<Changes {'; '.join(lines) or 'none'}>"


def checked_key(key: object) -> tuple[str, Mapping[str, object]]:
    """Return the name and the labels of a key that is no name alone; raise TypeError if not."""
    match key:
        case (str() as name, Mapping() as labels):
            return name, labels
        case _:
            raise TypeError(
                f"changes[...] takes a name, or a name and a dict of labels, got {key!r}"
            )
