"""Processes that append to one file, and their limits."""

import os
from pathlib import Path

import pytest

from metrics.reporters._transports.appended_file import AppendedFile
from metrics.reporters._transports.transport import Unavailable
from tests.forks import forking, in_child
from tests.reporters.waiting import FOREVER

pytestmark = forking

HEADER = b"header\n"
ROW = b"0123456789," * 30 + b"\n"


def appended(path: Path, max_bytes: int = 1_000_000) -> AppendedFile:
    return AppendedFile(path, header=HEADER, max_bytes=max_bytes, backups=1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def test_a_file_that_may_grow_no_more_ends_with_a_whole_row(path: Path):
    resource = pytest.importorskip("resource")

    def fill() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        transport = appended(path)
        sent = 0
        while path.stat().st_size + len(ROW) <= 10_000:
            transport.send(ROW, 1)
            sent += 1
        for _ in range(2):
            with pytest.raises(Unavailable, match="File too large"):
                transport.send(ROW, 1)
        return sent

    sent = in_child(fill)
    assert path.read_bytes() == HEADER + sent * ROW
    assert 10_000 - len(ROW) < path.stat().st_size <= 10_000


def test_processes_that_append_to_one_file_lose_no_row(path: Path):
    processes, rows = 4, 200
    (ready, started) = os.pipe()

    def write(number: int) -> None:
        os.close(started)
        assert os.read(ready, 1) == b""
        transport = appended(path, max_bytes=3000)
        for row in range(rows):
            transport.send(b"%d,%d\n" % (number, row), 20)

    pids = []
    for number in range(processes):
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                write(number)
                code = 0
            finally:
                os._exit(code)
        pids.append(pid)
    os.close(started)
    os.close(ready)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * processes
    found = b"".join(one.read_bytes() for one in path.parent.iterdir())
    assert sorted(line for line in found.splitlines(keepends=True) if line != HEADER) == sorted(
        b"%d,%d\n" % (number, row) for number in range(processes) for row in range(rows)
    )
    assert all(one.read_bytes().startswith(HEADER) for one in path.parent.iterdir())


def test_a_process_that_was_forked_during_a_write_holds_no_lock(path: Path):
    transport = appended(path)
    with transport._lock_file(FOREVER):
        (end, close) = os.pipe()
        pid = os.fork()
        if pid == 0:
            transport.abandon()
            os.close(close)
            os.read(end, 1)
            os._exit(0)
    try:
        transport.send(b"row\n", 1)
        appended(path).send(b"row\n", 1)
    finally:
        os.close(close)
        os.close(end)
        os.waitpid(pid, 0)
    assert path.read_bytes() == HEADER + 2 * b"row\n"
