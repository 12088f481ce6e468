"""Registries: names to instruments."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast, final

from metrics import _fork
from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.errors import MetricTypeError
from metrics.instruments._ewma import INTERVAL
from metrics.instruments._family import Family, FamilySnapshot
from metrics.instruments._healthcheck import Healthcheck
from metrics.instruments._noop import noop
from metrics.instruments._resetting_timer import ResettingTimer
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Instrument, Tickable, TickSource
from metrics.instruments._timer import Timer
from metrics.registry._entries import Entries, Entry, kind_of
from metrics.registry._exported_names import exported_name, type_of
from metrics.registry._farewells import Farewells
from metrics.registry._full_names import checked_name, joined
from metrics.registry._shortcuts import Shortcuts
from metrics.registry._snapshot import RegistrySnapshot
from metrics.registry._unreadable import Unreadable

I = TypeVar("I", bound=Instrument)  # noqa: E741 - an instrument
R = TypeVar("R")


@final
class Registry(Shared, Shortcuts):
    """Holds instruments by name. Safe to use from any thread.

    A name given to a registry is put behind its prefix, with a `/` between them unless the prefix
    ends in a separator of its own; names that come out of it (`names()`, iteration, snapshots) are
    full names. Children made with `child` share the table of names with their parent.

    Args:
        prefix: what full names begin with.
        ticker: ticks every instrument of this registry that needs it; without one, whoever
            registers a meter adds it to a ticker.
        clock: given to the instruments that the registry makes.
        enabled: False makes every instrument a no-op and the registry always empty.

    Raises:
        TypeError: `prefix` is not a str.
        ValueError: `prefix` holds control characters.
    """

    def __init__(
        self,
        prefix: str = "",
        *,
        ticker: TickSource | None = None,
        clock: Clock = SYSTEM_CLOCK,
        enabled: bool = True,
    ) -> None:
        self._prefix = joined("", checked_name("prefix", prefix)) if prefix else ""
        self._ticker = ticker
        self._clock = clock
        self._enabled = enabled
        self._entries = Entries()
        self._farewells = Farewells()
        self._watchers: list[Callable[[Entry], object]] = []
        self._unreadable = Unreadable()
        self._kept: dict[str, object] = {}
        _fork.track(self)

    @property
    def prefix(self) -> str:
        """What full names begin with, the separator included."""
        return self._prefix

    @property
    def clock(self) -> Clock:
        """Where the time of what is registered here comes from."""
        return self._clock

    @property
    def enabled(self) -> bool:
        """False when the registry hands out no-ops."""
        return self._enabled

    def child(self, prefix: str) -> "Registry":
        """Return a registry that puts `prefix` behind this one's, in the same table of names."""
        child = Registry(ticker=self._ticker, clock=self._clock, enabled=self._enabled)
        child._prefix = joined(self._prefix, checked_name("prefix", prefix))
        child._entries = self._entries
        child._farewells = self._farewells
        child._watchers = self._watchers
        return child

    def register(self, name: str, instrument: I, *, description: str = "", unit: str = "") -> I:
        """Register an instrument; return what to update, a no-op when the registry is disabled.

        Args:
            name: what it is called here, without the prefix.
            instrument: anything with a `snapshot` method.
            description: one line that says what is measured.
            unit: what it is measured in, plural: `seconds`, `bytes`, `percent`.

        Raises:
            DuplicateMetricError: the name is taken, or one that its values would be exported under
                is: a gauge `x_count` has no place beside a timer `x`.
            TypeError: `name` is not a str or `instrument` not an instrument.
            ValueError: `name` is empty or holds control characters.
            RuntimeError: the ticker cannot start its thread; nothing is registered.
        """
        entry = self._entry(name, instrument, description, unit)
        if not self._enabled:
            return noop(instrument)
        with self._entries.lock:
            entry.settled = False
            self._entries.add(entry)
            try:
                if self._ticker is not None and ticks(instrument):
                    self._ticker.add(cast("Tickable", instrument))
            except BaseException:
                self._entries.remove(entry.name)
                raise
            for watcher in self._watchers:
                watcher(entry)
            entry.settled = True
        return instrument

    def get(self, name: str) -> Instrument | None:
        """Return the instrument with this name, or None.

        Raises:
            TypeError: `name` is not a str.
            ValueError: `name` is empty or holds control characters.
        """
        entry = self._entries.get(self._prefix + checked_name("name", name))
        return None if entry is None else entry.instrument

    def get_or_register(
        self, name: str, factory: Callable[[], I], *, description: str = "", unit: str = ""
    ) -> I:
        """Return the instrument with this name; make it with `factory` and register it if need be.

        However many threads ask, one instrument is made. `factory` decides the type: see the short
        cuts (`counter`, `meter`, ...) for a check that an existing one is of the type you want.

        Raises:
            DuplicateMetricError: the name would be exported like one that is taken.
            TypeError: `name` is not a str or `factory` makes no instrument.
            ValueError: `name` is empty or holds control characters.
        """
        if not self._enabled:
            return self.register(name, factory(), description=description, unit=unit)
        full_name = self._prefix + checked_name("name", name)
        entry = self._entries.get(full_name)
        if entry is not None:
            return cast("I", entry.instrument)
        with self._entries.lock:
            entry = self._entries.get(full_name)
            if entry is not None:
                return cast("I", entry.instrument)
            return self.register(name, factory(), description=description, unit=unit)

    def unregister(self, name: str, instrument: Instrument | None = None) -> bool:
        """Remove a name; return whether it was there.

        The instrument stays usable by whoever holds it; nobody reads or ticks it any more.

        Args:
            name: the name, without the prefix.
            instrument: remove the name only if it stands for this one.
        """
        full_name = self._prefix + checked_name("name", name)
        with self._entries.lock:
            removed = self._entries.remove(full_name, instrument)
            if removed is None:
                return False
            self._tick_no_more(removed.instrument)
        try:
            self._farewells.keep(removed)
        except Exception as error:  # noqa: BLE001 - it is gone, whether or not it can be read
            self._unreadable.add(removed, error)
        return True

    def clear(self) -> None:
        """Remove every name of this registry; those of a parent outside its prefix stay."""
        for entry in self._entries.in_order(self._prefix):
            self.unregister(entry.name[len(self._prefix) :], entry.instrument)

    def names(self) -> tuple[str, ...]:
        """Return the full names, in order."""
        return tuple([entry.name for entry in self.entries()])

    def entries(self) -> tuple[Entry, ...]:
        """Return name, instrument, description and unit of everything here, in name order."""
        return self._entries.in_order(self._prefix)

    def __iter__(self) -> Iterator[tuple[str, Instrument]]:
        """Return pairs of full name and instrument, in name order."""
        return iter([(entry.name, entry.instrument) for entry in self.entries()])

    def __len__(self) -> int:
        return len(self.entries())

    def __bool__(self) -> bool:
        # A registry is a thing, not a container that is false when empty.
        return True

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._entries.get(self._prefix + name) is not None

    def snapshot(self, reader: str = "") -> RegistrySnapshot:
        """Return the values of everything here.

        An instrument that cannot be read (a gauge whose function raises) is left out, which is
        logged once, until it can be read again.

        Args:
            reader: who is asking. What resets when it is read resets for this reader alone.
        """
        values = {}
        entries = {}
        for entry, value in self.read(lambda entry: entry.instrument.snapshot(reader), reader):
            values[entry.name] = value
            entries[entry.name] = entry
        return RegistrySnapshot(values, entries)

    def kept(self, reader: str, make: Callable[[], R]) -> R:
        """Return what a reader keeps between two looks, made the first time.

        It lives as long as the registry: a reporter that is started again goes on where it was. A
        forked process makes its own, because totals start at zero there.
        """
        return cast("R", self._kept.setdefault(reader, make()))

    @contextmanager
    def followed(self, reader: str) -> Iterator[None]:
        """Keep the last values of what is unregistered in the block until `reader` has read them.

        A reporter that makes its final report when the instruments of its container are gone
        already still reports every update.
        """
        self._farewells.open(reader)
        try:
            yield
        finally:
            self._farewells.close(reader)

    @contextmanager
    def watched(self, watcher: Callable[[Entry], object]) -> Iterator[None]:
        """Call `watcher` with each entry that is registered in the block, before anybody has it.

        It is called while the table of names is locked, with what a parent or child registers too,
        and must not raise.
        """
        with self._entries.lock:
            self._watchers.append(watcher)
        try:
            yield
        finally:
            with self._entries.lock:
                self._watchers.remove(watcher)

    def read(self, read: Callable[[Entry], R], reader: str = "") -> Iterator[tuple[Entry, R]]:
        """Yield each entry with what `read` returns for it, in name order.

        An instrument that cannot be read (`read` raises) is left out, as in `snapshot`. What was
        unregistered since a reader that follows the registry last read it is there once more.
        """
        if _fork.dormant:
            _fork.resume()
        entries = self.entries()
        gone = self._farewells.take(reader, self._prefix)
        if gone:
            # What is registered under the name of one that is gone stands for it.
            by_name = {exported_name(entry.name): entry for entry in (*gone, *entries)}
            entries = tuple(sorted(by_name.values(), key=lambda entry: entry.name))
        for entry in entries:
            try:
                value = read(entry)
            except Exception as error:  # noqa: BLE001 - one that fails must not hide the others
                self._unreadable.add(entry, error)
            else:
                if self._unreadable:
                    self._unreadable.discard(entry)
                yield entry, value

    def to_dict(self, reader: str = "") -> dict[str, dict[str, object]]:
        """Return the values of everything here as plain dicts, under go-ethereum's keys.

        A family's children stand under its name and their labels: `requests{method="GET"}`.
        """
        values: dict[str, dict[str, object]] = {}
        for name, snapshot in self.snapshot(reader).items():
            if isinstance(snapshot, FamilySnapshot):
                for labels, value in snapshot.by_label_text():
                    values[name + labels] = value.to_dict()
            else:
                values[name] = snapshot.to_dict()
        return values

    def run_healthchecks(self) -> dict[str, Exception | None]:
        """Run every health check here, one after the other; return full name to error or None."""
        if _fork.dormant:
            _fork.resume()
        errors: dict[str, Exception | None] = {}
        for name, instrument in self:
            if isinstance(instrument, Healthcheck):
                instrument.check()
                errors[name] = instrument.error
        return errors

    def _entry(self, name: str, instrument: I, description: str, unit: str) -> Entry:
        full_name = self._prefix + checked_name("name", name)
        if not callable(getattr(instrument, "snapshot", None)):
            raise TypeError(f"{full_name!r} takes an instrument, got {instrument!r}")
        # A timer measures in seconds, whether or not somebody says so.
        if type_of(instrument) in {Timer, ResettingTimer}:
            unit = "seconds"
        description = " ".join(description.split())
        owner = _fork.registering.get()
        return Entry(full_name, instrument, description, unit, self._clock.time(), owner)

    def _after_fork(self) -> None:
        """Start totals at zero: the parent, which has the same instruments, still reports them."""
        self._farewells.renew()
        self._unreadable = Unreadable()
        # Increments since the parent's last report say nothing of totals that start at zero.
        self._kept = {}
        now = self._clock.time()
        errors: list[Exception] = []
        for entry in self._entries.renewed():
            try:
                if isinstance(entry.instrument, Shared):
                    entry.instrument._after_fork()  # noqa: SLF001 - the same method of another
            except Exception as error:  # noqa: BLE001 - one must not keep the others back
                errors.append(error)
            # Exporters keep there since when they know a total.
            entry.kept = {}
            entry.registered = now
        if errors:
            raise ExceptionGroup(f"instruments of {self!r} were not renewed", errors)

    def _drop(self, owners: frozenset[int]) -> None:
        """Remove the names of owners, which are given by identity; no reader gets their values."""
        self._farewells.drop(owners)
        for entry in self._entries.owned_by(owners):
            if self._entries.remove(entry.name, entry.instrument) is not None:
                self._tick_no_more(entry.instrument)

    def _tick_no_more(self, instrument: Instrument) -> None:
        # It may stand under another name too.
        gone = not self._entries.has(instrument)
        if self._ticker is not None and gone and ticks(instrument):
            self._ticker.discard(cast("Tickable", instrument))

    def _interval(self) -> float:
        return INTERVAL if self._ticker is None else self._ticker.interval

    def _time_source(self) -> Clock:
        return self._clock

    def _obtain(
        self,
        kind: type[I],
        name: str,
        make: Callable[[], I],
        labels: Sequence[str] | None,
        max_children: int,
        description: str,
        unit: str,
    ) -> Any:
        def family() -> Family[I]:
            return Family(kind, labels or (), make, max_children)

        factory: Callable[[], Instrument] = make if labels is None else family
        found = self.get_or_register(name, factory, description=description, unit=unit)
        if labels is None and isinstance(found, kind):
            return found
        if labels is not None and isinstance(found, Family) and found.kind is kind:
            if found.labelnames == tuple(labels):
                return found
            raise MetricTypeError(
                f"name {self._prefix + name!r} already has the labels {found.labelnames}; "
                f"asked for {tuple(labels)}"
            )
        asked = kind.__name__ if labels is None else f"Family of {kind.__name__}"
        raise MetricTypeError(
            f"name {self._prefix + name!r} is already {article(kind_of(found))}; "
            f"asked for {article(asked)}"
        )

    def __repr__(self) -> str:
        return f"<Registry {self._prefix!r}, {len(self)} instruments>"


def ticks(instrument: Instrument) -> bool:
    """Return whether a ticker has something to do for an instrument, or a family's children."""
    return hasattr(getattr(instrument, "kind", instrument), "tick")


def article(noun: str) -> str:
    """Return a noun with its indefinite article."""
    return f"an {noun}" if noun[0] in "AEIOU" else f"a {noun}"
