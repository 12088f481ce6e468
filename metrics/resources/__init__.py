"""What a container declares: one context manager for each part, which starts and stops it.

Entering registers and starts, leaving unregisters and stops. Each is a plain context manager:
`Resource(resources.meter, registry, ticker, "rpc/requests")` in a container, or
`with resources.meter(registry, ticker, "rpc/requests") as requests:` anywhere else. Those that push
to servers are with their servers, in `metrics.reporters`.

Options that come from a configuration may be None, which means the default. The hooks of
instruments raise what `Registry.register` raises: a container that declares a name which is taken
does not start.
"""

from metrics.resources.collectors import Collector, host, process, runtime, ticked
from metrics.resources.foundation import registry, switched_on, ticker
from metrics.resources.instruments import (
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
