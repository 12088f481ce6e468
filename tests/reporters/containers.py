"""Containers with a reporter among their parts."""

from dependency_injector import providers

from metrics import resources
from metrics.lifecycle import MetricsContainer, Resource
from tests.reporters.registries import recording
from tests.reporters.standins import Recorded


class Before(MetricsContainer):
    """The reporter is declared before what it reports, and stops after it."""

    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    transport = providers.Dependency()
    reporter = Resource(recording, registry, transport)
    hits = Resource(resources.counter, registry, "hits")
    waits = Resource(resources.resetting_timer, registry, "waits")
    load = Resource(resources.gauge, registry, "load", lambda: 0.5)


class After(MetricsContainer):
    """The reporter is declared after what it reports, and stops before it."""

    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker
    transport = providers.Dependency()
    hits = Resource(resources.counter, registry, "hits")
    waits = Resource(resources.resetting_timer, registry, "waits")
    load = Resource(resources.gauge, registry, "load", lambda: 0.5)
    reporter = Resource(recording, registry, transport)


def started(kind, transport: Recorded):
    container = kind(transport=transport)
    container.init_resources()
    return container
