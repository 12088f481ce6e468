"""Registries: names to instruments."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast, final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.errors import MetricTypeError
from metrics.instruments import Family, Instrument, Snapshot
from metrics.instruments._inner import (
    INTERVAL,
    Cumulative,
    ExemplarFunction,
    ExemplarSource,
    Shared,
    TickSource,
    check_methods,
    checked_clock,
    checked_labels,
    legacy_label,
)
from metrics.registry._entries import Entry, is_ticking, kind_of, type_name
from metrics.registry._healthchecks import run_all
from metrics.registry._kinds import Defaults
from metrics.registry._names import checked_name, joined_prefix
from metrics.registry._noop import noop
from metrics.registry._shortcuts import Shortcuts
from metrics.registry._snapshot import RegistrySnapshot
from metrics.registry._store import Store

I = TypeVar("I", bound=Instrument)  # noqa: E741 - an instrument


@final
class Registry(Shared, Shortcuts):
    """Instruments by name. Safe to use from any thread.

    A registry puts its prefix before each name, with a `/` between them unless the prefix ends in a
    separator of its own; the names that it returns (`names()`, iteration, snapshots) are full
    names. A `child` shares the table of names with its parent.

    Args:
        prefix: the beginning of all full names.
        labels: constant labels of all instruments, in every format.
        ticker: ticks the instruments that have to be ticked; without one, their rates advance only
            when the program ticks them.
        clock: the clock of the instruments that the registry creates.
        enabled: False makes every instrument a no-op and the registry always empty.
        exemplars: returns the labels of the exemplar of the present update, or None; see below.

    `exemplars` is called at each update of a counter, a meter, a bucket histogram or a timer with
    buckets, in the thread and the context of the update. An update with an `exemplar=` of its own
    does not call it. If it raises, the update has no exemplar; the first failure is logged. For the
    current span of OpenTelemetry, if it is sampled:

        from opentelemetry.trace import get_current_span

        def current_span():
            context = get_current_span().get_span_context()
            if not context.trace_flags.sampled:
                return None
            return {
                "trace_id": format(context.trace_id, "032x"),
                "span_id": format(context.span_id, "016x"),
            }

        registry = Registry(exemplars=current_span)

    Raises:
        TypeError: `prefix` is not a str, `labels` not a mapping of str to str, `exemplars` not a
            function, or `ticker` or `clock` lacks a method.
        ValueError: `prefix` or the name of a label is malformed.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        labels: Mapping[str, str] | None = None,
        ticker: TickSource | None = None,
        clock: Clock = SYSTEM_CLOCK,
        enabled: bool = True,
        exemplars: ExemplarFunction | None = None,
    ) -> None:
        full_prefix = joined_prefix("", checked_name("prefix", prefix)) if prefix else ""
        if ticker is not None:
            check_ticker("Registry(ticker)", ticker)
        source = None if exemplars is None else ExemplarSource(exemplars)
        self._store = Store(full_prefix, tick_interval(ticker), exemplars=source)
        self._labels = checked_labels(labels)
        self._ticker = ticker
        self._clock = checked_clock("Registry(clock)", clock)
        self._enabled = enabled
        _fork.track(self)

    @property
    def prefix(self) -> str:
        """The beginning of all full names, with its separator."""
        return self._store.prefix

    @property
    def labels(self) -> Mapping[str, str]:
        """The constant labels."""
        return MappingProxyType(dict(self._labels))

    @property
    def ticker(self) -> TickSource | None:
        """The ticker of the instruments."""
        return self._ticker

    @property
    def clock(self) -> Clock:
        """The clock of the instruments."""
        return self._clock

    @property
    def enabled(self) -> bool:
        """False when the registry returns no-ops."""
        return self._enabled

    @property
    def exemplars(self) -> ExemplarFunction | None:
        """The function that returns the labels of exemplars."""
        source = self._store.exemplars
        return None if source is None else source.function

    def child(self, prefix: str, *, labels: Mapping[str, str] | None = None) -> "Registry":
        """Return a registry with a longer prefix and more constant labels, in the same table.

        A label of the parent's name replaces that of the parent. Ticker, clock and exemplars are
        the parent's.

        Raises:
            TypeError: `prefix` is not a str, or `labels` not a mapping of str to str.
            ValueError: `prefix` or the name of a label is malformed.
        """
        child = Registry(
            labels={**self.labels, **dict(checked_labels(labels))},
            ticker=self._ticker,
            clock=self._clock,
            enabled=self._enabled,
        )
        longer = joined_prefix(self.prefix, checked_name("prefix", prefix))
        child._store = Store(longer, tick_interval(self._ticker), self._store)
        return child

    def register(
        self,
        name: str,
        instrument: I,
        *,
        description: str = "",
        unit: str = "",
        ticker: TickSource | None = None,
    ) -> I:
        """Register an instrument; return the object to update, a no-op in a disabled registry.

        Args:
            name: the name, without the prefix.
            instrument: an instrument, a family, or any object with a `snapshot` method.
            description: one line that says what is measured.
            unit: the unit of the values, plural: `seconds`, `bytes`, `percent`.
            ticker: ticks the instrument in place of the registry's ticker.

        Raises:
            DuplicateMetricError: the name is taken.
            TypeError: `name` is not a str, `instrument` is a snapshot or has none, or `ticker` is
                not a ticker.
            ValueError: `name` is malformed, or a family has a label that the registry has.
            RuntimeError: the ticker cannot start its thread; nothing is registered.
        """
        full_name = self.prefix + checked_name("name", name)
        refuse_snapshot(full_name, instrument)
        if ticker is not None:
            check_ticker("ticker=", ticker)
        if isinstance(instrument, Family):
            self._refuse_labels(full_name, instrument.labelnames)
        if not self._enabled:
            return noop(instrument)
        kind = kind_of(instrument)
        now = self._clock.time()
        entry = Entry(
            full_name,
            instrument,
            " ".join(description.split()),
            (kind.unit if kind else "") or unit,
            self._labels,
            now,
            (self._ticker if ticker is None else ticker) if is_ticking(instrument) else None,
            _fork.registering.get(),
        )
        self._store.add(entry)
        if isinstance(instrument, Cumulative) and not instrument.created:
            instrument._begin(now, self._clock)
        return instrument

    def get(self, name: str) -> Instrument | None:
        """Return the instrument with this name, or None.

        Raises:
            TypeError: `name` is not a str.
            ValueError: `name` is malformed.
        """
        entry = self._store.table.get(self.prefix + checked_name("name", name))
        return None if entry is None else entry.instrument

    def get_or_register(
        self,
        name: str,
        factory: Callable[[], I],
        *,
        description: str = "",
        unit: str = "",
        ticker: TickSource | None = None,
    ) -> I:
        """Return the instrument with this name; create it with `factory` if the name is free.

        However many threads call this, one instrument is created. `factory` decides the type: see
        the shortcuts (`counter`, `meter`, ...) for a check of the type of an existing one.

        Raises:
            TypeError: `name` is not a str, or `factory` creates no instrument.
            ValueError: `name` is malformed.
        """
        full_name = self.prefix + checked_name("name", name)
        entry = self._store.table.get(full_name)
        if entry is None:
            # No other thread creates an instrument meanwhile.
            with self._store.table.lock:
                entry = self._store.table.get(full_name)
                if entry is None:
                    made = factory()
                    return self.register(
                        name, made, description=description, unit=unit, ticker=ticker
                    )
        return cast("I", entry.instrument)

    def unregister(self, name: str, instrument: Instrument | None = None) -> bool:
        """Remove a name; return whether it was registered.

        The instrument stays usable for its holders; it is neither read nor ticked any more.

        Args:
            name: the name, without the prefix.
            instrument: remove the name only if it belongs to this instrument.
        """
        entry = self._store.table.get(self.prefix + checked_name("name", name))
        if entry is None or (instrument is not None and entry.instrument is not instrument):
            return False
        return self._store.remove(entry)

    def clear(self) -> None:
        """Remove every name of this registry; names of a parent outside its prefix stay."""
        for entry in self._store.entries():
            self._store.remove(entry)

    def names(self) -> tuple[str, ...]:
        """Return the full names, in order."""
        return tuple([entry.name for entry in self._store.entries()])

    def __iter__(self) -> Iterator[tuple[str, Instrument]]:
        """Return pairs of full name and instrument, in name order."""
        return iter([(entry.name, entry.instrument) for entry in self._store.entries()])

    def __len__(self) -> int:
        return len(self._store.entries())

    def __bool__(self) -> bool:
        # Not false when empty: a registry is an object of its own, not a collection.
        return True

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._store.table.get(self.prefix + name) is not None

    def snapshot(self, reader: str = "") -> RegistrySnapshot:
        """Return the values of all instruments.

        An instrument that cannot be read (a gauge whose function raises) is left out, which is
        logged once, until it can be read again.

        Args:
            reader: the reader's name. Values that reset at a read reset for this reader alone.
        """
        values: dict[str, Snapshot] = {}
        entries: dict[str, Entry] = {}
        for entry, value in self._store.read(lambda e: e.instrument.snapshot(reader), reader):
            if not value.absent:
                values[entry.name] = value
                entries[entry.name] = entry
        return RegistrySnapshot(values, entries)

    def to_dict(self, reader: str = "") -> dict[str, dict[str, object]]:
        """Return the values of all instruments as plain dicts, under go-ethereum's keys.

        A family's children have its name and their labels as key: `requests{method="GET"}`.
        """
        return self.snapshot(reader).to_dict()

    def run_healthchecks(self) -> dict[str, Exception | None]:
        """Run all health checks now, each within its limit; return full names and errors.

        The error of a healthy check is None. A check without a function has its present state, and
        is left out if it has none. If this process shares its values, a check that fails in another
        one fails here, too, by its last result.

        Raises:
            OSError: the values of the other processes cannot be read.
        """
        if _fork.dormant:
            _fork.resume()
        errors = run_all(self._store.checks())
        for group in self._store.groups:
            for name, error in group.failures(self.prefix).items():
                if errors.get(name) is None:
                    errors[name] = error
        return errors

    def _after_fork(self) -> None:
        errors = self._store.renew(self._clock)
        if errors:
            raise ExceptionGroup(f"instruments of {self!r} were not renewed", errors)

    def _drop(self, owners: frozenset[int]) -> None:
        self._store.drop(owners)

    def _defaults(self, unit: str, ticker: TickSource | None) -> Defaults:
        if ticker is None:
            ticker = self._ticker
        else:
            check_ticker("ticker=", ticker)
        return Defaults(tick_interval(ticker), self._clock, unit)

    def _obtain(
        self,
        name: str,
        kind: type[Instrument],
        labels: tuple[str, ...] | None,
        new: Callable[[Defaults], Instrument],
        description: str,
        unit: str,
        ticker: TickSource | None,
    ) -> Any:
        found = self.get_or_register(
            name,
            lambda: new(self._defaults(unit, ticker)),
            description=description,
            unit=unit,
            ticker=ticker,
        )
        if isinstance(found, Family):
            if labels is not None and found.kind is kind:
                if found.labelnames == labels:
                    return found
                raise MetricTypeError(
                    f"name {self.prefix + name!r} already has the labels {found.labelnames}; "
                    f"asked for {labels}"
                )
        elif labels is None and isinstance(found, kind):
            return found
        requested = kind.__name__ if labels is None else f"Family of {kind.__name__}"
        raise MetricTypeError(
            f"name {self.prefix + name!r} is already {with_article(type_name(found))}; "
            f"asked for {with_article(requested)}"
        )

    def _refuse_labels(self, name: str, labelnames: tuple[str, ...]) -> None:
        constant = {legacy_label(label) for label in self.labels}
        taken = sorted([label for label in labelnames if legacy_label(label) in constant])
        if taken:
            raise ValueError(
                f"labels {taken} of {name!r} are constant labels of the registry; "
                "choose other names for the labels of the family"
            )

    def __repr__(self) -> str:
        return f"<Registry {self.prefix!r}, {len(self)} instruments>"


def tick_interval(ticker: TickSource | None) -> float:
    """Return the seconds between two ticks; the default without a ticker."""
    return INTERVAL if ticker is None else ticker.interval


def refuse_snapshot(name: str, instrument: object) -> None:
    """Raise TypeError for an object that is no instrument, such as a snapshot of one."""
    if isinstance(instrument, Snapshot):
        raise TypeError(
            f"cannot register {instrument!r} as {name!r}: it is a snapshot and never changes; "
            "register the instrument"
        )
    if not callable(getattr(instrument, "snapshot", None)):
        raise TypeError(
            f"cannot register {instrument!r} as {name!r}: it has no snapshot() method; "
            "register an instrument"
        )


def check_ticker(caller: str, ticker: object) -> None:
    """Raise TypeError for an object that is no ticker, such as an interval."""
    check_methods(caller, ticker, ("add", "discard"), "a ticker, such as Ticker(interval)")
    if not hasattr(ticker, "interval"):
        raise TypeError(f"{caller} takes a ticker, got {ticker!r}, which has no interval")


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article."""
    return f"an {noun}" if noun[0] in "AEIOU" else f"a {noun}"
