"""Composition root of the agent: every resource of the program, in the order of its start."""

from dependency_injector import providers

from metrics import resources
from metrics.integrations import asgi, uvicorn
from metrics.lifecycle import MetricsContainer, Resource


class Container(MetricsContainer):
    """Container of `python -m app`. No resource starts before `init_resources()`."""

    # The foundation: settings, time, the one worker, the table of names.
    config = MetricsContainer.config
    clock = MetricsContainer.clock
    ticker = MetricsContainer.ticker
    registry = MetricsContainer.registry

    # Collectors.
    host = Resource(resources.host, registry)
    process = Resource(resources.process, registry)
    runtime = Resource(resources.runtime, registry)

    # Health: /healthz answers 503 when this check fails.
    ticking = Resource(
        resources.healthcheck,
        registry,
        "agent/ticking",
        ticker.provided.check,
        description="Whether the values are being refreshed",
    )

    # The server that serves the values.
    pages = providers.Singleton(asgi.exposition, registry.provider, title="wired-metrics agent")
    server = Resource(uvicorn.serve, pages, host=config.host, port=config.port)
