"""How a container starts and stops what it declares. The only layer that knows the container."""

from metrics.errors import NotRunningError, ShutdownError
from metrics.lifecycle.container import LifecycleContainer
from metrics.lifecycle.graph import MetricsContainer
from metrics.lifecycle.resource import Resource

__all__ = [
    "LifecycleContainer",
    "MetricsContainer",
    "NotRunningError",
    "Resource",
    "ShutdownError",
]
