import logging
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from time import monotonic

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metrics import Registry
from metrics.exporters import prometheus as page
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import file
from metrics.reporters._transports import files, replaced_file
from metrics.reporters._transports.replaced_file import ReplacedFile
from metrics.reporters._transports.transport import Unavailable
from tests.exporters.examples import everything
from tests.processes import until
from tests.reporters.waiting import DEADLINE, FOREVER

needs_locks = pytest.mark.skipif(not hasattr(files, "fcntl"), reason="this platform has no flock")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.prom"


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def test_a_page_replaces_the_file(path: Path):
    registry = everything()
    with file.replace(registry, path, interval=FOREVER):
        pass
    found = path.read_text()
    own = "".join(
        line for line in found.splitlines(keepends=True) if "reporter_textfile" not in line
    )
    assert own.encode() == page.render(everything())
    assert {family.name for family in text_string_to_metric_families(found)} > {
        "hits",
        "used_bytes",
    }


def test_a_file_always_is_whole_and_nothing_lies_beside_it(path: Path):
    registry = Registry()
    family = registry.counters("hits", labels=("n",))
    for number in range(500):
        family.labels(number).inc()
    with file.replace(registry, path, interval=0.001):
        until(path.exists, "the first page")
        ends = monotonic() + DEADLINE
        seen = set()
        # Each page counts those before it, so that no two are alike.
        while len(seen) < 10:
            text = path.read_text()
            assert text.count("\nhits_total{") == 500
            assert text.endswith("\n")
            seen.add(text)
            assert monotonic() < ends
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_others_can_read_a_file_as_the_umask_lets_them(path: Path, umask: int):
    ReplacedFile(path).send(b"page\n", 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_what_is_half_written_is_not_what_node_exporter_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "shop.prom"
    seen = []
    rename = os.replace

    def watch(old: Path, new: Path) -> None:
        seen.append(Path(old).name)
        rename(old, new)

    monkeypatch.setattr(os, "replace", watch)
    ReplacedFile(path).send(b"page\n", 1)
    (name,) = seen
    assert not name.endswith(".prom")
    assert name.startswith(".")


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    transport = ReplacedFile(path)
    transport.send(b"old\n", 1)

    class FullDisk(FileIO):
        writes = 1

        def write(self, data) -> int:
            if not self.writes:
                raise OSError(28, "No space left on device")
            self.writes -= 1
            return super().write(data[:1])

    monkeypatch.setattr(replaced_file, "FileIO", FullDisk)
    with pytest.raises(Unavailable, match=rf"{path.name}: .*No space left"):
        transport.send(b"new\n", 1)
    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [
        (path.name, b"old\n")
    ]


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_file_keeps_its_mode(path: Path, mode: int):
    path.write_bytes(b"old\n")
    path.chmod(mode)
    ReplacedFile(path).send(b"new\n", 1)
    assert path.read_bytes() == b"new\n"
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_no_other_user_reads_a_private_file_while_it_is_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    path.write_bytes(b"old\n")
    path.chmod(0o600)
    modes = []

    class Watched(FileIO):
        def write(self, data) -> int:
            modes.append(stat.S_IMODE(os.fstat(self.fileno()).st_mode))
            return super().write(data)

    monkeypatch.setattr(replaced_file, "FileIO", Watched)
    ReplacedFile(path).send(b"new\n", 1)
    assert modes == [0o600]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_a_file_keeps_its_owner_and_group_where_that_is_permitted(path: Path):
    path.write_bytes(b"old\n")
    os.chown(path, 12345, 23456)
    path.chmod(0o640)
    ReplacedFile(path).send(b"new\n", 1)
    status = path.stat()
    assert (status.st_uid, status.st_gid) == (12345, 23456)
    assert stat.S_IMODE(status.st_mode) == 0o640


def test_an_owner_that_cannot_be_kept_is_no_error(path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    path.write_bytes(b"old\n")
    path.chmod(0o640)
    monkeypatch.setattr(os, "fchown", refuse)
    ReplacedFile(path).send(b"new\n", 1)
    assert path.read_bytes() == b"new\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("links", [1, 2])
def test_a_link_to_the_file_stays(tmp_path: Path, there: bool, links: int):
    (tmp_path / "data").mkdir()
    target = tmp_path / "data" / "target.prom"
    if there:
        target.write_bytes(b"old\n")
    path = target
    for number in range(links):
        link = tmp_path / f"link{number}.prom"
        link.symlink_to(path)
        path = link
    with file.replace(Registry(), path, interval=FOREVER):
        pass
    assert all((tmp_path / f"link{number}.prom").is_symlink() for number in range(links))
    assert target.read_text().startswith("# HELP reporter_textfile")
    assert [one.name for one in target.parent.iterdir()] == [target.name]


def test_a_link_that_is_moved_is_followed_to_its_new_target(tmp_path: Path):
    path, old, new = (tmp_path / name for name in ("link", "old", "new"))
    path.symlink_to(old)
    transport = ReplacedFile(path)
    transport.send(b"1\n", 1)
    path.unlink()
    path.symlink_to(new)
    transport.send(b"2\n", 1)
    assert (old.read_bytes(), new.read_bytes()) == (b"1\n", b"2\n")


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this platform has no pipes with names")
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, make_socket, lambda path: path.symlink_to("/dev/null")],
    ids=["pipe", "socket", "link to a device"],
)
def test_what_is_no_regular_file_is_refused_at_the_start(tmp_path: Path, make, monkeypatch):
    # The name of a socket may be too long otherwise.
    monkeypatch.chdir(tmp_path)
    path = Path("target")
    make(path)
    before = path.lstat()
    with (
        pytest.raises(OSError, match="cannot be replaced by a new file; use a regular file"),
        file.replace(Registry(), path),
    ):
        pass
    assert path.lstat() == before
    assert [one.name for one in tmp_path.iterdir()] == ["target"]


def test_a_file_that_becomes_a_pipe_is_not_replaced(path: Path):
    transport = ReplacedFile(path)
    os.mkfifo(path)
    with pytest.raises(Unavailable, match="cannot be replaced"):
        transport.send(b"page\n", 1)
    assert path.is_fifo()


STANDARD_OUTPUT = """
import sys
from metrics import Registry
from metrics.reporters import file

try:
    file.replace(Registry(), sys.argv[1])
except OSError as error:
    sys.stderr.write(str(error))
"""


@pytest.mark.parametrize("kind", ["pipe", "file"])
def test_the_standard_output_is_refused_and_links_to_it_stay(tmp_path: Path, kind: str):
    # Not /dev/stdout itself: a test that fails as root would replace the machine's link.
    link = tmp_path / "stdout"
    link.symlink_to("/proc/self/fd/1")
    output = tmp_path / "output"
    with output.open("wb") as stream:
        done = subprocess.run(
            [sys.executable, "-c", STANDARD_OUTPUT, str(link)],
            stdout=subprocess.PIPE if kind == "pipe" else stream,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=60,
            check=True,
        )
    assert b"cannot be replaced by a new file" in done.stderr
    assert link.is_symlink()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["output", "stdout"]


KILLED = """
import os, signal, sys
from pathlib import Path
from metrics.reporters._transports import replaced_file

transport = replaced_file.ReplacedFile(Path(sys.argv[1]))
replaced_file.write_all = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
transport.send(b"page", 1)
"""


@needs_locks
def test_the_temporary_file_of_a_killed_process_is_removed_at_the_next_start(path: Path):
    path.write_bytes(b"old\n")
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            timeout=60,
            check=False,
        )
        assert done.returncode == -signal.SIGKILL
        # The second process has removed the file of the first one.
        assert len(list(path.parent.iterdir())) == 2
    ReplacedFile(path)
    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [
        (path.name, b"old\n")
    ]


@needs_locks
def test_the_temporary_file_of_a_running_process_stays(path: Path):
    path.write_bytes(b"old\n")
    with replaced_file.open_temporary(path, None) as temporary:
        ReplacedFile(path)
        files.write_all(temporary, b"new\n")
        Path(temporary.name).replace(path)
    assert path.read_bytes() == b"new\n"


@pytest.mark.parametrize(
    "name",
    [
        ".metrics.prom.swp",
        ".metrics.prom.123",
        ".metrics.prom.123-0123abcd.tmp.bak",
        ".metrics.prom.123-0123ABCD.tmp",
        ".metrics.prom.x-0123abcd.tmp",
        ".metricsXprom.123-0123abcd.tmp",
        ".other.prom.123-0123abcd.tmp",
        "metrics.prom.123-0123abcd.tmp",
    ],
)
def test_files_of_other_programs_stay(path: Path, name: str):
    path.with_name(name).write_bytes(b"mine")
    ReplacedFile(path)
    assert path.with_name(name).read_bytes() == b"mine"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("target")])
def test_what_is_no_file_stays_whatever_its_name(path: Path, make):
    other = path.with_name(".metrics.prom.123-0123abcd.tmp")
    path.with_name("target").write_bytes(b"mine")
    make(other)
    ReplacedFile(path)
    assert os.path.lexists(other)
    assert path.with_name("target").read_bytes() == b"mine"


@needs_locks
def test_a_temporary_file_that_another_start_removed_is_created_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    remaining = ["first"]

    class Raced(FileIO):
        def __init__(self, name, *args, **options) -> None:
            super().__init__(name, *args, **options)
            if remaining:
                remaining.clear()
                replaced_file.remove_orphans(path)

    monkeypatch.setattr(replaced_file, "FileIO", Raced)
    ReplacedFile(path).send(b"page\n", 1)
    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [
        (path.name, b"page\n")
    ]


def test_a_container_leaves_the_last_values_in_the_file(path: Path):
    class Reported(MetricsContainer):
        textfile = Resource(file.replace, MetricsContainer.registry, path, interval=FOREVER)

    container = Reported()
    container.init_resources()
    container.registry().counter("jobs").inc(3)
    container.shutdown_resources()
    assert "\njobs_total 3\n" in path.read_text()


def test_a_folder_that_is_not_there_is_an_error_that_names_the_file(tmp_path: Path):
    path = tmp_path / "gone" / "app.prom"
    with pytest.raises(FileNotFoundError) as caught, file.replace(Registry(), path):
        pass
    assert caught.value.filename == str(path)


def test_log_and_counters_agree_on_pages_that_could_not_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    registry = Registry()
    with file.replace(registry, folder / "metrics.prom", interval=0.01):
        dropped = registry.counter("reporter/textfile/dropped")
        failed = registry.counter("reporter/textfile/failed")
        folder.rename(away)
        until(lambda: failed.count > 1, "failures")
        away.rename(folder)
        until(lambda: "reaches its server again" in caplog.text, "the file is written again")
        # Pages that a newer one has replaced are not lost.
        assert "it dropped no payload" in caplog.text
        assert dropped.count == 0
        folder.rename(away)
    assert "textfile ends and has lost 1 payload" in caplog.text
    assert dropped.count == 1
