"""A process that is forked while another thread holds a lock of the group keeps none."""

import os
import signal
from pathlib import Path

import pytest

from metrics import Counter, Registry
from metrics.integrations import processes
from metrics.integrations._group.locking import lock_files, try_lock
from tests.forks import forked, forking, hammered, in_child
from tests.integrations.workers import Workers, workers

__all__ = ["workers"]

pytestmark = forking


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def counting(registry: Registry) -> Counter:
    return registry.counter("requests")


def forking_once(registry: Registry) -> list[int]:
    """Fork when the values are read first, which a process that joins does under the lock."""
    forks: list[int] = []

    def level() -> int:
        if not forks:
            forks.append(forked())
        return 1

    registry.gauge("level", function=level)
    return forks


def is_open(path: Path) -> bool:
    """Return whether this process has a file open."""
    return any(os.path.realpath(one) == str(path) for one in Path("/proc/self/fd").iterdir())


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
        # As a block does that is left in the child.
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
            pid = os.fork()
            if pid == 0:
                os._exit(is_open(path))
            assert os.waitpid(pid, 0)[1] == 0


def test_a_process_forked_under_the_lock_of_a_group_does_not_keep_it(workers: Workers):
    first = workers.start(forking_once)
    forks = first.run("made")
    try:
        reader = workers.start(counting)
        reader.run("made.inc(3)")
        assert reader.run("values()['requests_total']") == 3
        assert reader.run("member.count_workers()") == 2
        first.kill()
        assert reader.run("values()['requests_total']") == 3
        assert reader.run("member.count_workers()") == 1
    finally:
        os.kill(forks[0], signal.SIGKILL)


def test_a_process_that_is_killed_under_the_lock_leaves_it_to_none_that_it_forked(workers: Workers):
    (told, telling) = os.pipe()
    pid = os.fork()
    if pid == 0:
        registry = Registry()

        def fork() -> int:
            os.write(telling, b"%d" % forked())
            os.kill(os.getpid(), signal.SIGKILL)

        registry.gauge("level", function=fork)
        processes.share(registry, directory=workers.directory).__enter__()
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    try:
        reader = workers.start(counting)
        reader.run("made.inc(3)")
        assert reader.run("values()['requests_total']") == 3
        assert reader.run("member.count_workers()") == 1
    finally:
        os.kill(int(os.read(told, 20)), signal.SIGKILL)
        os.close(told)
        os.close(telling)
