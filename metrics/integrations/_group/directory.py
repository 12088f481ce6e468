"""Directory of a group: files of its members, and the locks that make their sums exact.

A member holds the lock of `<id>.lock` as long as it lives, and the kernel frees it at any end, so
that no process id is ever tested. `<id>.data` has its values, `<id>.sock` takes requests, and
`total` has the totals of members that have ended. The id is the worker number, the lowest one that
no living member has, and the time of joining.

`lock` guards the files. Readers hold it shared: while one adds up, no other process can move the
totals of an ended member from its file into `total`, where the reader may have been already.
Joining, leaving and that move take it alone. A move writes `total` with the ids of the members that
it contains before it removes their files, so that a process that dies in between leaves nothing
that is counted twice.

The directory belongs to one user (mode 0700), has at most `MOST_MEMBERS` members, and is removed by
the last one that leaves. Directories of groups that were killed as a whole are removed when another
group is created beside them.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from logging import getLogger
from pathlib import Path
from time import monotonic, sleep, time, time_ns
from typing import NamedTuple, final
from uuid import uuid4

from metrics.errors import LifecycleError
from metrics.instruments import Counter
from metrics.integrations._group.files import (
    HEADER,
    LARGEST,
    MemberFile,
    SeriesTable,
    decode,
    empty_table,
    encode,
)
from metrics.integrations._group.locking import lock_files, try_lock
from metrics.integrations._group.merging import MOST_REMOVED, Contribution, sum_up
from metrics.registry._inner import GroupIdentity
from metrics.reporters._push.process import process_name

logger = getLogger("metrics.integrations")

MOST_MEMBERS = 1024
"""Most members of a group."""

MOST_SWEPT = 32
"""Most directories of other groups that are examined when a group is created."""

LOCK_SECONDS = 5.0
"""Longest wait for the lock of a group: a process may be stopped (SIGSTOP) while it holds it."""

POLL_SECONDS = 0.001
"""Time between two attempts at a lock. A blocking one would stop all greenlets of a process."""

TOTAL = "total"
LOCK = "lock"
SUFFIXES = (".lock", ".data", ".sock")

writes = count(1)
"""Numbers of the temporary files of this process."""


class GroupFiles(NamedTuple):
    """Contents of the files of a group at one moment.

    created: the time at which the group began, in seconds since the Unix epoch.
    contributions: values of members, and totals of ended ones.
    """

    created: float
    contributions: list[Contribution]


class KnownFile(NamedTuple):
    """File that was read: its header and its size, which are others after a change."""

    header: bytes
    size: int
    contents: MemberFile


@final
class GroupDirectory:
    """Directory of one group.

    Args:
        path: its path; the parent directory is the one of all groups of the user.
        skipped: counts foreign and truncated files that are left out of a read.
    """

    def __init__(self, path: Path, skipped: Counter) -> None:
        self.path = path
        self._skipped = skipped
        # Names of skipped files that were logged.
        self._logged: set[str] = set()
        # Files that were read last, by name.
        self._known: dict[str, KnownFile] = {}

    @contextmanager
    def locked(self, *, shared: bool = False, create: bool = False) -> Iterator[None]:
        """Hold the lock of the group.

        Raises:
            OSError: there is no directory, or it cannot be used.
            TimeoutError: another process holds the lock for seconds.
        """
        descriptor = self._lock(shared=shared, create=create)
        try:
            yield
        finally:
            lock_files.close(descriptor)

    def _lock(self, *, shared: bool, create: bool) -> int:
        """Return the descriptor of the locked file of the group."""
        path = self.path / LOCK
        ends = monotonic() + LOCK_SECONDS
        while True:
            if create:
                make_private(self.path.parent)
                make_private(self.path)
            try:
                descriptor = lock_files.open(path, os.O_NOFOLLOW | (os.O_CREAT if create else 0))
            except FileNotFoundError:
                # The last member of an earlier group removes the directory at this moment.
                if create and monotonic() < ends:
                    continue
                raise
            try:
                while not try_lock(descriptor, shared=shared):
                    self._wait(ends)
                if is_file_at(descriptor, path):
                    return descriptor
            except BaseException:
                lock_files.close(descriptor)
                raise
            lock_files.close(descriptor)

    def _wait(self, ends: float) -> None:
        """Wait a little for the lock; raise TimeoutError after a time."""
        if monotonic() > ends:
            raise TimeoutError(
                f"{self.path} is locked by another process for {LOCK_SECONDS:g} s; continue or end "
                "the process that is stopped"
            )
        sleep(POLL_SECONDS)

    def members(self) -> list[str]:
        """Return the ids of all members, living or not, in the order of their numbers."""
        names = file_names(self.path)
        return sorted({name.partition(".")[0] for name in names if name.endswith(SUFFIXES)})

    def is_new(self) -> bool:
        """Return whether no process has joined the group before."""
        return not (self.path / TOTAL).exists()

    def is_living(self, member: str) -> bool:
        """Return whether a member holds its lock."""
        try:
            descriptor = lock_files.open(self.path / f"{member}.lock")
        except FileNotFoundError:
            return False
        try:
            # Shared, so that two processes that test it do not take each other for the member.
            return not try_lock(descriptor, shared=True)
        finally:
            lock_files.close(descriptor)

    def join(self) -> tuple[str, int]:
        """Become a member; return the id, and the descriptor that holds its lock.

        The lock of the group is held.

        Raises:
            LifecycleError: the group has too many members.
        """
        living = [member for member in self.members() if self.is_living(member)]
        if len(living) >= MOST_MEMBERS:
            raise LifecycleError(
                f"{self.path} has {MOST_MEMBERS} members: start fewer processes, or pass `name=` "
                "to divide them"
            )
        taken = {number_of(member) for member in living}
        number = next(n for n in range(MOST_MEMBERS) if n not in taken)
        member = f"{number:04d}-{time_ns():016x}"
        descriptor = lock_files.open(self.path / f"{member}.lock", os.O_CREAT | os.O_EXCL)
        try:
            # Another process may test it at this moment.
            while not try_lock(descriptor, shared=False):
                sleep(POLL_SECONDS)
            os.write(descriptor, b"%d" % os.getpid())
        except BaseException:
            lock_files.close(descriptor)
            raise
        return member, descriptor

    def process_of(self, member: str) -> int | None:
        """Return the process id of a member; None if its files were removed."""
        try:
            written = (self.path / f"{member}.lock").read_bytes()
        except OSError:
            return None
        return int(written) if written.isdigit() else None

    def write(self, name: str, file: MemberFile) -> os.stat_result:
        """Replace a file as a whole; return the status of the new one.

        Raises:
            OSError: it cannot be written.
            ValueError: it is too large.
        """
        temporary = self.path / f"{name}.{os.getpid()}-{next(writes)}.new"
        data = encode(file, time_ns())
        try:
            with temporary.open("wb") as opened:
                opened.write(data)
                opened.flush()
                status = os.fstat(opened.fileno())
            temporary.replace(self.path / name)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        return status

    def is_unchanged(self, name: str, status: os.stat_result) -> bool:
        """Return whether a file is the one of this status, as it was written."""
        try:
            found = (self.path / name).stat()
        except OSError:
            return False
        return os.path.samestat(found, status) and found.st_mtime_ns == status.st_mtime_ns

    def read(self, name: str) -> MemberFile | None:
        """Return the contents of a file; None if it is missing, foreign or truncated.

        A file that cannot be read is counted, and logged once.
        """
        try:
            with (self.path / name).open("rb") as file:
                header = file.read(HEADER.size)
                size = os.fstat(file.fileno()).st_size
                known = self._known.get(name)
                if known is not None and (known.header, known.size) == (header, size):
                    return known.contents
                contents = decode(header + file.read(min(size, LARGEST + 1)))
                self._known[name] = KnownFile(header, size, contents)
                return contents
        except FileNotFoundError:
            return None
        except (OSError, ValueError, ArithmeticError) as error:
            self._skipped.inc()
            if name not in self._logged and len(self._logged) < MOST_MEMBERS:
                self._logged.add(name)
                logger.warning("%s is left out of the group: %s", self.path / name, error)
            return None

    def read_all(self, own: str) -> GroupFiles:
        """Return the contents of all files; the lock of the group is held, shared or alone.

        Args:
            own: the id of the reading member, whose values are the first.
        """
        total = self.read(TOTAL)
        facts = {} if total is None else total.facts
        absorbed = absorbed_in(facts)
        contributions: list[Contribution] = []
        removed = [] if total is None else [Contribution(None, total.removed, is_removed=True)]
        members = [own, *(member for member in self.members() if member != own)]
        for member in members:
            if member in absorbed:
                continue
            is_living = member == own or self.is_living(member)
            file = self.read(f"{member}.data")
            if file is not None:
                if is_living:
                    contributions.append(Contribution(number_of(member), file.living))
                else:
                    contributions.append(Contribution(None, sum_up([file.living])))
                contributions.append(Contribution(None, file.departed))
                removed.append(Contribution(None, file.removed, is_removed=True))
        if total is not None:
            contributions.append(Contribution(None, total.departed))
        for name in self._known.keys() - {TOTAL, *[f"{member}.data" for member in members]}:
            self._known.pop(name, None)
        return GroupFiles(created_in(facts), contributions + removed)

    def identity(self) -> GroupIdentity | None:
        """Return the identity of the group; None if it is unknown."""
        total = self.read(TOTAL)
        return None if total is None else identity_in(total.facts)

    def absorb(self, members: list[str]) -> None:
        """Move the totals of ended members into the total, once; the lock is held alone."""
        total = self.read(TOTAL)
        facts = {} if total is None else total.facts
        before = absorbed_in(facts)
        tables: list[SeriesTable] = [empty_table() if total is None else total.departed]
        removed: list[SeriesTable] = [] if total is None else [total.removed]
        for member in members:
            if member not in before:
                file = self.read(f"{member}.data")
                if file is not None:
                    tables += (file.living, file.departed)
                    removed.insert(0, file.removed)
        present = {*self.members()}
        for name in file_names(self.path):
            # Of a process that was killed while it wrote the total.
            if name.startswith(f"{TOTAL}."):
                (self.path / name).unlink(missing_ok=True)
        self.write(
            TOTAL,
            MemberFile(
                {
                    "created": created_in(facts) or time(),
                    "identity": identity_in(facts) or (str(uuid4()), process_name()),
                    "absorbed": sorted({*(before & present), *members}),
                },
                empty_table(),
                sum_up(tables),
                sum_up(removed, MOST_REMOVED),
            ),
        )
        for member in members:
            remove_files(self.path, member)

    def absorb_ended(self) -> None:
        """Move the totals of all ended members into the total; the lock is held alone."""
        ended = [member for member in self.members() if not self.is_living(member)]
        if ended or self.is_new():
            self.absorb(ended)

    def leave(self, descriptor: int) -> None:
        """End a membership, whose lock is closed; the last member removes the directory.

        The lock of the group is held alone.
        """
        # Its own lock would make it a living member.
        lock_files.close(descriptor)
        self.absorb_ended()
        if not self.members():
            remove_directory(self.path)

    def sweep(self) -> None:
        """Remove directories of groups that have no living member."""
        others = sorted(self.path.parent.iterdir())
        for other in [path for path in others if path != self.path][:MOST_SWEPT]:
            with suppress(OSError):
                group = GroupDirectory(other, self._skipped)
                descriptor = lock_files.open(other / LOCK)
                try:
                    if try_lock(descriptor, shared=False) and not any(
                        group.is_living(member) for member in group.members()
                    ):
                        remove_directory(other)
                finally:
                    lock_files.close(descriptor)


def absorbed_in(facts: dict[str, object]) -> set[str]:
    """Return the ids of the members whose totals a sum contains."""
    absorbed = facts.get("absorbed")
    return {str(member) for member in absorbed} if isinstance(absorbed, list) else set()


def created_in(facts: dict[str, object]) -> float:
    """Return the time at which a group began; 0 if it is unknown."""
    created = facts.get("created")
    return created if isinstance(created, float) else 0.0


def identity_in(facts: dict[str, object]) -> GroupIdentity | None:
    """Return the identity of a group; None if it is unknown."""
    match facts.get("identity"):
        case [str(uuid), str(name)]:
            return GroupIdentity(uuid, name)
    return None


def seniority(member: str) -> str:
    """Return the time at which a member has joined, as text that sorts."""
    return member.partition("-")[2]


def number_of(member: str) -> int:
    """Return the worker number of a member; 0 for a foreign file."""
    digits = member.partition("-")[0]
    return int(digits) if digits.isdecimal() and digits.isascii() else 0


def is_file_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one at a path, and was not removed or replaced."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def make_private(path: Path) -> None:
    """Create a directory of mode 0700, or check the one that is there.

    Raises:
        PermissionError: other users could read or write it.
    """
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        found = path.lstat()
        if (
            not stat.S_ISDIR(found.st_mode)
            or found.st_uid != os.geteuid()
            or stat.S_IMODE(found.st_mode) & 0o077
        ):
            raise PermissionError(
                f"{path} is not a directory of mode 0700 of this user; remove it, or pass another "
                "`directory=`"
            ) from None


def file_names(directory: Path) -> list[str]:
    """Return the names of the files of a directory."""
    return os.listdir(directory)  # noqa: PTH208 - paths take four times as long to create


def remove_files(directory: Path, member: str) -> None:
    """Remove the files of a member, temporary ones too."""
    # The lock is the last: a member without one is an ended one.
    own = [name for name in file_names(directory) if name.partition(".")[0] == member]
    for name in sorted(own, key=lambda name: name.endswith(".lock")):
        with suppress(FileNotFoundError):
            (directory / name).unlink()


def remove_directory(directory: Path) -> None:
    """Remove the directory of a group without members, its lock last."""
    for path in [*directory.iterdir()]:
        if path.name != LOCK:
            with suppress(OSError):
                path.unlink()
    with suppress(OSError):
        (directory / LOCK).unlink()
        directory.rmdir()
        # The directory of all groups of the user, when it is empty.
        directory.parent.rmdir()
