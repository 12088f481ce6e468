"""Lifecycle of containers: start, stop, and everything that may interrupt either.

The package has one async implementation of starts and stops, in `_lifecycle`. It is driven by
`_async_driver` in an event loop, and by `_sync_driver` without one when nothing is async: then no
coroutine suspends, and a call runs it to its end. From below: `_transition` (states and the
transitions between them), `_hooks` (entering and exiting), `_record` (one resource), `_threads`,
`_graph` (dependencies), `_shutdown` (one stop), `_signals`, `_starts` (of one resource),
`_async_hook`, the drivers, `_lifecycle` (the state machine of a container, its `_owner`),
`_awaitable` (results of starts and stops), `_process` (forks, exit), `_resource` and `_ownership`
(providers and their containers), `_checks` (before a start), `_view` (for integrations),
`_container`, and the public functions on top: `_running` and `_introspection`. `_testing` is the
face that `metrics.testing` sees. No import leads back up.

This is the only layer of the library, with `metrics.testing`, that knows dependency-injector.
"""

from metrics._fork import survives_fork
from metrics.errors import (
    CheckError,
    LifecycleError,
    NotRunningError,
    ShutdownError,
    StartTimeoutError,
    StopTimeoutError,
)
from metrics.lifecycle._checks import Fault, Problem, check
from metrics.lifecycle._container import LifecycleContainer
from metrics.lifecycle._introspection import Graph, Node, graph, state, subscribe
from metrics.lifecycle._metrics_container import MetricsContainer
from metrics.lifecycle._record import Event
from metrics.lifecycle._resource import Resource
from metrics.lifecycle._running import lifespan, running
from metrics.lifecycle._transition import State

__all__ = [
    "CheckError",
    "Event",
    "Fault",
    "Graph",
    "LifecycleContainer",
    "LifecycleError",
    "MetricsContainer",
    "Node",
    "NotRunningError",
    "Problem",
    "Resource",
    "ShutdownError",
    "StartTimeoutError",
    "State",
    "StopTimeoutError",
    "check",
    "graph",
    "lifespan",
    "running",
    "state",
    "subscribe",
    "survives_fork",
]
