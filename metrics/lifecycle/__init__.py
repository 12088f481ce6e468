"""How a container starts and stops what it declares. The only layer that knows the container."""

from metrics.errors import LifecycleError, NotRunningError, ShutdownError, StopTimeoutError
from metrics.lifecycle import fork as fork
from metrics.lifecycle.checking import Fault, Problem, check
from metrics.lifecycle.container import LifecycleContainer
from metrics.lifecycle.metrics_container import MetricsContainer
from metrics.lifecycle.part import Event, State
from metrics.lifecycle.resource import Resource
from metrics.lifecycle.runner import lifespan, running
from metrics.lifecycle.view import Graph, Node, graph, state, subscribe

__all__ = [
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
    "State",
    "StopTimeoutError",
    "check",
    "graph",
    "lifespan",
    "running",
    "state",
    "subscribe",
]
