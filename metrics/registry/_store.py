"""Instruments of a registry, as exporters, reporters and the test kit read them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeVar, cast, final

from metrics import _fork
from metrics.clock import Clock
from metrics.instruments import Family, Healthcheck
from metrics.instruments._inner import Cumulative, ExemplarSource, Shared
from metrics.registry._entries import Entries, Entry, type_of
from metrics.registry._farewells import Farewells
from metrics.registry._healthchecks import run_stale
from metrics.registry._unreadable import Unreadable

R = TypeVar("R")

Watcher = Callable[[Entry], object]

Refresh = Callable[[], object]
"""Function that brings entries up to date before they are read."""


class GroupIdentity(NamedTuple):
    """Identity of the total of several processes, under which any of them reports it.

    uuid: a random UUID.
    name: the host and the id of the process that began the group, `web-1:4711`.
    """

    uuid: str
    name: str


class Worker(NamedTuple):
    """Process of a group.

    number: its worker number.
    pid: its process id; None if it is unknown.
    is_living: whether it is running.
    """

    number: int
    pid: int | None
    is_living: bool


class Group(Protocol):
    """Processes that answer for all of them: readers in one of them get the values of all."""

    def merge(self, entries: tuple[Entry, ...], prefix: str, reader: str) -> tuple[Entry, ...]:
        """Return entries with the values of all processes.

        Args:
            entries: the entries of this process, in name order.
            prefix: the prefix of the registry that is read.
            reader: the reader's name.

        Raises:
            OSError: the other processes cannot be read.
        """

    def workers(self) -> list[Worker]:
        """Return the processes, living and ended ones.

        Raises:
            OSError: the other processes cannot be listed.
        """

    def failures(self, prefix: str) -> dict[str, Exception | None]:
        """Return full names of the health checks of all processes, and their errors.

        Raises:
            OSError: the other processes cannot be read.
        """

    def is_reporting(self, reader: str) -> bool:
        """Return whether a reporter of this process sends its payloads. Called at each report."""

    def identity(self) -> GroupIdentity | None:
        """Return the identity of the total; None if each process reports its own values."""

    def is_continued(self) -> bool:
        """Return whether another process reports the total when this one has ended."""


@final
class ReadProgress:
    """Progress of one read of a store.

    Args:
        entries: the entries to read, in this order.
        unreadable: the entries whose last read failed.
    """

    __slots__ = ("_unreadable", "entries", "entry")

    def __init__(self, entries: tuple[Entry, ...], unreadable: Unreadable) -> None:
        self.entries = entries
        # The one whose value is being read.
        self.entry: Entry | None = None
        self._unreadable = unreadable

    def succeed(self, entry: Entry) -> None:
        """Note that an entry was read."""
        self.entry = None
        if self._unreadable:
            self._unreadable.discard(entry)

    def fail(self, entry: Entry, error: Exception) -> None:
        """Note that an entry cannot be read, which is logged once, until it can be read again."""
        self.entry = None
        self._unreadable.add(entry, error)


@final
class Store:
    """Entries under one prefix, and the state that readers keep between two reads.

    Args:
        prefix: the prefix of the entries that are read.
        interval: seconds between two ticks of the registry's ticker.
        parent: a store whose table of names this one shares, and whose source of exemplars.
        exemplars: source of the exemplars of all instruments; None without a function.
    """

    __slots__ = (
        "_checks",
        "_interval",
        "_kept",
        "_reading",
        "_refreshes",
        "_shared",
        "_warned",
        "exemplars",
        "farewells",
        "groups",
        "prefix",
        "table",
        "unreadable",
        "watchers",
    )

    def __init__(
        self,
        prefix: str,
        interval: float,
        parent: "Store | None" = None,
        exemplars: ExemplarSource | None = None,
    ) -> None:
        self.prefix = prefix
        self.exemplars: ExemplarSource | None = exemplars if parent is None else parent.exemplars
        self._interval = interval
        self.table: Entries = Entries() if parent is None else parent.table
        self.farewells: Farewells = Farewells() if parent is None else parent.farewells
        self.watchers: list[Watcher] = [] if parent is None else parent.watchers
        self.groups: list[Group] = [] if parent is None else parent.groups
        self.unreadable = Unreadable()
        self._checks: tuple[tuple[Entry, ...], list[Entry]] = ((), [])
        self._kept: dict[str, object] = {}
        self._reading: dict[int, ReadProgress] = {}
        self._shared: dict[str, object] = {} if parent is None else parent._shared
        self._warned: set[str] = set() if parent is None else parent._warned
        # Functions to the owners of their hooks, see `metrics._fork.registering`.
        self._refreshes: dict[Refresh, object] = {} if parent is None else parent._refreshes

    def entries(self) -> tuple[Entry, ...]:
        """Return all entries, in name order."""
        return self.table.in_order(self.prefix)

    def checks(self) -> list[Entry]:
        """Return the entries of health checks."""
        everything = self.table.in_order("")
        # A search through all entries for every read would take as long as a small page.
        if self._checks[0] is not everything:
            checks = [
                entry
                for entry in everything
                if type_of(entry.instrument) is Healthcheck and entry.name.startswith(self.prefix)
            ]
            self._checks = (everything, checks)
        return self._checks[1]

    def run_stale_checks(self) -> None:
        """Run the health checks whose results are older than an interval of the ticker."""
        run_stale(self.checks(), self._interval)

    def read(self, read: Callable[[Entry], R], reader: str = "") -> Iterator[tuple[Entry, R]]:
        """Yield each entry with the result of `read` for it, in name order.

        An instrument that cannot be read (`read` raises) is left out. See `reading`.
        """
        with self.reading(reader) as reading:
            for entry in reading.entries:
                reading.entry = entry
                try:
                    value = read(entry)
                except Exception as error:  # noqa: BLE001 - one that fails must not hide the others
                    reading.fail(entry, error)
                else:
                    reading.succeed(entry)
                    yield entry, value

    @contextmanager
    def reading(self, reader: str) -> Iterator[ReadProgress]:
        """Return a block in which a reader reads all entries once.

        Entries are refreshed first, see `refresh_by`.

        Health checks whose results are older than an interval of the ticker run first. An
        instrument that was unregistered since the last read of a reader that follows the registry
        is read once more. If this process shares its values, the values of all processes are
        read.

        Raises:
            OSError: the values of the other processes cannot be read.
        """
        if _fork.dormant:
            _fork.resume()
        for refresh in list(self._refreshes):
            refresh()
        entries = self.entries()
        self.run_stale_checks()
        unregistered = self.farewells.take(reader, self.prefix)
        if unregistered:
            # A successor under the same name replaces the one that is unregistered.
            by_name = {entry.name: entry for entry in (*unregistered, *entries)}
            entries = tuple([by_name[name] for name in sorted(by_name)])
        for group in self.groups:
            entries = group.merge(entries, self.prefix, reader)
        thread = threading.get_ident()
        outer, reading = self._reading.get(thread), ReadProgress(entries, self.unreadable)
        self._reading[thread] = reading
        try:
            yield reading
        finally:
            if outer is None:
                self._reading.pop(thread, None)
            else:
                # The function of an instrument has read the registry.
                self._reading[thread] = outer

    def entry_in_read(self, thread: int) -> Entry | None:
        """Return the entry that a thread is reading now, given by its identifier; None if none."""
        reading = self._reading.get(thread)
        return None if reading is None else reading.entry

    def keep(self, reader: str, create: Callable[[], R]) -> R:
        """Return the state that a reader keeps between two reads, created the first time.

        It lives as long as the registry: a reporter that is started again continues. A forked
        process creates its own, because totals start at zero there.
        """
        return cast("R", self._kept.setdefault(reader, create()))

    def keep_shared(self, subject: str, create: Callable[[], R]) -> R:
        """Return the state about a subject that all readers of parents and children share.

        As with `keep`, a forked process creates its own.
        """
        known = self._shared.get(subject)
        return cast("R", self._shared.setdefault(subject, create()) if known is None else known)

    @contextmanager
    def follow(self, reader: str) -> Iterator[None]:
        """Retain the final values of instruments unregistered in the block until a reader's read.

        A reporter whose final report comes after its container has unregistered the instruments
        still reports every update.
        """
        self.farewells.open(reader)
        try:
            yield
        finally:
            self.farewells.close(reader)

    def is_reporting(self, reader: str) -> bool:
        """Return whether a reporter sends its payloads, or another process does in its place."""
        return all(group.is_reporting(reader) for group in self.groups)

    def identity(self) -> GroupIdentity | None:
        """Return the identity of a total of several processes; None for values of this one."""
        return next(filter(None, [group.identity() for group in self.groups]), None)

    def is_continued(self) -> bool:
        """Return whether another process reports the same series when this one has ended."""
        return any(group.is_continued() for group in self.groups)

    @contextmanager
    def watch(self, watcher: Watcher) -> Iterator[None]:
        """Call `watcher` with each entry that is registered in the block, before it is returned.

        It is called while the table of names is locked, also with the entries of parents and
        children, and must not raise.
        """
        with self.table.lock:
            self.watchers.append(watcher)
        try:
            yield
        finally:
            with self.table.lock:
                self.watchers.remove(watcher)

    @contextmanager
    def refresh_by(self, refresh: Refresh) -> Iterator[None]:
        """Call `refresh` before each read of parents and children in the block.

        It may register and unregister instruments, and must not raise.
        """
        self._refreshes[refresh] = _fork.registering.get()
        try:
            yield
        finally:
            self._refreshes.pop(refresh, None)

    def warn_once(self, subject: str) -> bool:
        """Return whether this is the first warning about a subject, of parents and children too."""
        is_first = subject not in self._warned
        self._warned.add(subject)
        return is_first

    def add(self, entry: Entry) -> None:
        """Register an entry: all of it, or nothing.

        Raises:
            DuplicateMetricError: the name is taken.
            RuntimeError: the ticker cannot start its thread.
        """
        with self.table.lock:
            entry.settled = False
            self.table.add(entry)
            try:
                if entry.ticker is not None:
                    entry.ticker.add(entry.instrument)  # type: ignore[arg-type] # it is ticking
            except BaseException:
                self.table.remove(entry.name)
                raise
            if self.exemplars is not None and isinstance(entry.instrument, (Cumulative, Family)):
                entry.instrument._attach(self.exemplars)
            for watcher in self.watchers:
                watcher(entry)
            entry.settled = True

    def remove(self, entry: Entry) -> bool:
        """Unregister an entry, and retain its final value; return whether it was registered."""
        with self.table.lock:
            if self.table.remove(entry.name, entry.instrument) is None:
                return False
            self._leave(entry)
        try:
            self.farewells.retain(entry)
        except Exception as error:  # noqa: BLE001 - it is unregistered, readable or not
            self.unreadable.add(entry, error)
        return True

    def drop(self, owners: frozenset[int]) -> None:
        """Unregister the entries of owners, given by identity, whose values no reader gets."""
        self.farewells.drop(owners)
        for refresh, owner in list(self._refreshes.items()):
            if id(owner) in owners:
                self._refreshes.pop(refresh, None)
        for entry in self.table.owned_by(owners):
            if self.table.remove(entry.name, entry.instrument) is not None:
                self._leave(entry)

    def renew(self, clock: Clock) -> list[Exception]:
        """Start totals at zero in a forked process, whose parent still reports them.

        Args:
            clock: the clock of the registry.

        Returns:
            The errors of instruments that could not be renewed.
        """
        self.farewells.renew()
        self.unreadable = Unreadable()
        self._reading = {}
        # Increments since the parent's last report do not apply to totals that start at zero.
        self._kept = {}
        # Other threads of the parent may hold locks of the state in it.
        self._shared.clear()
        errors: list[Exception] = []
        now = clock.time()
        for entry in self.table.renew():
            try:
                if isinstance(entry.instrument, Shared):
                    entry.instrument._after_fork()
                if isinstance(entry.instrument, Cumulative):
                    entry.instrument._begin(now, clock)
            except Exception as error:  # noqa: BLE001 - the others have to be renewed too
                errors.append(error)
            entry.registered = now
        return errors

    def _leave(self, entry: Entry) -> None:
        """Stop ticking an unregistered instrument, and tracing its updates."""
        # The instrument may have another name, with this ticker or another one.
        if self.table.is_shared(entry):
            return
        if entry.ticker is not None:
            entry.ticker.discard(entry.instrument)  # type: ignore[arg-type] # it is ticking
        if self.exemplars is not None and isinstance(entry.instrument, (Cumulative, Family)):
            entry.instrument._detach(self.exemplars)
