"""Reports to Graphite: lines of text over TCP, to carbon or a server that speaks its protocol.

The protocol: https://graphite.readthedocs.io/en/latest/feeding-carbon.html
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Unpack

from metrics.exporters import graphite
from metrics.registry import Registry
from metrics.reporters._push.connecting import HOST, tcp_transport
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import (
    ConnectionOptions,
    Option,
    chosen,
    exporter_options,
    list_options,
)
from metrics.reporters._push.payloads import format_reader
from metrics.reporters._push.reporter import Reporter

PORT = 2003


class GraphiteOptions(ConnectionOptions, total=False):
    """Options of a reporter to Graphite."""

    namespace: str | None
    labels: Mapping[str, str] | str | None
    label_style: str | None
    duration_unit: str | None


@list_options(
    GraphiteOptions,
    host=Option(HOST, "the host name or address of carbon"),
    label_style=Option("tags", "`tags`, which needs Graphite 1.1, or `nodes` of the path"),
    duration_unit=Option("milliseconds", "unit of timers"),
)
def tcp(
    registry: Registry,
    host: str | None = HOST,
    port: int | None = PORT,
    **options: Unpack[GraphiteOptions],
) -> AbstractContextManager[Reporter]:
    """Send a registry to Graphite once an interval and in the end.

    For example:

        class Container(MetricsContainer):
            report = Resource(
                graphite.tcp,
                MetricsContainer.registry,
                "graphite.example.org",
                namespace="shop",
                interval="1m",
            )
    """
    names = ("namespace", "labels", "label_style", "duration_unit")
    read = format_reader(registry, graphite.stream, **exporter_options(options, *names))
    transport = tcp_transport(registry, host, chosen(port, PORT), options)
    return reporting(registry, "graphite", read, transport, options)
