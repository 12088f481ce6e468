import os
import stat
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metrics import Registry
from metrics.exporters import prometheus as page
from metrics.lifecycle import MetricsContainer, Resource
from metrics.reporters import file
from metrics.reporters._transports.transport import Unavailable
from metrics.reporters.file import Replaced
from tests.exporters.examples import everything
from tests.processes import until
from tests.reporters.waiting import DEADLINE, FOREVER


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
    Replaced(path).send(b"page\n", 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_what_is_half_written_is_not_what_node_exporter_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "shop.prom"
    seen = []
    rename = Path.replace

    def watched(self: Path, target: Path) -> Path:
        seen.append(self.name)
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    Replaced(path).send(b"page\n", 1)
    (name,) = seen
    assert not name.endswith(".prom")
    assert name.startswith(".")


def test_a_page_that_cannot_be_written_leaves_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    transport = Replaced(path)
    transport.send(b"old\n", 1)

    def full_disk(self: Path, data: bytes) -> int:
        with self.open("wb") as stream:
            stream.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(Unavailable, match=f"{path.name}: .*No space left"):
        transport.send(b"new\n", 1)
    assert [(one.name, one.read_bytes()) for one in path.parent.iterdir()] == [
        (path.name, b"old\n")
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
