"""Reports to Graphite: lines of text over TCP, to carbon or a server that speaks its protocol.

The protocol: https://graphite.readthedocs.io/en/latest/feeding-carbon.html
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Unpack

from metrics.exporters import graphite
from metrics.registry import Registry
from metrics.reporters._push.connecting import HOST, tcp_transport
from metrics.reporters._push.lifetime import reporting
from metrics.reporters._push.options import (
    ConnectionOptions,
    Option,
    chosen,
    constant_labels,
    list_options,
)
from metrics.reporters._push.payloads import Report
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

    Args:
        registry: the registry to report.
        host: the host name or address of carbon.
        port: its port.
        options: see below.

    Raises:
        TypeError, ValueError: an option is malformed.
    """
    lines = partial(
        graphite.stream,
        namespace=chosen(options.get("namespace"), ""),
        tags=constant_labels(options.get("labels")),
        label_style=chosen(options.get("label_style"), "tags"),
        duration_unit=chosen(options.get("duration_unit"), "milliseconds"),
    )
    # Malformed options are errors at the start.
    lines(Registry(), timestamp_ns=0)
    transport = tcp_transport(registry, host, chosen(port, PORT), options)

    def read(report: Report) -> Iterable[bytes]:
        return lines(registry, timestamp_ns=report.timestamp_ns, reader=report.reader)

    return reporting(registry, "graphite", read, transport, options, GraphiteOptions)
