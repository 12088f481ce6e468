"""Registry as metric families with their children, for pages and for remote write."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, cast, final

from metrics._native import BytesWriter
from metrics._turns import Turns
from metrics.exporters._exposition.families import (
    DATED,
    TRACED,
    Children,
    MetricFamily,
    Sample,
    Values,
)
from metrics.exporters._exposition.layout import Layout, TextLayout
from metrics.exporters._exposition.layouts import Layouts, labelnames_of, layouts_of
from metrics.exporters._series.clashes import warn_once
from metrics.exporters._series.recent import recent_of
from metrics.instruments import FamilySnapshot, Instrument, Snapshot
from metrics.instruments._inner import Cumulative, Family
from metrics.registry import Registry
from metrics.registry._inner import Entry, ReadProgress, store_of

OFTEN: Final = 8
"""Instruments that are read between two offers to other threads."""

SLICE: Final = 32
"""Children that are read before they are written, which bounds the snapshots in memory."""

UNLABELLED: Values = ()

NO_NAMES: frozenset[str] = frozenset()

NO_TIMES: dict[Values, float] = {}

Writer = Callable[[MetricFamily, Children], list[Any]]
"""Returns children of a metric family in a reader's form: lines of a page, samples."""


class FamilyBlock(NamedTuple):
    """A metric family of an instrument, and its children in the reader's form."""

    family: MetricFamily
    written: list[Any]


@final
class FamilyReader:
    """One read of a registry, metric family by metric family.

    Args:
        registry: the registry.
        layouts: the layouts of the registry in a dialect.
        reader: the reader's name; values that reset when read reset for this reader alone.
        write: returns children in the reader's form.
        names: names of the requested families or samples; all families when empty.
        window: seconds of values of resetting instruments; 0 for the values since the last read.
        created: whether children have the times of their creation.
        exemplars: whether children have their exemplars.
    """

    __slots__ = (
        "_claimed",
        "_layouts",
        "_names",
        "_read",
        "_reader",
        "_recent",
        "_store",
        "_write",
        "created",
        "exemplars",
        "turns",
    )

    def __init__(
        self,
        registry: Registry,
        layouts: Layouts,
        reader: str,
        write: Writer,
        *,
        names: frozenset[str] = NO_NAMES,
        window: float = 0.0,
        created: bool = False,
        exemplars: bool = False,
    ) -> None:
        self._store = store_of(registry)
        self._layouts = layouts
        self._reader = reader
        self._write = write
        self.turns = Turns()
        self._names = names
        self._recent = recent_of(registry, reader, window)
        self.created = created
        self.exemplars = exemplars
        self._read = 0
        # Names that belong to instruments of the program's own, or to the page itself.
        self._claimed: dict[str, str] = {}

    def claim(self, name: str) -> bool:
        """Take a name for the page itself; return whether it is requested."""
        self._claimed[name] = name
        return not self._names or name in self._names

    def begin(self) -> AbstractContextManager[ReadProgress]:
        """Return a block in which all instruments are read once, in the order of their names."""
        self._layouts.update(self.turns)
        return self._store.reading(self._reader)

    def end(self) -> None:
        """Drop what is kept of instruments that are unregistered."""
        self._layouts.prune(self.turns)

    def blocks(self) -> Iterator[FamilyBlock]:
        """Yield metric families in the name order of their instruments; no two share a name.

        Other threads get their turns meanwhile.
        """
        with self.begin() as reading:
            for entry in reading.entries:
                yield from self.read(reading, entry)
        self.end()

    def read(self, reading: ReadProgress, entry: Entry) -> list[FamilyBlock]:
        """Return the requested metric families of an instrument, or of all children of a family.

        The list is empty if it cannot be read. A family whose name another one has is left out.
        """
        reading.entry = entry
        try:
            blocks = self._blocks(entry)
        except Exception as error:  # noqa: BLE001 - one that fails must not hide the others
            reading.fail(entry, error)
            return []
        reading.succeed(entry)
        return [block for block in blocks if self.takes(entry, block.family)]

    def layout(self, entry: Entry) -> Layout:
        """Return the layout of an entry."""
        known = entry.layout
        if known is not None:
            # `isinstance` would search the bases.
            layout = cast("Layout", known)
            if layout.owner is self._layouts:
                return layout
        layout = self._layouts.of(entry, labelnames_of(entry))
        entry.layout = layout
        return layout

    def may_take(self, layout: Layout) -> bool:
        """Return whether an instrument may have a requested name, as far as is known unread."""
        if not self._names or layout.kind is None:
            return True
        return not self._names.isdisjoint(layout.names())

    def takes_own(self, entry: Entry, family: MetricFamily) -> bool:
        """Return the same as `takes` for a metric family of an instrument of a known kind."""
        # A registered one has had its names since its layout was created.
        is_plain = entry.position != 0 and not self._claimed and not self._names
        return is_plain or self.takes(entry, family)

    def takes(self, entry: Entry, family: MetricFamily) -> bool:
        """Return whether a metric family of an entry is requested and has its names for itself."""
        return self._is_requested(family) and self._is_free(entry, family)

    def _blocks(self, entry: Entry) -> list[FamilyBlock]:
        """Return the metric families of an instrument, or of all children of a family."""
        layout = self.layout(entry)
        instrument = entry.instrument
        if isinstance(instrument, Family):
            present, children = instrument.table
            return self._family(entry, layout, present, children)
        created = self.times(entry, [instrument])
        snapshot = self._snapshot(entry, layout, UNLABELLED, instrument)
        if isinstance(snapshot, FamilySnapshot):
            return self._foreign_family(entry, snapshot)
        written: dict[MetricFamily, list[Any]] = {}
        self._add(written, layout, [UNLABELLED], [snapshot], created)
        self.offer()
        return blocks_of(written)

    def _family(
        self, entry: Entry, layout: Layout, present: list[Values], children: list[Any]
    ) -> list[FamilyBlock]:
        """Return the metric families of all children of a family."""
        written: dict[MetricFamily, list[Any]] = {}
        for start in range(0, len(children), SLICE):
            values = present[start : start + SLICE]
            part = children[start : start + SLICE]
            created = self.times(entry, part)
            snapshots: list[Snapshot] = []
            for i in range(len(part)):
                snapshots.append(self._snapshot(entry, layout, values[i], part[i]))
                self.offer()
            self._add(written, layout, values, snapshots, created)
        layout.retain(present)
        if self._recent is not None and layout.resets:
            self._recent.retain(entry.name, present)
        return blocks_of(written)

    def _foreign_family(self, entry: Entry, snapshot: FamilySnapshot) -> list[FamilyBlock]:
        """Return the metric families of the children of a program's own kind of family."""
        layout = self._layouts.of(entry, snapshot.labelnames)
        # A family may know the times at which its children began.
        times = getattr(entry.instrument, "created_times", NO_TIMES)
        present = list(snapshot.children)
        snapshots = list(snapshot.children.values())
        written: dict[MetricFamily, list[Any]] = {}
        for start in range(0, len(present), SLICE):
            values = present[start : start + SLICE]
            created = [times.get(v) or entry.registered for v in values] if self.created else []
            self._add(written, layout, values, snapshots[start : start + SLICE], created)
            self.turns.offer()
        layout.retain(present)
        return blocks_of(written)

    def _add(
        self,
        written: dict[MetricFamily, list[Any]],
        layout: Layout,
        values: list[Values],
        snapshots: Sequence[Snapshot],
        created: list[float],
    ) -> None:
        """Write children, and add them to their metric families."""
        groups: dict[MetricFamily, Children] = {}
        for i in range(len(values)):
            snapshot = snapshots[i]
            for family in layout.families(snapshot):
                group = groups.get(family)
                if group is None:
                    group = groups[family] = Children([], [], [], [], self.turns)
                group.values.append(values[i])
                group.views.append(family.view(snapshot))
                if created:
                    group.created.append(created[i])
                if self.exemplars:
                    group.exemplars.append(snapshot.exemplars)
        for family, group in groups.items():
            lines = written.get(family)
            if lines is None:
                written[family] = self._write(family, group)
            else:
                lines += self._write(family, group)

    def _snapshot(
        self, entry: Entry, layout: Layout, values: Values, child: Instrument
    ) -> Snapshot:
        """Return the present values of an instrument, of the whole window if it resets."""
        if self._recent is not None and layout.resets:
            return self._recent.snapshot(entry.name, values, child)
        return child.snapshot(self._reader)

    def times(self, entry: Entry, children: list[Any]) -> list[float]:
        """Return when the totals of children began, if that is requested.

        It is read before the totals: one that is cleared in between began after the time returned.
        """
        if not self.created:
            return []
        return [
            (child.created if isinstance(child, Cumulative) else 0.0) or entry.registered
            for child in children
        ]

    def offer(self) -> None:
        """Count an instrument that was read; offer other threads their turn once in a while."""
        self._read += 1
        if self._read >= OFTEN:
            self._read = 0
            self.turns.offer()

    def _is_requested(self, family: MetricFamily) -> bool:
        return not self._names or not self._names.isdisjoint(family.names())

    def _is_free(self, entry: Entry, family: MetricFamily) -> bool:
        """Return whether a family has its names for itself, and claim them; log it if not."""
        is_own = self._layouts.has(entry, family.name)
        if is_own and not self._claimed:
            return True
        names = family.names()
        for name in names:
            owner = self._claimed.get(name, "")
            if not owner:
                owner = self._layouts.owner(name)
                if owner == entry.name:
                    owner = ""
            if owner:
                warn_once(entry.name, name, owner)
                return False
        if not is_own:
            for name in names:
                self._claimed[name] = entry.name
        return True


def blocks_of(written: dict[MetricFamily, list[Any]]) -> list[FamilyBlock]:
    """Return written families as blocks."""
    return [FamilyBlock(family, lines) for family, lines in written.items()]


def texts_of(family: MetricFamily, children: Children) -> list[Any]:
    """Return the lines of children of a metric family."""
    writer = BytesWriter()
    traced = children.exemplars if family.kind in TRACED else []
    created = children.created if family.kind in DATED else []
    for i in range(len(children.values)):
        values = children.values[i]
        text = family.text(values)
        if traced:
            family.write_traced(writer, text, children.views[i], traced[i])
        else:
            family.write(writer, text, children.views[i])
        if created:
            family.write_created(writer, values, created[i])
        # A sample may have thousands of values, which were sorted.
        children.turns.offer()
    return [writer.getvalue()]


def read_samples(registry: Registry, reader: str) -> Iterator[tuple[MetricFamily, Sample]]:
    """Yield the samples of a page of Prometheus' text format, each with its metric family.

    Args:
        registry: the registry.
        reader: the reader's name; values that reset when read reset for this reader alone.
    """
    layouts = layouts_of(store_of(registry), "prometheus", TextLayout)
    families = FamilyReader(registry, layouts, reader, samples_of, exemplars=True)
    for family, samples in families.blocks():
        for sample in samples:
            yield family, sample


def samples_of(family: MetricFamily, children: Children) -> list[Any]:
    """Return the samples of children of a metric family."""
    values = children.values
    samples: list[Any] = []
    for i in range(len(values)):
        own = family.samples(values[i], children.views[i])
        if children.exemplars and family.kind in TRACED:
            for index, exemplar in enumerate(children.exemplars[i]):
                if exemplar is not None:
                    value = family.scale.of(exemplar.value)
                    own[index] = own[index]._replace(exemplar=exemplar._replace(value=value))
        samples += own
    return samples
