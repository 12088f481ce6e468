import csv
import stat
import threading
from io import FileIO
from pathlib import Path

import pytest

from metrics import Registry
from metrics.exporters import log_lines
from metrics.exporters.csv import COLUMNS
from metrics.reporters import file
from metrics.reporters._transports import appended_file, files
from metrics.reporters._transports.appended_file import AppendedFile
from metrics.reporters._transports.transport import Unavailable
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything
from tests.processes import until
from tests.reporters.waiting import FOREVER

HEADER = b"header\n"


def appended(path: Path, max_bytes: int = 1000, backups: int = 2) -> AppendedFile:
    return AppendedFile(path, header=HEADER, max_bytes=max_bytes, backups=backups)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def test_every_report_appends_rows_and_the_header_stands_once(path: Path):
    registry = Registry()
    hits = registry.counter("hits")
    clock = ManualClock(epoch=NOW_NS // 10**9)
    for number in range(3):
        hits.inc(number)
        with file.append(registry, path, interval=FOREVER, clock=clock):
            pass
        clock.advance(60)
    rows = rows_of(path)
    assert path.read_text().count(",".join(COLUMNS)) == 1
    found = [(row["timestamp"], row["value"]) for row in rows if row["name"] == "hits"]
    start = NOW_NS // 10**9
    assert found == [(f"{start + 60 * i}.{0:09}", v) for i, v in enumerate(["0", "1", "3"])]


def test_one_reporter_appends_every_interval(path: Path):
    registry = Registry()
    hits = registry.counter("hits")
    with file.append(registry, path, interval=0.01):
        until(lambda: path.read_bytes().count(b"hits,,count,0") > 1, "two reports")
        hits.inc()
    values = [row["value"] for row in rows_of(path) if row["name"] == "hits"]
    assert len(values) > 2
    assert values[-1] == "1"
    assert set(values) == {"0", "1"}


def test_lines_are_for_people(path: Path):
    with file.append(everything(), path, "lines", interval=FOREVER):
        pass
    found = path.read_bytes().splitlines()
    assert [line for line in found if not line.startswith(b"reporter/")] == log_lines.render(
        everything()
    ).splitlines()


def test_a_full_file_is_put_aside_and_the_oldest_goes(path: Path):
    transport = appended(path, max_bytes=20, backups=2)
    for number in range(4):
        transport.send(b"row %d ......\n" % number, 1)
    assert path.read_bytes() == HEADER + b"row 3 ......\n"
    assert path.with_name("metrics.csv.1").read_bytes() == HEADER + b"row 2 ......\n"
    assert path.with_name("metrics.csv.2").read_bytes() == HEADER + b"row 1 ......\n"
    assert len(list(path.parent.iterdir())) == 3


def test_a_file_holds_as_much_as_it_may(path: Path):
    transport = appended(path, max_bytes=len(HEADER) + 10)
    transport.send(b"1234\n", 1)
    transport.send(b"5678\n", 1)
    assert path.read_bytes() == HEADER + b"1234\n5678\n"
    transport.send(b"\n", 1)
    assert path.read_bytes() == HEADER + b"\n"


def test_no_older_files_are_kept_when_none_are_asked_for(path: Path):
    transport = appended(path, max_bytes=1, backups=0)
    transport.send(b"one\n", 1)
    transport.send(b"two\n", 1)
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == HEADER + b"two\n"


def test_a_report_larger_than_the_file_may_be_is_written_whole(path: Path):
    transport = appended(path, max_bytes=1)
    transport.send(b"x" * 100, 1)
    assert path.read_bytes() == HEADER + b"x" * 100


def test_what_was_there_before_stays(path: Path):
    path.write_bytes(b"mine\n")
    appended(path).send(b"row\n", 1)
    assert path.read_bytes() == b"mine\nrow\n"


def test_a_file_that_is_moved_away_is_made_anew(path: Path):
    transport = appended(path)
    transport.send(b"one\n", 1)
    path.rename(path.with_name("moved"))
    transport.send(b"two\n", 1)
    assert path.read_bytes() == HEADER + b"two\n"
    assert path.with_name("moved").read_bytes() == HEADER + b"one\n"


def test_a_write_that_fails_half_way_leaves_nothing_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    transport = appended(path)
    transport.send(b"one\n", 1)

    class FullDisk(FileIO):
        writes = 2

        def write(self, data) -> int:
            if not self.writes:
                raise OSError(28, "No space left on device")
            self.writes -= 1
            return super().write(data[:2])

    monkeypatch.setattr(appended_file, "FileIO", FullDisk)
    with pytest.raises(Unavailable, match=rf"{path.name}: .*No space left"):
        transport.send(b"two three four\n", 1)
    monkeypatch.undo()
    assert path.read_bytes() == HEADER + b"one\n"
    transport.send(b"two three four\n", 1)
    assert path.read_bytes() == HEADER + b"one\ntwo three four\n"


def test_a_write_in_many_steps_is_whole(path: Path, monkeypatch: pytest.MonkeyPatch):
    class Slow(FileIO):
        def write(self, data) -> int:
            return super().write(data[:3])

    monkeypatch.setattr(appended_file, "FileIO", Slow)
    appended(path).send(b"0123456789\n", 1)
    assert path.read_bytes() == HEADER + b"0123456789\n"


def test_a_link_to_a_file_stays_when_the_file_is_renamed(path: Path, tmp_path: Path):
    (tmp_path / "data").mkdir()
    target = tmp_path / "data" / "target.csv"
    path.symlink_to(target)
    transport = appended(path, max_bytes=1)
    transport.send(b"one\n", 1)
    transport.send(b"two\n", 1)
    assert path.is_symlink()
    assert target.read_bytes() == HEADER + b"two\n"
    assert target.with_name("target.csv.1").read_bytes() == HEADER + b"one\n"


@pytest.mark.parametrize("backups", [0, 1])
def test_a_file_has_the_mode_of_the_one_that_was_renamed(path: Path, backups: int):
    path.write_bytes(b"mine\n")
    path.chmod(0o640)
    appended(path, max_bytes=1, backups=backups).send(b"row\n", 1)
    assert path.read_bytes() == HEADER + b"row\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


needs_locks = pytest.mark.skipif(not hasattr(files, "fcntl"), reason="this platform has no flock")


@needs_locks
def test_a_file_that_another_process_keeps_locked_is_an_error_in_time(path: Path):
    transport = appended(path)
    with path.open("ab") as other:
        files.fcntl.flock(other, files.fcntl.LOCK_EX)
        with pytest.raises(Unavailable, match=r"metrics\.csv: another process keeps it locked"):
            transport.send(b"row\n", 0.01)
        with pytest.raises(OSError, match="another process keeps it locked"):
            appended(path)
    transport.send(b"row\n", 1)
    assert path.read_bytes() == HEADER + b"row\n"


@needs_locks
def test_a_wait_for_a_lock_is_aborted_at_once(path: Path):
    transport = appended(path)
    failed = []

    def send() -> None:
        try:
            transport.send(b"row\n", FOREVER)
        except Unavailable as error:
            failed.append(str(error))

    with path.open("ab") as other:
        files.fcntl.flock(other, files.fcntl.LOCK_EX)
        thread = threading.Thread(target=send)
        thread.start()
        until(lambda: transport.abort() or not thread.is_alive(), "the wait ends")
    assert failed == [f"{path}: another process keeps it locked"]


def test_a_report_waits_for_a_folder_that_is_gone(tmp_path: Path, caplog):
    folder = tmp_path / "logs"
    folder.mkdir()
    registry = Registry()
    failed = registry.counter("hits")
    with file.append(registry, folder / "metrics.csv", interval=0.01):
        (folder / "metrics.csv").unlink(missing_ok=True)
        folder.rename(tmp_path / "away")
        failed.inc()
        until(lambda: registry.counter("reporter/file/failed").count, "a failure")
        (tmp_path / "away").rename(folder)
    (record, *_) = caplog.records
    assert record.getMessage().count("No such file or directory; it keeps") == 1
    assert [row["value"] for row in rows_of(folder / "metrics.csv") if row["name"] == "hits"][
        -1
    ] == "1"


@pytest.mark.parametrize("hook", [file.append, file.replace])
@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        (None, ValueError, "option 'path' is required"),
        ("", ValueError, "option 'path' is required"),
        (3, TypeError, "invalid path 3: use a str or a path"),
        ("/proc/nowhere/metrics.prom", OSError, "/proc/nowhere"),
        ("/tmp", IsADirectoryError, "/tmp"),
    ],
)
def test_a_file_that_cannot_be_is_an_error_at_the_start(hook, path, error, message):
    with pytest.raises(error, match=message), hook(Registry(), path):
        pass


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"format": "xml"}, ValueError, "invalid format 'xml': use csv or lines"),
        ({"max_bytes": 0}, ValueError, "max_bytes"),
        ({"backups": -1}, ValueError, "backups"),
        ({"backups": 1.5}, TypeError, "backups"),
        ({"buffer": 1}, TypeError, "unknown option 'buffer'"),
    ],
)
def test_a_wrong_option_is_an_error_at_the_start_that_names_it(path: Path, options, error, message):
    with pytest.raises(error, match=message), file.append(Registry(), path, **options):
        pass


def test_none_is_the_default(path: Path):
    with file.append(
        Registry(), path, None, max_bytes=None, backups=None, name=None, interval=None
    ):
        pass
    assert rows_of(path)
