"""Pages of a registry: their renderings, their time limits, and the instruments that delay them."""

import re
import sys
import zlib
from collections.abc import Iterator
from enum import StrEnum
from logging import getLogger
from pathlib import Path
from typing import NamedTuple
from weakref import WeakKeyDictionary

from metrics.exporters import expvar, json, openmetrics, prometheus
from metrics.exporters._exposition.escaping import UNDERSCORES
from metrics.integrations._serving.negotiation import DEFAULT, OPENMETRICS, Format
from metrics.integrations._serving.single_flight import Flight, SingleFlight
from metrics.registry import Registry
from metrics.registry._inner import Entry, Labels, store_of, type_name

logger = getLogger("metrics.integrations")

RENDERINGS = SingleFlight("metrics-page", 2)
"""Renderings of pages. With two threads, a page is served while another one hangs."""

LONGEST = 60.0
"""Most seconds that a scraper's header can make a request wait."""

MARGIN = 0.5
"""Seconds that an answer needs to reach its scraper in time; of short limits it is a tenth."""

SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?")

GZIP_LEVEL = 1
"""Pages repeat themselves: the least effort makes them small already."""

GZIP_FORMAT = 31

LIBRARY = str(Path(__file__).parents[2])
"""Directory of the library's modules."""

OVERDUE: WeakKeyDictionary[Registry, dict[str, object]] = WeakKeyDictionary()
"""Names of the instruments whose delay of a page was logged, by registry."""


class PageKind(StrEnum):
    """Kind of a page, which together with the negotiated format decides on its exporter."""

    METRICS = "metrics"
    GETH = "go-ethereum"
    JSON = "json"
    EXPVAR = "expvar"


class PageOptions(NamedTuple):
    """Options of the pages of one endpoint."""

    window: float
    """Seconds for which the values of a resetting timer stay on a page, for every scraper."""
    target: Labels
    """Labels of `target_info`."""
    created: bool
    """Whether OpenMetrics has the times of creation."""
    escaping: str
    """Escaping scheme of names for clients that request any; their own scheme if it is empty."""


class ServedPage(NamedTuple):
    """Page of a registry; requests for equal pages share a rendering."""

    registry: Registry
    kind: PageKind
    options: PageOptions
    compressed: bool
    names: frozenset[str] = frozenset()
    format: Format = DEFAULT

    @property
    def content_type(self) -> str:
        """The value of the Content-Type header."""
        if self.kind is PageKind.JSON:
            return json.CONTENT_TYPE
        return expvar.CONTENT_TYPE if self.kind is PageKind.EXPVAR else self.format.content_type

    @property
    def escaping(self) -> str:
        """The escaping scheme of names."""
        return self.format.escaping or UNDERSCORES

    def chunks(self) -> Iterator[bytes]:
        """Yield the page in chunks; instruments are read meanwhile."""
        if self.kind is PageKind.JSON:
            return json.stream(self.registry, window=self.options.window)
        if self.kind is PageKind.EXPVAR:
            return expvar.stream(self.registry, window=self.options.window)
        if self.kind is PageKind.GETH:
            return prometheus.stream(
                self.registry,
                dialect="go-ethereum",
                names=self.names,
                window=self.options.window,
                reader="go-ethereum",
            )
        if self.format.media_type == OPENMETRICS:
            return openmetrics.stream(
                self.registry,
                names=self.names,
                target=dict(self.options.target),
                created=self.options.created,
                window=self.options.window,
                escaping=self.escaping,
            )
        return prometheus.stream(
            self.registry,
            names=self.names,
            target=dict(self.options.target),
            window=self.options.window,
            escaping=self.escaping,
        )

    def render(self) -> bytes:
        """Return the page, compressed if requested."""
        return compress(self.chunks()) if self.compressed else b"".join(self.chunks())


def compress(chunks: Iterator[bytes]) -> bytes:
    """Return chunks as one gzip file. Other threads run while a chunk is compressed."""
    compressor = zlib.compressobj(GZIP_LEVEL, wbits=GZIP_FORMAT)
    compressed = [compressor.compress(chunk) for chunk in chunks]
    return b"".join([*compressed, compressor.flush()])


def seconds_to_wait(scrape_timeout: str, default: float) -> float:
    """Return the limit of a request in seconds.

    Args:
        scrape_timeout: the header `X-Prometheus-Scrape-Timeout-Seconds`. The limit ends a little
            before the scraper's, and never exceeds a minute.
        default: the limit of a request whose header is missing, malformed or 0.
    """
    text = scrape_timeout.strip()
    scraper = min(float(text), LONGEST) if SECONDS.fullmatch(text) else 0.0
    return scraper - min(MARGIN, scraper / 10) if scraper > 0.0 else default


def report_overdue(flight: Flight, seconds: float) -> str:
    """Return one line about a page that is not ready after `seconds`; log the delay.

    The line names the instruments whose values are being read: by the rendering itself, or by the
    ones that occupy the threads for which it waits. An instrument is logged once, until a page of
    its registry is ready in time again.
    """
    queued = flight.thread is None
    delaying: dict[str, None] = {}
    for other in RENDERINGS.in_progress() if queued else [flight]:
        entry = entry_in_read(other)
        if entry is not None:
            delaying[f"{type_name(entry.instrument)} {entry.name!r}"] = None
            log_delay(other, entry, seconds)
    reason = f"the page was not ready within {seconds:g} s"
    if not delaying:
        return f"{reason}; select fewer names, or raise the scrape timeout"
    cause = "other pages wait" if queued else "it waits"
    return f"{reason}: {cause} for the value of {' and '.join(delaying)}, whose function hangs"


def report_ready(page: ServedPage) -> None:
    """Log the next delay of each instrument, because a whole page was ready in time."""
    if not page.names:
        OVERDUE.pop(page.registry, None)


def entry_in_read(flight: Flight) -> Entry | None:
    """Return the entry whose value a rendering is reading; None between two reads."""
    page, thread = flight.key, flight.thread
    if flight.done or thread is None or not isinstance(page, ServedPage):
        return None
    return store_of(page.registry).entry_in_read(thread)


def log_delay(flight: Flight, entry: Entry, seconds: float) -> None:
    """Log that an entry delays a rendering, and where its function is, unless it was logged."""
    assert isinstance(flight.key, ServedPage)  # noqa: S101 - it has an entry
    names = OVERDUE.setdefault(flight.key.registry, {})
    mine = object()
    if names.setdefault(entry.name, mine) is not mine:
        return
    logger.error(
        "%s %r hangs%s: pages that need its value are answered with 503 after %g s",
        type_name(entry.instrument),
        entry.name,
        place_in_program(flight.thread or 0),
        seconds,
    )


def place_in_program(thread: int) -> str:
    """Return the place at which a thread is in the outermost function that the library has called.

    Empty under gevent, whose threads are greenlets and have no frames here.
    """
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - there is no other way
    if frame is None:
        return ""
    while frame.f_back is not None and not frame.f_back.f_code.co_filename.startswith(LIBRARY):
        frame = frame.f_back
    return f" in {frame.f_code.co_qualname} ({frame.f_code.co_filename}:{frame.f_lineno})"
