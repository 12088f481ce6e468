"""Every format in each of its dialects, for the tests that all of them have to pass.

`python -m tests.exporters.formats` writes the expected pages; read them before they are committed.
"""

import csv as stdlib_csv
import io
import json as stdlib_json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import NamedTuple

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from metrics import Registry
from metrics.exporters import (
    csv,
    expvar,
    geth_text,
    graphite,
    influx,
    json,
    log_lines,
    openmetrics,
    opentsdb,
    otlp,
    prometheus,
    remote_write,
    statsd,
)
from tests.exporters import line_protocol, write_requests
from tests.exporters.examples import NOW_NS, everything, odd
from tests.exporters.line_readers import StatsdServer, graphite_series, opentsdb_points

PAGES = Path(__file__).parent / "pages"

REGISTRIES = (everything, odd)
"""Registries whose pages are written in full, in the folders of their names."""


class Format(NamedTuple):
    """A format or one of its dialects.

    options: the options that it requires, and those that choose the dialect.
    empty: the page of a registry without instruments.
    read: reads a page as strictly as can be, and fails for a malformed one.
    is_lines: whether its chunks are whole lines.
    chunk: the bytes that no chunk of many small series has.
    pages: the name of the files with its expected pages; none for binary ones.
    """

    module: ModuleType
    options: Mapping[str, object] = MappingProxyType({})
    empty: bytes = b""
    read: Callable[[bytes], object] = bytes.decode
    is_lines: bool = True
    chunk: int = 1 << 16
    pages: str = ""

    def stream(self, registry: Registry, **options: object) -> Iterator[bytes]:
        return self.module.stream(registry, **{**self._required(), **options})

    def render(self, registry: Registry, **options: object) -> bytes:
        return self.module.render(registry, **{**self._required(), **options})

    def expected(self, registry: str) -> bytes:
        """Return the expected page of a registry of `examples`."""
        return (PAGES / registry / self.pages).read_bytes()

    def _required(self) -> dict[str, object]:
        # StatsD writes increments: all of the totals, to a server that has none.
        return {**self.options, **({"deltas": statsd.Deltas()} if self.module is statsd else {})}


def read_json(page: bytes) -> object:
    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return stdlib_json.loads(page, parse_constant=refuse, object_pairs_hook=unique)


def read_rows(page: bytes) -> list[list[str]]:
    return list(stdlib_csv.reader(io.StringIO(page.decode(), newline=""), strict=True))


def read_families(page: bytes) -> list[object]:
    lines = page.splitlines()
    assert len(set(lines)) == len(lines)
    return list(text_string_to_metric_families(page.decode()))


def read_openmetrics(page: bytes) -> list[object]:
    return list(openmetrics_parser.text_string_to_metric_families(page.decode()))


TIME = {"timestamp_ns": NOW_NS}
JSON = {"is_lines": False, "read": read_json}

FORMATS: dict[str, Format] = {
    "csv": Format(
        csv, TIME, b"timestamp,name,labels,field,value\r\n", read=read_rows, pages="csv.csv"
    ),
    "expvar": Format(expvar, empty=b"{}", pages="expvar.json", **JSON),
    "geth_text": Format(geth_text, pages="geth_text.txt"),
    "graphite": Format(graphite, TIME, read=graphite_series, pages="graphite.txt"),
    "graphite, nodes": Format(
        graphite,
        {**TIME, "label_style": "nodes"},
        read=graphite_series,
        pages="graphite_nodes.txt",
    ),
    "influx": Format(influx, TIME, read=line_protocol.parsed, pages="influx.txt"),
    "json": Format(json, empty=b"{}", pages="json.json", **JSON),
    "log_lines": Format(log_lines, pages="log_lines.txt"),
    "openmetrics": Format(
        openmetrics, empty=b"# EOF\n", read=read_openmetrics, pages="openmetrics.txt"
    ),
    "opentsdb": Format(opentsdb, {"host": "h", **TIME}, read=opentsdb_points, pages="opentsdb.txt"),
    "opentsdb, json": Format(
        opentsdb, {"host": "h", "dialect": "json", **TIME}, b"[]", pages="opentsdb.json", **JSON
    ),
    "otlp": Format(
        otlp, TIME, read=ExportMetricsServiceRequest.FromString, is_lines=False, chunk=1 << 18
    ),
    "prometheus": Format(prometheus, read=read_families, pages="prometheus.txt"),
    "prometheus, go-ethereum": Format(
        prometheus, {"dialect": "go-ethereum"}, pages="prometheus_geth.txt"
    ),
    "remote_write": Format(remote_write, TIME, b"\0", read=write_requests.read, is_lines=False),
    "statsd": Format(statsd, read=StatsdServer().take, pages="statsd.txt"),
    "dogstatsd": Format(
        statsd, {"dialect": "dogstatsd"}, read=StatsdServer().take, pages="dogstatsd.txt"
    ),
}


def each_format(wanted: Callable[[Format], object] = bool) -> pytest.MarkDecorator:
    """Return the mark of a test that takes every format as `of`, or those that are wanted."""
    found = {name: of for name, of in FORMATS.items() if wanted(of)}
    return pytest.mark.parametrize("of", found.values(), ids=found)


def write_pages() -> None:
    """Bring the expected pages up to date."""
    for registry in REGISTRIES:
        for of in FORMATS.values():
            if of.pages:
                (PAGES / registry.__name__ / of.pages).write_bytes(of.render(registry()))


if __name__ == "__main__":
    write_pages()
