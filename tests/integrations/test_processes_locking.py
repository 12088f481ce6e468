"""A process that is forked while another thread holds a lock of the group keeps none."""

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from metrics import Counter, Registry
from metrics.integrations import processes
from metrics.integrations._group.locking import lock_files, try_lock
from tests.forks import forking, hammered, in_child, waiting_child
from tests.integrations.workers import Workers, workers

__all__ = ["workers"]

pytestmark = forking


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def counting(registry: Registry) -> Counter:
    return registry.counter("requests")


def forking_once(registry: Registry) -> list[int]:
    """Have the first read fork, which is the one under the lock when the process joins."""
    children: list[int] = []

    def level() -> int:
        if not children:
            children.append(waiting_child())
        return 1

    registry.gauge("level", function=level)
    return children


def is_open(path: Path) -> bool:
    """Return whether this process has a file open."""
    status = path.stat()
    for one in Path("/dev/fd").iterdir():
        # That of the directory itself is closed meanwhile.
        with suppress(OSError):
            if os.path.samestat(os.fstat(int(one.name)), status):
                return True
    return False


def test_a_file_that_is_closed_is_unlocked(path: Path):
    first, second = lock_files.open(path, os.O_CREAT), lock_files.open(path)
    assert try_lock(first, shared=False)
    assert not try_lock(second, shared=True)
    lock_files.close(first)
    assert try_lock(second, shared=False)
    lock_files.close(second)
    assert path.stat().st_mode & 0o777 == 0o600


def test_readers_share_a_lock(path: Path):
    found = [lock_files.open(path, os.O_CREAT) for _ in range(3)]
    assert [try_lock(one, shared=True) for one in found[:2]] == [True, True]
    assert not try_lock(found[2], shared=False)
    for one in found:
        lock_files.close(one)


def test_a_forked_process_closes_the_files_of_its_parent_and_unlocks_none(path: Path):
    descriptor = lock_files.open(path, os.O_CREAT)
    assert try_lock(descriptor, shared=False)

    def look() -> tuple[bool, bool]:
        was_open = is_open(path)
        # The end of a block that the fork was in.
        lock_files.close(descriptor)
        other = lock_files.open(path)
        is_free = try_lock(other, shared=True)
        lock_files.close(other)
        return was_open, is_free

    assert in_child(look) == (False, False)
    lock_files.close(descriptor)


def test_no_fork_copies_a_file_that_another_thread_opens(path: Path):
    path.touch()
    with hammered(lambda: lock_files.close(lock_files.open(path))):
        for _ in range(100):
            assert not in_child(is_open, path)


def test_a_process_forked_under_the_lock_of_a_group_does_not_keep_it(workers: Workers):
    first = workers.start(forking_once)
    [child] = first.run("made")
    try:
        reader = workers.start(counting)
        reader.run("made.inc(3)")
        assert reader.run("values()['requests_total']") == 3
        assert reader.run("member.count_workers()") == 2
        first.kill()
        assert reader.run("values()['requests_total']") == 3
        assert reader.run("member.count_workers()") == 1
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_process_that_is_killed_under_the_lock_leaves_it_to_none_that_it_forked(workers: Workers):
    reading, writing = os.pipe()

    def level() -> int:
        os.write(writing, b"%d" % waiting_child())
        os.kill(os.getpid(), signal.SIGKILL)

    pid = os.fork()
    if pid == 0:
        try:
            registry = Registry()
            registry.gauge("level", function=level)
            processes.share(registry, directory=workers.directory).__enter__()
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    child = int(os.read(reading, 20))
    try:
        reader = workers.start(counting)
        reader.run("made.inc(3)")
        assert reader.run("values()['requests_total']") == 3
        assert reader.run("member.count_workers()") == 1
    finally:
        os.kill(child, signal.SIGKILL)
        os.close(reading)
        os.close(writing)
