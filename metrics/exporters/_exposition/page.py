"""A page of Prometheus' text format, and of its dialects, that is being made."""

from collections.abc import Collection, Iterator
from typing import Final

from metrics._turns import Turns
from metrics.exporters._exposition.families import Form, Values
from metrics.exporters._exposition.geth import GethLayout
from metrics.exporters._exposition.layout import (
    Layout,
    TextLayout,
    geth_names,
    text_names,
)
from metrics.exporters._exposition.renaming import number_of_entry, rename_clashes
from metrics.exporters._series.clashes import warn_once
from metrics.instruments import Family, FamilySnapshot, Instrument, Snapshot
from metrics.registry import Registry
from metrics.registry._inner import Entry, Kind, kind_of, store_of

DIALECTS: dict[str, type[Layout]] = {"prometheus": TextLayout, "go-ethereum": GethLayout}

CHUNK: Final = 256
"""Texts that are put together at a time."""

OFTEN: Final = 8
"""Instruments that are read between two offers to other threads."""

UNLABELLED: Values = ()

Block = tuple[Form, list[str]]


class Page:
    """A page that is being made.

    Args:
        reader: who reads.
        dialect: what the forms of the page are kept under.
        names: those that are asked for; all when empty.
    """

    __slots__ = ("_dialect", "_ending", "_lines", "_names", "_read", "_reader", "_taken", "_turns")

    def __init__(self, reader: str, dialect: str, names: frozenset[str]) -> None:
        self._reader = reader
        self._dialect = dialect
        # What the page ends with.
        self._ending = ""
        self._names = names
        self._turns = Turns()
        self._read = 0
        self._taken: dict[str, str] = {}
        self._lines: list[str] = []

    def chunks(self, registry: Registry) -> Iterator[bytes]:
        """Yield the page."""
        store = store_of(registry)
        rename_clashes(store, self._dialect, self._exposed)
        for entry, blocks in store.read(self.blocks, self._reader):
            self._write(entry, blocks)
            if len(self._lines) >= CHUNK:
                lines = self._lines
                self._lines = []
                for start in range(0, len(lines), CHUNK):
                    yield self._encoded(lines[start : start + CHUNK])
        if self._ending:
            self._lines.append(self._ending)
        if self._lines:
            yield self._encoded(self._lines)

    def blocks(self, entry: Entry) -> list[Block]:
        """Return the metric families that an instrument, or all children of a family, become."""
        if self._names and not self._may_be_asked(entry):
            return []
        instrument = entry.instrument
        texts: dict[Form, list[str]] = {}
        if isinstance(instrument, Family):
            present, children = instrument.table
            layout = self._layout(entry, instrument.labelnames)
            for values, child in zip(present, children, strict=True):
                self._add(texts, layout, values, self._snapshot(child))
            layout.retain(present)
            return list(texts.items())
        snapshot = self._snapshot(instrument)
        if isinstance(snapshot, FamilySnapshot):
            layout = self._layout(entry, snapshot.labelnames)
            for values, value in snapshot.children.items():
                self._add(texts, layout, values, value)
            layout.retain(list(snapshot.children))
        else:
            self._add(texts, self._layout(entry, UNLABELLED), UNLABELLED, snapshot)
        return list(texts.items())

    def _snapshot(self, instrument: Instrument) -> Snapshot:
        """Return the values of an instrument now."""
        return instrument.snapshot(self._reader)

    def _add(
        self, texts: dict[Form, list[str]], layout: Layout, values: Values, snapshot: Snapshot
    ) -> None:
        self._read += 1
        if self._read % OFTEN == 0:
            self._turns.offer()
        for form in layout.forms(snapshot):
            lines = texts.get(form)
            if lines is None:
                lines = texts[form] = []
            lines.append(self._text(layout, form, values, snapshot))

    def _text(
        self,
        layout: Layout,  # noqa: ARG002 - what other pages keep there
        form: Form,
        values: Values,
        snapshot: Snapshot,
    ) -> str:
        """Return the lines of one child of a family."""
        return form.text(values, snapshot)

    def _may_be_asked(self, entry: Entry) -> bool:
        """Return whether an instrument has one of the names, or cannot tell without being read."""
        kind = kind_of(entry.instrument)
        if kind is None:
            return True
        number = number_of_entry(entry, self._dialect)
        return not self._names.isdisjoint(self._exposed(kind, entry, number))

    def _exposed(self, kind: Kind, entry: Entry, number: int) -> list[str]:
        """Return every name the page has for an instrument."""
        if self._dialect == "go-ethereum":
            return geth_names(kind, entry, number)
        return text_names(kind, entry, number)

    def _layout(self, entry: Entry, labelnames: Values) -> Layout:
        """Return what is kept of an entry between two pages."""
        kept = entry.kept.get(self._dialect)
        if isinstance(kept, Layout) and kept.labelnames == labelnames:
            return kept
        layout = self._new_layout(entry, labelnames)
        entry.kept[self._dialect] = layout
        return layout

    def _new_layout(self, entry: Entry, labelnames: Values) -> Layout:
        return DIALECTS[self._dialect](entry, labelnames, number_of_entry(entry, self._dialect))

    def _write(self, entry: Entry, blocks: list[Block]) -> None:
        """Add the families of an instrument, those that are asked for and whose names are free."""
        for form, texts in blocks:
            if self._names and self._names.isdisjoint(form.names):
                continue
            if self._is_free(entry, form):
                self._lines.append(form.heading)
                self._lines += texts
                if form.ending:
                    self._lines.append(form.ending)

    def _is_free(self, entry: Entry, form: Form) -> bool:
        """Return whether nobody else has the names of a family, and take them."""
        for name in form.names:
            if name in self._taken:
                warn_once(entry.name, name, self._taken[name])
                return False
        for name in form.names:
            self._taken[name] = entry.name
        return True

    def _encoded(self, lines: list[str]) -> bytes:
        self._turns.offer()
        # Half a surrogate pair has no place in UTF-8, and the page must not fail for it.
        return "".join(lines).encode(errors="replace")


def checked_names(names: Collection[object]) -> frozenset[str]:
    """Return names as a set; raise TypeError for what cannot be names."""
    if isinstance(names, str):
        raise TypeError(f"names is a collection of str, got {names!r}; did you mean ({names!r},)?")
    checked: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"a name is a str, got {name!r} ({type(name).__name__})")
        checked.add(name)
    return frozenset(checked)
