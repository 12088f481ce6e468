"""Hooks of the resources that containers declare: registry, ticker, instruments and collectors.

Each hook is a plain context manager: entering registers and starts, leaving unregisters and stops.
A container declares `Resource(resources.meter, registry, ticker, "rpc/requests")`; other code
writes `with resources.meter(registry, ticker, "rpc/requests") as requests:`. The hooks of reporters
are in `metrics.reporters`, one module for each kind of server.

An option may be None, as an unset configuration option is; then the default holds. The hooks of
instruments raise the errors of `Registry.register`: a container that declares a name twice does not
start.

In a forked process these resources go on: the child has the same ticker, registry and instruments,
and cumulative instruments start at zero there. Reporters and servers do not survive a fork.
"""

from metrics.resources._collectors import Collector, host, process, runtime, ticked
from metrics.resources._foundation import registry, switched_on, ticker
from metrics.resources._instruments import (
    bucket_histogram,
    counter,
    family,
    float_counter,
    gauge,
    healthcheck,
    histogram,
    info,
    int_gauge,
    meter,
    registered,
    resetting_timer,
    timer,
    updown_counter,
)

__all__ = [
    "Collector",
    "bucket_histogram",
    "counter",
    "family",
    "float_counter",
    "gauge",
    "healthcheck",
    "histogram",
    "host",
    "info",
    "int_gauge",
    "meter",
    "process",
    "registered",
    "registry",
    "resetting_timer",
    "runtime",
    "switched_on",
    "ticked",
    "ticker",
    "timer",
    "updown_counter",
]
