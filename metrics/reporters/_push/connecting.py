"""Connections of reporters to a host and a port."""

from metrics.registry import Registry
from metrics.reporters._push.options import (
    ConnectionOptions,
    Options,
    chosen,
    clock_of,
    connect_timeout,
)
from metrics.reporters._transports.tcp import Tcp
from metrics.reporters._transports.udp import Udp

HOST = "127.0.0.1"
"""Default host of all reporters: this machine."""


def tcp_transport(
    registry: Registry, host: str | None, port: int, options: ConnectionOptions
) -> Tcp:
    """Return the transport of one kept connection.

    Args:
        registry: the registry to report, whose clock is the default.
        host: the host name or address; this machine if None.
        port: the port.
        options: the options of the reporter.

    Raises:
        TypeError, ValueError: `host`, `port` or an option is malformed.
    """
    timeout, clock = connect_timeout(options), clock_of(registry, options)
    return Tcp(chosen(host, HOST), port, connect_timeout=timeout, clock=clock)


def udp_transport(registry: Registry, host: str | None, port: int, options: Options) -> Udp:
    """Return the transport of datagrams; see `tcp_transport`."""
    return Udp(chosen(host, HOST), port, clock=clock_of(registry, options))
