"""Membership of this process in a group: it publishes its own values and reads all values.

A reader gets values that are in the files of their processes already. So a process that is killed
takes nothing back, and a sum never falls. Its increments after its last publication are lost; the
ticker publishes as well, so that they are few where nothing is scraped.

A forked process is not a member, because its copy of the lock would keep a killed parent alive: it
closes all descriptors, and joins at its first use of the library, by a read or by its container.
"""

import atexit
import os
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from logging import getLogger
from pathlib import Path
from typing import Any, final

from metrics import _fork
from metrics.deadline import join
from metrics.errors import HealthcheckError, LifecycleError
from metrics.instruments import Counter
from metrics.integrations._group.building import MergedEntries, health_results
from metrics.integrations._group.directory import (
    GroupDirectory,
    GroupFiles,
    is_file_at,
    number_of,
    seniority,
)
from metrics.integrations._group.files import MemberFile, empty_table
from metrics.integrations._group.locking import lock_files
from metrics.integrations._group.merging import (
    MOST_REMOVED,
    MergedTables,
    merge,
    sum_up,
)
from metrics.integrations._group.reading import READER, RegistryColumns
from metrics.integrations._group.refreshing import RefreshListener, request_refresh
from metrics.registry import Registry
from metrics.registry._inner import Entry, GroupIdentity, Worker, store_of

logger = getLogger("metrics.integrations")

EXIT_SECONDS = 1.0
"""Longest wait for a publication under way when the interpreter exits."""

LONGEST_PATH = 103
"""Most bytes of the path of a socket: macOS takes 103 and Linux 107, and a zero follows."""

COUNTED = f"{READER} counted"
"""Name of the state that is kept between two memberships of a registry."""

joined: dict[Path, int] = {}
"""Directories that this process has joined, and the generation of its fork."""


@final
class Membership:
    """Files and descriptors of this process in the directory of its group.

    Args:
        name: the id of the member.
        descriptor: holds the lock of the member.
        listener: publishes on request.
    """

    __slots__ = ("descriptor", "listener", "name")

    def __init__(self, name: str, descriptor: int, listener: RefreshListener) -> None:
        self.name = name
        self.descriptor = descriptor
        self.listener = listener


@final
class CountedChildren:
    """Children of a registry whose totals a group has counted, when the registry has left it.

    A registry that joins the same group again has the same instruments, which count once.
    """

    __slots__ = ("by_name", "group")

    def __init__(self) -> None:
        self.group: GroupIdentity | None = None
        # Children by label values, by the names of their instruments.
        self.by_name: dict[str, dict[tuple[str, ...], Any]] = {}


@final
class GroupMember:
    """Process of a group, which shares the values of a registry. Safe to use from any thread.

    Args:
        registry: the registry.
        path: the directory of the group.
        mode_of: returns the mode of a gauge from its full name.
        skipped: counts foreign and truncated files that are left out of a read.
        elects: whether one process reports for all.

    Raises:
        LifecycleError: this process has joined the group with another registry, or the group has
            too many members.
        OSError: the directory cannot be used.
        ValueError: its path is too long for a socket.
    """

    def __init__(
        self,
        registry: Registry,
        path: Path,
        mode_of: Callable[[str], str],
        skipped: Counter,
        *,
        elects: bool,
    ) -> None:
        self._registry = registry
        self._store = store_of(registry)
        self._directory = GroupDirectory(path, skipped)
        self._mode_of = mode_of
        self._elects = elects
        self._owner = _fork.registering.get()
        self._membership: Membership | None = None
        self._checking: threading.Thread | None = None
        # Contents of the file of this process, and its status.
        self._written: tuple[MemberFile, os.stat_result] | None = None
        self._active = True
        self._renew()
        refuse_long_path(path)
        self._join()
        _fork.track(self)
        self._store.farewells.open(READER)
        self._store.groups.append(self)
        atexit.register(self._exit)

    @property
    def number(self) -> int:
        """The worker number: the lowest one that no other living member had at the start."""
        return number_of(self._required().name)

    @property
    def directory(self) -> Path:
        """The directory of the group."""
        return self._directory.path

    def count_workers(self) -> int:
        """Return the number of living members."""
        directory = self._directory
        return sum([directory.is_living(member) for member in directory.members()])

    def workers(self) -> list[Worker]:
        """Return the members, living and ended ones that are not part of the total yet."""
        directory = self._directory
        return [
            Worker(number_of(member), directory.process_of(member), directory.is_living(member))
            for member in directory.members()
        ]

    def merge(self, entries: tuple[Entry, ...], prefix: str, reader: str) -> tuple[Entry, ...]:
        """Return entries with the values of all processes; for a reporter, entries as they are.

        Raises:
            OSError: the directory cannot be used.
        """
        # The function of a gauge may read the registry: its sum over processes is right then.
        if self._publisher == threading.get_ident():
            return entries
        if not self._elects and self._store.farewells.is_open(reader):
            return entries
        with self._collecting:
            files = self._collect()
            return self._merged_entries.merge(
                entries,
                self._merged_tables.merge(files.contributions),
                max(prefix, self._store.prefix, key=len),
                files.created,
            )

    def failures(self, prefix: str) -> dict[str, Exception | None]:
        """Return full names of the health checks of all processes, and their errors.

        Raises:
            OSError: the directory cannot be used.
        """
        merged = merge(self._collect().contributions)
        return {
            name: None if result.error is None else HealthcheckError(result.error)
            for name, result in health_results(merged, prefix).items()
            if result.checked
        }

    def is_reporting(self, reader: str) -> bool:
        """Return whether a reporter of this process sends: each does, or this one is elected.

        The living member that has joined first is elected; the next one takes its place when it
        ends. The first report in a process that has joined an older group is not sent: it would
        repeat the increments that others have sent.
        """
        if not self._elects:
            return True
        own = self._required().name
        is_first = reader not in self._readers
        self._readers.add(reader)
        if is_first and not self._founded:
            return False
        return not any(
            seniority(member) < seniority(own) and self._directory.is_living(member)
            for member in self._directory.members()
        )

    def identity(self) -> GroupIdentity | None:
        """Return the identity of the total; None if each process reports its own values."""
        if not self._elects:
            return None
        self._required()
        return self._directory.identity()

    def is_continued(self) -> bool:
        """Return whether another process reports the total when this one has ended."""
        if not self._elects:
            return False
        try:
            self._required()
            return self.count_workers() > 1
        except OSError:
            # No other process can use the directory either.
            return False

    def tick(self) -> None:
        """Publish the values, and run stale health checks. The ticker calls this."""
        if not self._active:
            return
        membership = self._required()
        # Cleaners of temporary directories remove old files.
        self._written = None
        self._publish()
        for suffix in (".lock", ".sock"):
            with suppress(OSError):
                os.utime(self._directory.path / f"{membership.name}{suffix}")
        checking = self._checking
        if self._store.checks() and (checking is None or not checking.is_alive()):
            # A check may take seconds, and other members of the ticker are due.
            self._checking = threading.Thread(
                target=self._store.run_stale_checks, name="metrics-processes-checks", daemon=True
            )
            self._checking.start()

    def leave(self, seconds: float | None = None) -> None:
        """Publish for the last time, and leave the group. Does nothing the second time.

        Args:
            seconds: the longest wait for a publication under way; 5 if None.

        Raises:
            OSError: the directory cannot be used.
            StopTimeoutError: a publication has not ended in time.
        """
        if not self._active:
            return
        if self._forked:
            # Its updates count although it has not used the library otherwise.
            with suppress(OSError, LifecycleError):
                self._required()
        self._active = False
        self._detach()
        membership = self._membership
        if membership is None:
            self._store.farewells.close(READER)
            return
        try:
            if self._checking is not None:
                join(self._checking, seconds)
            membership.listener.stop(seconds)
        finally:
            try:
                with self._directory.locked():
                    self._write(membership)
                    counted = self._store.keep(COUNTED, CountedChildren)
                    counted.group = self._directory.identity()
                    counted.by_name = self._columns.children()
                    self._directory.leave(membership.descriptor)
            except FileNotFoundError:
                # Removed by a cleaner of temporary directories.
                lock_files.close(membership.descriptor)
            finally:
                self._membership = None
                self._store.farewells.close(READER)

    def _detach(self) -> None:
        """Show the values of this process alone from now on."""
        with suppress(ValueError):
            self._store.groups.remove(self)
        joined.pop(self._directory.path, None)
        atexit.unregister(self._exit)

    def _renew(self) -> None:
        """Create the state of a process; of a forked one at its first use of the library.

        A server's worker may patch `threading` after the fork.
        """
        # A signal handler may read while its own thread does.
        self._publishing = threading.RLock()
        # Identifier of the thread that publishes.
        self._publisher: int | None = None
        self._collecting = threading.RLock()
        self._columns = RegistryColumns(self._registry.clock, self._mode_of)
        # Totals of unregistered instruments.
        self._retired = empty_table()
        self._removed = empty_table()
        self._written = None
        self._checking = None
        self._forked = False
        self._merged_tables = MergedTables()
        self._merged_entries = MergedEntries()
        # Reporters that have read before, and whether this process is the first of its group.
        self._readers: set[str] = set()
        self._founded = False
        # Whether a failure to publish was logged.
        self._silent = False

    def _required(self) -> Membership:
        """Return the membership; join a group that has been removed, or that is not joined yet."""
        if self._forked:
            with _fork.renewing:
                if self._forked:
                    self._renew()
        membership = self._membership
        if membership is not None:
            path = self._directory.path / f"{membership.name}.lock"
            if is_file_at(membership.descriptor, path):
                return membership
        with self._collecting:
            if self._membership is membership:
                if membership is not None:
                    self._membership = None
                    joined.pop(self._directory.path, None)
                    lock_files.close(membership.descriptor)
                    membership.listener.stop(None)
                return self._join()
            return self._required()

    def _join(self) -> Membership:
        directory = self._directory
        if joined.get(directory.path) == _fork.generation:
            raise LifecycleError(
                f"this process shares another registry in {directory.path}; pass `name=` to one of "
                "them"
            )
        with directory.locked(create=True), ExitStack() as undo:
            self._founded = directory.is_new()
            directory.absorb_ended()
            directory.sweep()
            name, descriptor = directory.join()
            undo.callback(directory.leave, descriptor)
            listener = RefreshListener(directory.path / f"{name}.sock", self._publish)
            undo.callback(listener.stop, None)
            membership = Membership(name, descriptor, listener)
            counted = self._store.keep(COUNTED, CountedChildren)
            if counted.group is not None and counted.group == directory.identity():
                self._retired = self._columns.negated(self._store.entries(), counted.by_name)
            self._write(membership)
            undo.pop_all()
            counted.group = None
            counted.by_name = {}
        self._membership = membership
        joined[directory.path] = _fork.generation
        finalize_children(self._exit)
        return membership

    def _write(self, membership: Membership) -> None:
        """Write the file of this process.

        Raises:
            OSError: it cannot be written.
            ValueError: there are too many values.
        """
        # One at a time: an older snapshot must not replace a newer one.
        with self._publishing:
            self._publisher = threading.get_ident()
            try:
                self._write_values(membership.name)
            finally:
                self._publisher = None

    def _write_values(self, name: str) -> None:
        unregistered = self._store.farewells.take(READER, self._store.prefix)
        if unregistered:
            final_values = RegistryColumns(self._registry.clock, self._mode_of)
            self._retired = sum_up([self._retired, final_values.read(tuple(unregistered))])
        living = self._columns.read(self._store.entries())
        removed = self._columns.take_removed()
        if removed is not None:
            self._removed = sum_up([removed, self._removed], MOST_REMOVED)
        file = MemberFile({}, living, self._retired, self._removed)
        name = f"{name}.data"
        written = self._written
        # An idle process has the same values at each scrape.
        if (
            written is None
            or written[0] != file
            or not self._directory.is_unchanged(name, written[1])
        ):
            self._written = (file, self._directory.write(name, file))

    def _publish(self) -> None:
        """Write the file of this process; log the first failure of several in a row.

        Other processes use the last values then, and so does this one: its own newer ones would be
        taken back if it were killed.
        """
        membership = self._membership
        if membership is None:
            return
        try:
            self._write(membership)
        except Exception:
            if not self._silent:
                self._silent = True
                logger.exception("the values of this process are not shared until they can be")
        else:
            self._silent = False

    def _collect(self) -> GroupFiles:
        """Return the values of all processes, refreshed."""
        directory = self._directory
        own = self._required().name
        with self._collecting:
            self._publish()
            others = [member for member in directory.members() if member != own]
            request_refresh([directory.path / f"{member}.sock" for member in others])
            if not all(directory.is_living(member) for member in others):
                with directory.locked():
                    directory.absorb_ended()
            with directory.locked(shared=True):
                return directory.read_all(own)

    def _exit(self) -> None:
        """Leave the group at the end of the process."""
        with suppress(Exception):
            self.leave(EXIT_SECONDS)

    def _after_fork(self) -> None:
        """Close the sockets of the parent process, which still uses them."""
        self._forked = True
        membership = self._membership
        if membership is not None:
            self._membership = None
            membership.listener.abandon()

    def _resume(self) -> None:
        """Join the group in a forked process, at its first use of the library."""
        if self._active and self._forked:
            self._required()

    def _drop(self, owners: frozenset[int]) -> None:
        """Leave the group to the parent process if the resource does not survive the fork."""
        if id(self._owner) in owners and self._active:
            self._active = False
            self._detach()


def finalize_children(function: Callable[[], object]) -> None:
    """Call a function at the end of a child of multiprocessing or Celery, which runs no `atexit`.

    Their registries of finalizers are empty when the child begins, and this is called later.
    """
    for name in ("multiprocessing", "billiard"):
        process: Any = sys.modules.get(f"{name}.process")
        util: Any = sys.modules.get(f"{name}.util")
        if (
            util is not None
            and process is not None
            and process.current_process().name != "MainProcess"
        ):
            util.Finalize(None, function, exitpriority=0)


def refuse_long_path(path: Path) -> None:
    """Raise ValueError for a directory in which no socket can be bound."""
    longest = len(os.fsencode(path)) + len("/0000-0000000000000000.sock")
    if longest > LONGEST_PATH:
        raise ValueError(
            f"invalid directory {str(path.parent)!r}: the path of a socket in it has {longest} "
            f"bytes, and {LONGEST_PATH} at most; pass a shorter `directory=`"
        )
