"""Pipes, terminals and devices are written as such, and nobody waits for their readers."""

import os
import select
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from metrics import Registry
from metrics.reporters import file
from metrics.reporters._transports import files
from metrics.reporters._transports.appended_file import AppendedFile
from metrics.reporters._transports.stream import Stream
from metrics.reporters._transports.transport import Unavailable
from tests.processes import until
from tests.reporters.waiting import DEADLINE, FOREVER

pytestmark = pytest.mark.skipif(
    not hasattr(os, "mkfifo"), reason="this platform has no pipes with names"
)

HEADER = b"header\n"


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture
def stream(pipe: Path):
    stream = Stream(pipe, header=HEADER)
    yield stream
    stream.close()


class Reader:
    """A process at the other end of a pipe, which reads when a test says so."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def has_data(self) -> bool:
        return bool(select.select([self._descriptor], [], [], 0)[0])

    def read(self, size: int = 1 << 20) -> bytes:
        return os.read(self._descriptor, size)

    def close(self) -> None:
        os.close(self._descriptor)

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


def test_a_pipe_without_a_reader_holds_nothing_up_and_is_one_line(pipe: Path, caplog):
    registry = Registry()
    with file.append(registry, pipe, interval=0.01):
        failed = registry.counter("reporter/file/failed")
        until(lambda: failed.count, "a failure")
        (record,) = caplog.records
        assert f"file cannot deliver: {pipe}: no process reads it; it keeps" in record.getMessage()
    assert pipe.is_fifo()


def test_a_reader_that_comes_later_gets_all_rows(pipe: Path):
    registry = Registry()
    registry.counter("hits").inc(12345)
    with file.append(registry, pipe, interval=0.01):
        failed = registry.counter("reporter/file/failed")
        until(lambda: failed.count, "a failure")
        reader = Reader(pipe)
    with reader:
        lines = reader.read().decode().splitlines()
    assert lines[0] == "timestamp,name,labels,field,value"
    assert len([line for line in lines if ",hits,,count,12345" in line]) > 1


def test_a_reader_gets_the_header_and_then_rows_without_an_end_between_them(pipe, stream):
    with Reader(pipe) as reader:
        stream.send(b"one\n", 1)
        assert reader.read() == HEADER + b"one\n"
        with pytest.raises(BlockingIOError):
            reader.read()
        stream.send(b"two\n", 1)
        assert reader.read() == b"two\n"
        stream.close()
        assert reader.read() == b""


def test_another_reader_begins_with_the_header(pipe, stream):
    with Reader(pipe):
        stream.send(b"one\n", 1)
    with pytest.raises(Unavailable, match="Broken pipe"):
        stream.send(b"two\n", 1)
    with pytest.raises(Unavailable, match="no process reads it"):
        stream.send(b"two\n", 1)
    with Reader(pipe) as reader:
        stream.send(b"two\n", 1)
        assert reader.read() == HEADER + b"two\n"


def rows(count: int) -> bytes:
    return b"".join(b"%06d,%s\n" % (number, b"x" * (number % 300)) for number in range(count))


def read_all(reader: Reader) -> bytes:
    """Return all that is in a pipe now."""
    found = b""
    try:
        while data := reader.read():
            found += data
    except BlockingIOError:
        pass
    return found


def test_a_reader_that_does_not_read_gets_no_half_row_and_each_row_once(pipe, stream):
    payload = rows(2000)
    with Reader(pipe) as reader:
        with pytest.raises(Unavailable, match="its reader does not read"):
            stream.send(payload, 0.01)
        found = read_all(reader)
        assert found
        assert found.endswith(b"\n")
        assert found + deliver(stream, payload, reader) == HEADER + payload


def test_after_a_dropped_payload_the_next_one_begins_on_a_line_of_its_own(pipe, stream):
    # A row that no pipe takes at once, and a payload that is dropped before all of it is read.
    long = b"x" * 1_000_000 + b"\n"
    following = b"next\n"
    with Reader(pipe) as reader:
        with pytest.raises(Unavailable):
            stream.send(long + b"dropped\n", 0.01)
        found = read_all(reader)
        assert not found.endswith(b"\n")
        found += deliver(stream, following, reader)
    assert found == HEADER + long + following


def deliver(stream: Stream, payload: bytes, reader: Reader) -> bytes:
    """Send a payload as often as it takes; return all that was read meanwhile."""
    found = b""
    for _ in range(1000):
        try:
            stream.send(payload, 0.001)
        except Unavailable:
            found += read_all(reader)
        else:
            return found + read_all(reader)
    pytest.fail("the payload is not delivered")


def test_a_wait_for_a_reader_is_aborted_at_once(pipe, stream):
    failed = []

    def send() -> None:
        try:
            stream.send(rows(10_000), FOREVER)
        except Unavailable as error:
            failed.append(str(error))

    with Reader(pipe):
        thread = threading.Thread(target=send)
        thread.start()
        until(lambda: stream.abort() or not thread.is_alive(), "the wait ends")
    assert failed == [f"{pipe}: its reader does not read"]


def test_a_stop_does_not_wait_for_a_reader(pipe: Path):
    registry = Registry()
    family = registry.counters("hits", labels=("n",))
    for number in range(3000):
        family.labels(number).inc()
    options = {"interval": 0.01, "timeout": FOREVER}
    with Reader(pipe) as reader, file.append(registry, pipe, **options) as reporter:
        until(reader.has_data, "a report begins")
        reporter.stop(1.0)
        assert not reporter.running
        assert read_all(reader).endswith(b"\n")


def test_a_terminal_is_written_to(tmp_path: Path):
    pty = pytest.importorskip("pty")
    controller, terminal = pty.openpty()
    try:
        with file.append(Registry(), os.ttyname(terminal), "lines", interval=FOREVER):
            pass
        assert select.select([controller], [], [], DEADLINE)[0]
        assert b"reporter/file/sent" in os.read(controller, 10_000)
    finally:
        os.close(controller)
        os.close(terminal)


def test_the_null_device_is_written_to(caplog):
    with file.append(Registry(), os.devnull, interval=FOREVER):
        pass
    assert Path(os.devnull).is_char_device()
    assert not caplog.records


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this platform has no /dev/full")
def test_a_device_that_takes_nothing_is_a_clear_line(caplog):
    registry = Registry()
    with file.append(registry, "/dev/full", interval=FOREVER):
        pass
    assert "/dev/full: No space left on device" in caplog.text


@pytest.mark.parametrize(
    ("mode", "kind"), [(stat.S_IFSOCK, "socket"), (stat.S_IFBLK, "block device")]
)
def test_what_cannot_be_appended_to_is_refused_at_the_start(tmp_path, monkeypatch, mode, kind):
    path = tmp_path / "x"
    path.touch()
    status = os.stat_result((mode | 0o666, *path.stat()[1:]))
    monkeypatch.setattr(Path, "stat", lambda self, **_: status)
    with (
        pytest.raises(OSError, match=f"rows cannot be appended to a {kind}; use a file or a pipe"),
        file.append(Registry(), path),
    ):
        pass


def test_a_pipe_that_may_not_be_written_is_an_error_at_the_start(pipe: Path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError) as raised, file.append(Registry(), pipe):
        pass
    assert raised.value.filename == str(pipe)


def test_a_file_that_becomes_a_pipe_is_not_waited_for(tmp_path: Path):
    path = tmp_path / "metrics.csv"
    transport = AppendedFile(path, header=HEADER, max_bytes=1000, backups=1)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(Unavailable, match="no longer a regular file"):
        transport.send(b"row\n", 1)


def test_a_pipe_that_becomes_a_file_is_not_overwritten(pipe: Path, stream):
    pipe.unlink()
    pipe.write_bytes(b"mine\n")
    with pytest.raises(Unavailable, match="no longer a pipe"):
        stream.send(b"row\n", 1)
    assert pipe.read_bytes() == b"mine\n"


STANDARD_OUTPUT = """
import sys
from metrics import Registry
from metrics.reporters import file

registry = Registry()
registry.counter("hits").inc(12345)
print("before", flush=True)
with file.append(registry, sys.argv[1], interval=3600, max_bytes=1):
    pass
print("after", flush=True)
"""


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("pipe", "/dev/stdout"),
        ("pipe", "link"),
        ("file", "/dev/stdout"),
        ("file", "link"),
        ("file", "output"),
    ],
)
def test_the_standard_output_is_written_to_and_never_renamed(tmp_path: Path, kind: str, path: str):
    output = tmp_path / "output"
    if path != "/dev/stdout":
        (tmp_path / "link").symlink_to("/proc/self/fd/1")
        path = str(tmp_path / path)
    with output.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-c", STANDARD_OUTPUT, path],
            stdout=subprocess.PIPE if kind == "pipe" else stream,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=60,
            check=True,
        )
    lines = (done.stdout if kind == "pipe" else output.read_bytes()).decode().splitlines()
    assert lines[:2] == ["before", "timestamp,name,labels,field,value"]
    assert any(line.endswith(",hits,,count,12345") for line in lines)
    assert lines[-1] == "after"
    assert {one.name for one in tmp_path.iterdir()} <= {"output", "link"}


def test_a_regular_file_is_no_stream(tmp_path: Path, pipe: Path):
    options = {"header": b"", "max_bytes": 1, "backups": 0}
    assert isinstance(file.open_to_append(tmp_path / "new.csv", **options), AppendedFile)
    assert isinstance(file.open_to_append(tmp_path / "new.csv", **options), AppendedFile)
    assert isinstance(file.open_to_append(pipe, **options), Stream)
    assert files.standard_descriptor(tmp_path / "new.csv") is None
