"""Changes of a registry, as a whole."""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher, get_close_matches
from typing import TypeAlias, final

from metrics.instruments._inner import Shared
from metrics.registry import Registry
from metrics.registry._inner import Entry
from metrics.testing.recording._change import (
    Change,
    FamilyChange,
    Unregistered,
    in_form_of,
    listing,
    matches,
)
from metrics.testing.recording._tracks import AnyTrack, new_track

Key: TypeAlias = str | tuple[str, Mapping[str, object]]
"""A name, or a name and labels."""

SHOWN = 20
"""Other changes that a message lists at most."""

SIMILARITY = 0.8
"""Similarity of two words from which on one may be a misspelling of the other."""


@final
class Changes(Shared):
    """Changes of a registry while it was recorded; see `recorded`.

    `changes["rpc/requests"]` is the `Change` of an instrument, whether it changed or not,
    `changes["http/requests", {"method": "GET"}]` that of a family's children with these labels. A
    name may be given with the registry's prefix or without it. A name that was never registered has
    counted nothing, unless it resembles a registered one. Iteration, `len` and `in` are about
    actual changes, as text: `http/requests{method="GET"}`.

    Inside the block instruments are read at each access; after its end the numbers are final. Safe
    to use from any thread.
    """

    __slots__ = ("_ended", "_final", "_lock", "_reader", "_registry", "_tracks", "_unreadable")

    def __init__(self, registry: Registry, reader: str) -> None:
        self._registry = registry
        self._reader = reader
        self._tracks: dict[str, AnyTrack] = {}
        self._final: dict[str, Change | FamilyChange] | None = None
        self._unreadable: dict[str, Exception] = {}
        self._ended = False
        # Guards the tracks, and whether any more are added.
        self._lock = threading.RLock()

    def __getitem__(self, key: Key) -> Change | FamilyChange:
        """Return the change of an instrument, or of a family's children.

        Raises:
            KeyError: no instrument of this name is or was registered, but one of a similar name.
            TypeError: the key is neither a name nor a name and labels, or there are labels for an
                instrument that is no family.
            ValueError: the labels do not match the family's.
            Exception: the instrument could not be read.
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
                names = [family + text for text in children]
                similar = get_close_matches(key, names, n=1, cutoff=0.5)
                raise KeyError(unknown(key, similar, names))
        # Registered names without the prefix are suggested first.
        names = [*self._tracks]
        short = [name.removeprefix(self._registry.prefix) for name in names]
        similar = similar_names(family, dict.fromkeys([*short, *names]))
        if similar:
            raise KeyError(unknown(key, similar, names))
        return Unregistered(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._changed())

    def __len__(self) -> int:
        return len(self._changed())

    def __contains__(self, key: object) -> bool:
        return key in self._changed() or (
            isinstance(key, str) and self._registry.prefix + key in self._changed()
        )

    def to_dict(self, *, durations: bool = False) -> dict[str, dict[str, object]]:
        """Return the actual changes as plain dicts, in name order: for golden files.

        They contain no times, and so no numbers that differ from run to run: no rates, and the
        durations of timers only on request, for timers whose clock is a `ManualClock`.
        """
        return {
            name: change.to_dict(durations=durations) for name, change in self._changed().items()
        }

    def assert_recorded(
        self, name: str, labels: Mapping[str, object] | None = None, /, **expected: object
    ) -> None:
        """Fail unless an instrument changed as expected.

        Args:
            name: the name of the instrument.
            labels: labels of a family's children; of several children the sum counts.
            expected: the attributes of its change, by name (`count=3`, `values=[0.1, 0.2]`), with
                values or any objects that can be compared, `pytest.approx` too. Without any, it has
                to have changed.

        Raises:
            AssertionError: it did not; the message has the expected and actual values, and all
                other changes.
            KeyError: no instrument of this name is or was registered, but one of a similar name.
            TypeError: this kind of instrument has no such attribute, or `labels` is no dict.
        """
        __tracebackhide__ = True
        if labels is not None and not isinstance(labels, Mapping):
            raise TypeError(
                f"assert_recorded() takes labels as a dict, got {labels!r}; expected values have a "
                f"name, as in assert_recorded({name!r}, count=1)"
            )
        change = self[name] if labels is None else self[name, labels]
        for field in expected:
            if field not in change.numbers and not isinstance(change, Unregistered):
                raise TypeError(f"{name!r}: {change._missing(field)}")
        wrong = [
            f"  {field}: expected {value!r}, got "
            + (repr(in_form_of(value, actual[field])) if field in actual else "none")
            for actual in [change.numbers]
            for field, value in expected.items()
            if field not in actual or not matches(value, actual[field])
        ]
        if not wrong and (expected or change.changed):
            return
        text = repr(name) if labels is None else f"{name!r} with {listing(labels)}"
        if isinstance(change, Unregistered):
            heading = f"{text} was never registered" + (":" if wrong else "")
        else:
            heading = f"{text} was not recorded as expected:" if wrong else f"{text} did not change"
        raise AssertionError("\n".join([heading, *wrong, *self._others(name, labels)]))

    def _begin(self, entry: Entry) -> None:
        """Follow an instrument that is being registered."""
        if entry.name.startswith(self._registry.prefix):
            self._follow(entry, is_new=True)

    def _follow(self, entry: Entry, *, is_new: bool) -> None:
        with self._lock:
            old = self._tracks.get(entry.name)
            if not self._ended and (old is None or old.instrument is not entry.instrument):
                self._tracks[entry.name] = new_track(entry.instrument, self._reader, is_new=is_new)
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

    # Instruments are read without the lock: a gauge's function may wait for a thread that
    # registers an instrument.
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
            except Exception as error:  # noqa: BLE001 - raised when this one is requested
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
        """Return lines that list the changes of all other instruments and children."""
        full_name = self._full_name(name) or name
        requested = {full_name}
        family = self[name]
        if isinstance(family, FamilyChange):
            chosen = family if labels is None else family.labels(**labels)
            children = {chosen} if isinstance(chosen, Change) else {*chosen.children.values()}
            texts = family.by_label_text()
            requested = {full_name + text for text in texts if texts[text] in children}
        others = [
            f"  {text}: {listing(other.numbers)}"
            for text, other in self._changed().items()
            if text not in requested
        ]
        if not others:
            return ["nothing else changed"]
        more = [f"  and {len(others) - SHOWN} more"] if len(others) > SHOWN else []
        return ["other changes:", *others[:SHOWN], *more]

    def __repr__(self) -> str:
        lines = [f"{name}: {listing(c.numbers)}" for name, c in self._changed().items()]
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


def unknown(key: str, similar: list[str], names: list[str]) -> str:
    """Return the message that no instrument has a name."""
    hint = f"did you mean {similar[0]!r}?" if similar else f"there is {', '.join(names)}"
    return f"no instrument {key!r} was registered; {hint}"


def similar_names(name: str, known: Iterable[str]) -> list[str]:
    """Return the names that another one is a misspelling, or only the end, of.

    Names are compared word by word: "rpc/errors" is not "rpc/requests" misspelt.
    """
    words = words_of(name)
    found = []
    for other in known:
        others = words_of(other)
        is_end = len(words) < len(others) and others[-len(words) :] == words
        if words and (is_end or "".join(words) == "".join(others) or are_similar(words, others)):
            found.append(other)
    return found


def words_of(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    return re.findall(r"[^\W_]+", name.lower())


def are_similar(words: list[str], others: list[str]) -> bool:
    """Return whether every word is the other name's word, or a misspelling of it."""
    return len(words) == len(others) and all(map(is_misspelling, words, others))


def is_misspelling(word: str, other: str) -> bool:
    """Return whether two words are one, of which one may be misspelt.

    Words with other digits differ, and so do words of which one has a prefix: "unlocked".
    """
    digits, longer = (
        (re.sub(r"\D", "", word), re.sub(r"\D", "", other)),
        abs(len(word) - len(other)),
    )
    has_prefix = longer > 1 and (word.endswith(other) or other.endswith(word))
    ratio = SequenceMatcher(None, word, other).ratio()
    return digits[0] == digits[1] and not has_prefix and ratio >= SIMILARITY
