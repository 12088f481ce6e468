"""The agent's composition root: every part of the program, in the order in which it starts."""

from dependency_injector import providers

from metrics import resources
from metrics.integrations import asgi, uvicorn
from metrics.lifecycle import MetricsContainer, Resource


class Container(MetricsContainer):
    """What `python -m app` runs. Nothing starts before `init_resources()`."""

    # What the graph is built on: settings, time, the one worker, names to instruments.
    config = MetricsContainer.config
    clock = MetricsContainer.clock
    ticker = MetricsContainer.ticker
    registry = MetricsContainer.registry

    # What is measured.
    host = Resource(resources.host, registry, ticker, clock)
    process = Resource(resources.process, registry, ticker, clock)
    runtime = Resource(resources.runtime, registry, ticker, clock)

    # What is well when the agent is: /healthz answers 503 when it is not.
    ticking = Resource(
        resources.healthcheck,
        registry,
        "agent/ticking",
        ticker.provided.check,
        description="Whether the values are being refreshed",
    )

    # How it is read.
    pages = providers.Singleton(asgi.exposition, registry, title="wired-metrics agent")
    server = Resource(uvicorn.serve, pages, host=config.host, port=config.port)
