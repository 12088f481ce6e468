"""Prometheus' text format, version 0.0.4.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from functools import lru_cache
from logging import getLogger
from typing import final

from metrics.entries import Entry
from metrics.exporters.forms import Form, Values
from metrics.exporters.layout import Layout
from metrics.instruments.family import Family, FamilySnapshot
from metrics.instruments.snapshot import Snapshot
from metrics.registry import Registry
from metrics.turns import Turns

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

CHUNK = 1024
"""Texts that are put together at a time."""

OFTEN = 8
"""Instruments that are read between two offers to other threads."""

UNLABELLED: Values = ()

logger = getLogger(__name__)

Block = tuple[Form, list[str]]


def render(registry: Registry, *, reader: str = "prometheus") -> bytes:
    """Return the values of a registry as a page that Prometheus scrapes.

    Counters end in `_total`; a meter is a counter and a gauge of rates, `_per_second`, by `window`;
    timers and histograms are summaries, or histograms when they have buckets; values come in base
    units (`percent` becomes a ratio, `milliseconds` become seconds). Of two instruments that would
    end up under one name the first is kept, and a warning is logged. Other threads get their turns
    while a large page is made.

    Args:
        registry: what to read.
        reader: who reads; what resets when it is read resets for this reader alone.
    """
    page = Page(reader)
    for entry, blocks in registry.read(page.blocks):
        page.write(entry, blocks)
    return page.encoded()


@final
class Page:
    """A page that is being made.

    Args:
        reader: who reads.
    """

    __slots__ = ("_chunks", "_lines", "_read", "_reader", "_taken", "_turns")

    def __init__(self, reader: str) -> None:
        self._reader = reader
        self._turns = Turns()
        self._read = 0
        self._taken: dict[str, str] = {}
        self._lines: list[str] = []
        self._chunks: list[bytes] = []

    def blocks(self, entry: Entry) -> list[Block]:
        """Return the metric families that an instrument, or all children of a family, become."""
        instrument = entry.instrument
        texts: dict[Form, list[str]] = {}
        if isinstance(instrument, Family):
            present, children = instrument.table
            layout = layout_of(entry, instrument.labelnames)
            for values, child in zip(present, children, strict=True):
                self._add(texts, layout, values, child.snapshot(self._reader))
            layout.forget(present)
            return list(texts.items())
        snapshot = instrument.snapshot(self._reader)
        if isinstance(snapshot, FamilySnapshot):
            layout = layout_of(entry, snapshot.labelnames)
            for values, value in snapshot.children.items():
                self._add(texts, layout, values, value)
            layout.forget(list(snapshot.children))
        else:
            self._add(texts, layout_of(entry, UNLABELLED), UNLABELLED, snapshot)
        return list(texts.items())

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
            lines.append(form.text(values, snapshot))

    def write(self, entry: Entry, blocks: list[Block]) -> None:
        """Add the families of an instrument, those whose names are free."""
        for form, texts in blocks:
            clash = self._clash(form)
            if clash is not None:
                warn_once(entry.name, form.name, clash)
                continue
            for name in form.names:
                self._taken[name] = entry.name
            self._lines.append(form.heading)
            self._lines += texts
            if len(self._lines) >= CHUNK:
                self._encode()

    def _clash(self, form: Form) -> str | None:
        for name in form.names:
            if name in self._taken:
                return self._taken[name]
        return None

    def _encode(self) -> None:
        for start in range(0, len(self._lines), CHUNK):
            text = "".join(self._lines[start : start + CHUNK])
            # Half a surrogate pair has no place in UTF-8, and the page must not fail for it.
            self._chunks.append(text.encode(errors="replace"))
            self._turns.offer()
        self._lines = []

    def encoded(self) -> bytes:
        """Return the page."""
        self._encode()
        return b"".join(self._chunks)


def layout_of(entry: Entry, labelnames: Values) -> Layout:
    """Return what is kept of an entry between two pages."""
    kept = entry.kept
    if isinstance(kept, Layout) and kept.labelnames == labelnames:
        return kept
    layout = Layout(entry, labelnames)
    entry.kept = layout
    return layout


@lru_cache(maxsize=1024)
def warn_once(name: str, exposed: str, clash: str) -> None:
    """Log that an instrument is left out, the first time only."""
    logger.warning("%r is left out: %r is the name of %r already", name, exposed, clash)
