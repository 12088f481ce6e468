"""The servers that reports go to, each as a test sees it: where it is, and what it has."""

import json
import struct
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from tests.processes import LOOPBACK, Server, accepts, answers, fetch, free_port, until

ADMIN = {"u": "admin", "p": "adm;n's secret"}

INFLUX = """
reporting-disabled = true
bind-address = "{loopback}:{rpc}"
[meta]
dir = "{directory}/meta"
[data]
dir = "{directory}/data"
wal-dir = "{directory}/wal"
[http]
bind-address = "{loopback}:{port}"
auth-enabled = {auth}
[monitor]
store-enabled = false
"""

CARBON = """
[cache]
STORAGE_DIR = {directory}
CONF_DIR = {directory}
LOCAL_DATA_DIR = {directory}/whisper
LOG_DIR = {directory}
PID_DIR = {directory}
USER =
MAX_CREATES_PER_MINUTE = inf
MAX_UPDATES_PER_SECOND = inf
LINE_RECEIVER_INTERFACE = {loopback}
LINE_RECEIVER_PORT = {port}
PICKLE_RECEIVER_PORT = 0
CACHE_QUERY_INTERFACE = {loopback}
CACHE_QUERY_PORT = {query}
ENABLE_TAGS = False
"""

HEADER = ">2LfL3L"
POINT = ">Ld"

SCHEMAS = "[all]\npattern = .*\nretentions = 1s:1h\n"


class Row(NamedTuple):
    """The fields of one measurement at one time."""

    name: str
    tags: dict[str, str]
    time_ns: int
    fields: dict[str, object]


class Point(NamedTuple):
    """One number at one time."""

    name: str
    tags: dict[str, str]
    seconds: float
    value: float


class Influx:
    """InfluxDB 1.

    Args:
        directory: where it keeps everything.
        auth: whether it asks for a user's name and password; the administrator is `ADMIN`.
    """

    def __init__(self, directory: Path, *, auth: bool = False) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        config = directory / "influxdb.conf"
        config.write_text(
            INFLUX.format(
                loopback=LOOPBACK,
                rpc=free_port(),
                directory=directory,
                port=port,
                auth=str(auth).lower(),
            )
        )
        self.server = Server(
            ["influxd", "run", "-config", str(config)],
            partial(answers, f"{self.url}/ping"),
            directory / "influxdb.log",
        )
        self._user = ADMIN if auth else {}
        self._numbers = count()

    def create_admin(self) -> None:
        """Make the user that everything else needs when users are asked for."""
        quoted = ADMIN["p"].replace("'", "\\'")
        self.query(f"CREATE USER admin WITH PASSWORD '{quoted}' WITH ALL PRIVILEGES")

    def database(self) -> str:
        """Make a database that nobody else has, and return its name."""
        name = f"test {next(self._numbers)}"
        self.query(f"CREATE DATABASE {identifier(name)}")
        return name

    def query(self, text: str, database: str = "") -> list[dict[str, object]]:
        """Return the series that answer a query."""
        asked = {"q": text, "db": database, "epoch": "ns", **self._user}
        answer = json.loads(fetch(f"{self.url}/query?{urlencode(asked)}", b""))
        (result,) = answer["results"]
        assert "error" not in result, result
        found: list[dict[str, object]] = result.get("series", [])
        return found

    def rows(self, database: str) -> list[Row]:
        """Return all that a database holds."""
        # One by one: fields of one name that differ in type are not shown together.
        return [
            row
            for name in self.types(database)
            for row in rows(self.query(f"SELECT * FROM {identifier(name)} GROUP BY *", database))
        ]

    def types(self, database: str) -> dict[str, dict[str, str]]:
        """Return the type of each field, by measurement and field."""
        series = self.query("SHOW FIELD KEYS", database)
        return {str(one["name"]): dict(one["values"]) for one in series}  # type: ignore[call-overload]


class Victoria:
    """VictoriaMetrics, which takes what others speak.

    Args:
        directory: where it keeps everything.
    """

    def __init__(self, directory: Path) -> None:
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self.graphite_port = free_port()
        self.opentsdb_port = free_port()
        opentsdb_http_port = free_port()
        self.opentsdb_url = f"http://{LOOPBACK}:{opentsdb_http_port}"
        listen = {
            "http": port,
            "graphite": self.graphite_port,
            "opentsdb": self.opentsdb_port,
            "opentsdbHTTP": opentsdb_http_port,
        }
        self.server = Server(
            [
                "victoria-metrics",
                f"-storageDataPath={directory}",
                "-retentionPeriod=100y",
                *[f"-{name}ListenAddr={LOOPBACK}:{port}" for name, port in listen.items()],
            ],
            partial(answers, f"{self.url}/health"),
            directory / "victoria.log",
        )

    def points(self, **tags: str) -> list[Point]:
        """Return all that is there with these tags, `__name__` among them."""
        fetch(f"{self.url}/internal/force_flush")
        pairs = ",".join(f"{name}={json.dumps(value)}" for name, value in tags.items())
        query = urlencode({"match[]": f"{{{pairs}}}"})
        found = fetch(f"{self.url}/api/v1/export?{query}").splitlines()
        return [point for line in found for point in exported(json.loads(line))]

    def has(self, number: int, **tags: str) -> list[Point]:
        """Return what is there with these tags when there are as many points as that."""

        def found() -> list[Point]:
            points = self.points(**tags)
            assert len(points) >= number, points
            return points

        return until(found, "the points are there")


class Carbon:
    """Graphite's carbon, which writes whisper files.

    Args:
        directory: where it keeps everything.
    """

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._files = directory / "whisper"
        config = directory / "carbon.conf"
        config.write_text(
            CARBON.format(loopback=LOOPBACK, directory=directory, port=self.port, query=free_port())
        )
        (directory / "storage-schemas.conf").write_text(SCHEMAS)
        self.server = Server(
            ["carbon-cache", f"--config={config}", "--nodaemon", "start"],
            partial(accepts, self.port),
            directory / "carbon.log",
        )

    def stored(self, name: str, **tags: str) -> list[tuple[int, float]]:
        """Return the times and values of a series."""
        # A series with tags is where the hash of its name says.
        whole = name + "".join(sorted(f";{tag}={value}" for tag, value in tags.items()))
        digest = sha256(whole.encode()).hexdigest()
        tagged = Path("_tagged", digest[:3], digest[3:6], f"{digest}.wsp")
        file = self._files / (tagged if tags else f"{name.replace('.', '/')}.wsp")
        return list(written(file.read_bytes())) if file.exists() else []


def identifier(name: str) -> str:
    """Return a name as InfluxDB's queries have it."""
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


def rows(series: list[dict[str, object]]) -> Iterator[Row]:
    """Yield the rows of InfluxDB's series; a field that is null is none."""
    for one in series:
        match one:
            case {"name": str(name), "columns": list(columns), "values": list(values), **rest}:
                tags = rest.get("tags") or {}
                assert isinstance(tags, Mapping)
                for time, *fields in values:
                    pairs = zip(columns[1:], fields, strict=True)
                    found = {field: value for field, value in pairs if value is not None}
                    # What other series have as a tag is empty here.
                    yield Row(name, {k: v for k, v in tags.items() if v}, time, found)
            case _:
                raise AssertionError(one)


def exported(series: dict[str, object]) -> Iterator[Point]:
    """Yield the points of a line of VictoriaMetrics' export."""
    match series:
        case {"metric": dict(labels), "values": list(values), "timestamps": list(times)}:
            tags = {name: value for name, value in labels.items() if name != "__name__"}
            for milliseconds, value in zip(times, values, strict=True):
                yield Point(labels["__name__"], tags, milliseconds / 1000, value)
        case _:
            raise AssertionError(series)


def written(whisper: bytes) -> Iterator[tuple[int, float]]:
    """Yield the times and values in a whisper file with one archive."""
    if len(whisper) < struct.calcsize(HEADER):
        return  # carbon is just making it
    _, _, _, archives, offset, _, points = struct.unpack_from(HEADER, whisper)
    assert archives == 1
    whole = offset + struct.calcsize(POINT) * points
    held = whisper[offset:] if len(whisper) == whole else b""
    for seconds, value in struct.iter_unpack(POINT, held):
        if seconds:
            yield seconds, value
