"""Half a row, as a killed process or a full disk leaves it, never reads as a row."""

import csv
import os
import random
import signal
import subprocess
import sys
from io import FileIO, StringIO
from pathlib import Path

import pytest

from metrics import Registry
from metrics.reporters import file
from metrics.reporters._transports import appended_file
from metrics.reporters._transports.appended_file import AppendedFile
from tests.processes import until
from tests.reporters.waiting import FOREVER

HEADER = b"time,name,value\r\n"
ROWS = [
    b"1.000000000,hits,12345\r\n",
    b'2.000000000,"a ""quoted"", name",12345\r\n',
    b'3.000000000,"two\nlines ""and\n more""",12345\r\n',
    b"4.000000000,last,12345\r\n",
]


def appended(path: Path, header: bytes = HEADER) -> AppendedFile:
    return AppendedFile(path, header=header, max_bytes=10_000_000, backups=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


@pytest.mark.parametrize("block", [3, 16, appended_file.BLOCK])
def test_a_file_that_was_cut_anywhere_begins_with_whole_rows_again(
    path: Path, monkeypatch: pytest.MonkeyPatch, block: int
):
    monkeypatch.setattr(appended_file, "BLOCK", block)
    if block < appended_file.SHOWN:
        # That a row is no longer than a block does not hold here.
        monkeypatch.setattr(appended_file, "LONGEST_ROW", appended_file.SHOWN)
    whole = HEADER + b"".join(ROWS)
    ends = [0]
    for row in (HEADER, *ROWS):
        ends.append(ends[-1] + len(row))
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        transport = appended(path)
        complete = max(end for end in ends if end <= size)
        assert path.read_bytes() == whole[:complete]
        transport.send(ROWS[0], 1)
        assert path.read_bytes() == (whole[:complete] or HEADER) + ROWS[0]


def test_half_a_row_that_appears_later_is_removed_before_the_next_one(path: Path):
    transport = appended(path)
    transport.send(ROWS[0], 1)
    with path.open("ab") as other:
        other.write(ROWS[0][:-5])
    transport.send(ROWS[3], 1)
    assert path.read_bytes() == HEADER + ROWS[0] + ROWS[3]


def test_a_removal_is_logged_once_and_shows_what_was_removed(path: Path, caplog):
    path.write_bytes(HEADER + ROWS[0] + b"2.000000000,hits,123")
    for _ in range(3):
        appended(path).send(ROWS[0], 1)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path}: removed half a row at the end, as a process leaves it that is killed while it "
        "writes: b'2.000000000,hits,123'"
    )


def test_half_a_line_of_a_log_is_removed_too(path: Path, caplog):
    path.write_bytes(b"hits count=12345\nhits count=123")
    appended(path, header=b"").send(b"hits count=12346\n", 1)
    assert path.read_bytes() == b"hits count=12345\nhits count=12346\n"
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("content", "header"),
    [
        (b"mine", HEADER),
        (b"mine\nmy last line", HEADER),
        (b'time,name\n1,"half', HEADER),
        # Not even one line of a log: it is another kind of file most likely.
        (b"mine", b""),
    ],
)
def test_a_file_of_another_program_keeps_its_content(path: Path, caplog, content, header):
    path.write_bytes(content)
    appended(path, header).send(b"row\n", 1)
    assert path.read_bytes() == content + b"\nrow\n"
    assert not caplog.records


def test_a_quotation_mark_that_was_added_by_hand_costs_no_older_rows(path: Path):
    before = HEADER + b'1.000000000,"hits,1\r\n'
    rows = ROWS[0] * 10_000
    path.write_bytes(before + rows + b"5.00")
    appended(path).send(ROWS[3], 1)
    assert path.read_bytes() == before + rows + ROWS[3]


def test_a_report_follows_whole_rows_of_a_killed_process(path: Path):
    registry = Registry()
    registry.counter("hits").inc(12345)
    with file.append(registry, path, interval=FOREVER):
        pass
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b",hits,") + len(b",hits,,count,12")])
    with file.append(registry, path, interval=FOREVER):
        pass
    rows = list(csv.DictReader(StringIO(path.read_text(), newline=""), strict=True))
    assert {row["value"] for row in rows if row["name"] == "hits"} == {"12345"}


KILLED = """
import sys
from pathlib import Path
from metrics.reporters._transports.appended_file import AppendedFile

transport = AppendedFile(Path(sys.argv[1]), header=b"a,b\\n", max_bytes=10**9, backups=1)
payload = b"12345,67890\\n" * 100_000
while True:
    transport.send(payload, 60)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this platform kills otherwise")
def test_a_process_that_is_killed_while_it_writes_leaves_no_half_row_after_the_next_start(
    path: Path,
):
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as process:
            size = path.stat().st_size if path.exists() else 0
            moment = size + random.randrange(5_000_000)
            until(lambda least=moment: path.exists() and path.stat().st_size > least, "rows")
            process.kill()
        AppendedFile(path, header=b"a,b\n", max_bytes=10**9, backups=1)
        content = path.read_bytes()
        assert content.count(b"12345,67890\n") * 12 + len(b"a,b\n") == len(content)


def test_a_full_disk_leaves_no_half_row_even_if_it_cannot_be_removed_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    transport = appended(path)
    transport.send(ROWS[0], 1)

    class FullDisk(FileIO):
        def write(self, data) -> int:
            super().write(data[:10])
            raise OSError(28, "No space left on device")

        def truncate(self, size=None) -> int:
            raise OSError(5, "Input/output error")

    monkeypatch.setattr(appended_file, "FileIO", FullDisk)
    with pytest.raises(appended_file.Unavailable, match="Input/output error"):
        transport.send(ROWS[1], 1)
    monkeypatch.undo()
    assert path.read_bytes() == HEADER + ROWS[0] + ROWS[1][:10]
    transport.send(ROWS[1], 1)
    assert path.read_bytes() == HEADER + ROWS[0] + ROWS[1]
