"""Page of Prometheus' text format, or of one of its dialects."""

from collections.abc import Collection, Iterator
from typing import Final, final

from metrics._native import BytesWriter
from metrics.exporters._exposition.escaping import UNDERSCORES, escape_labels
from metrics.exporters._exposition.families import DATED
from metrics.exporters._exposition.layout import Layout
from metrics.exporters._exposition.reading import UNLABELLED, FamilyBlock, FamilyReader
from metrics.exporters._exposition.writing import encode, prefix
from metrics.instruments import Instrument
from metrics.instruments._inner import Family
from metrics.registry._inner import Entry, Labels, ReadProgress

CHUNK: Final = 1 << 15
"""Bytes after which a chunk ends, with the present family or `SLICE` children of a long one."""

SLICE: Final = 64
"""Children that are written between two offers to other threads."""

LONG: Final = 512
"""Children of a family that share a chunk; a family of more is cut into chunks of its own."""

TARGET = "target"

TARGET_INFO = "target_info"


@final
class Page:
    """Page of a registry, in chunks of whole lines.

    Args:
        families: the registry, read as text.
        ending: the last line.
    """

    __slots__ = ("_chunks", "_ending", "_families", "_writer")

    def __init__(self, families: FamilyReader, ending: bytes = b"") -> None:
        self._families = families
        self._ending = ending
        self._writer = BytesWriter()
        # Full chunks before the text in the writer.
        self._chunks: list[bytes] = []

    def add_target(self, heading: str, target: Labels, escaping: str = UNDERSCORES) -> None:
        """Append the metric family of the target, whose name no instrument has on this page.

        Prometheus knows the name `target_info`, which is the same in all schemes.

        Args:
            heading: the lines before the sample.
            target: the labels of the target; nothing is appended without one.
            escaping: the scheme of the names of its labels.
        """
        if not target:
            return
        labels = escape_labels(target, escaping)
        # Both names are claimed, requested or not.
        requested = [self._families.claim(TARGET), self._families.claim(TARGET_INFO)]
        if any(requested):
            self._writer.write(encode(f"{heading}{prefix(TARGET_INFO, labels)}1\n"))

    def chunks(self) -> Iterator[bytes]:
        """Yield the page, of which instruments are read as the chunks are taken.

        Other threads get their turns meanwhile.
        """
        with self._families.begin() as reading:
            entries = reading.entries
            position = 0
            while position < len(entries):
                position = self._fill(reading, entries, position)
                full = self._chunks
                self._chunks = []
                yield from full
        self._families.end()
        self._writer.write(self._ending)
        if len(self._writer):
            yield self._writer.getvalue()

    def _fill(self, reading: ReadProgress, entries: tuple[Entry, ...], start: int) -> int:
        """Write entries from a position on until a chunk is full; return the position after."""
        families = self._families
        position = start
        while position < len(entries) and not self._chunks:
            entry = entries[position]
            position += 1
            layout = families.layout(entry)
            if families.may_take(layout) and not self._write(entry, layout):
                for block in families.read(reading, entry):
                    self._add(block)
            if len(self._writer) >= CHUNK:
                self._cut()
        return position

    def _add(self, block: FamilyBlock) -> None:
        """Append a metric family that was read."""
        self._writer.write(block.family.heading)
        for text in block.written:
            self._writer.write(text)
            if len(self._writer) >= CHUNK:
                self._cut()
        self._writer.write(block.family.ending)

    def _write(self, entry: Entry, layout: Layout) -> bool:
        """Append instruments that need no snapshot, and return whether they need none.

        Nothing is appended if they do.
        """
        instrument = entry.instrument
        if isinstance(instrument, Family):
            return self._write_family(entry, layout, instrument)
        return self._write_instrument(entry, layout, instrument)

    def _write_instrument(self, entry: Entry, layout: Layout, instrument: Instrument) -> bool:
        """Append an instrument without labels, and return whether it needs no snapshot."""
        families, writer = self._families, self._writer
        family = layout.direct_family(instrument)
        if family is None or not families.takes_own(entry, family):
            return False
        # Read before the total, see `times`.
        created = families.times(entry, [instrument])[0] if families.created else 0.0
        size = len(writer)
        writer.write(family.heading)
        text = family.text(UNLABELLED)
        if not family.write_instrument(writer, text, instrument, traced=families.exemplars):
            writer.truncate(size)
            return False
        if families.created and family.kind in DATED:
            family.write_created(writer, UNLABELLED, created)
        families.offer()
        return True

    def _write_family(self, entry: Entry, layout: Layout, instrument: Family) -> bool:
        """Append the children of a family, and return whether all of them need no snapshot."""
        families, writer = self._families, self._writer
        present, children = instrument.table
        family = layout.direct_family(children[0]) if children else None
        if family is None or not families.takes_own(entry, family):
            return False
        traced, is_long = families.exemplars, len(children) > LONG
        if is_long:
            # The chunks that are full meanwhile have children of this family only.
            self._cut()
        chunks, size = len(self._chunks), len(writer)
        writer.write(family.heading)
        for start in range(0, len(children), SLICE):
            values = present[start : start + SLICE]
            part = children[start : start + SLICE]
            created = families.times(entry, part)
            texts = family.texts(start, values)
            for i in range(len(part)):
                if not family.write_instrument(writer, texts[i], part[i], traced=traced):
                    del self._chunks[chunks:]
                    writer.truncate(size)
                    return False
                if created and family.kind in DATED:
                    family.write_created(writer, values[i], created[i])
            families.turns.offer()
            if is_long and len(writer) >= CHUNK:
                self._cut()
        layout.retain(present)
        return True

    def _cut(self) -> None:
        """End a chunk."""
        if len(self._writer):
            self._chunks.append(self._writer.getvalue())
            self._writer.truncate(0)


def checked_names(names: Collection[object]) -> frozenset[str]:
    """Return names as a set.

    Raises:
        TypeError: `names` is a str, or an element is not a str.
    """
    if isinstance(names, str):
        raise TypeError(f"invalid names {names!r}: pass a collection of str, such as ({names!r},)")
    checked: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"invalid name {name!r} ({type(name).__name__}): use a str")
        checked.add(name)
    return frozenset(checked)
