"""Measured worker of Celery, with a page for Prometheus at http://127.0.0.1:9464/metrics.

celery -A celery_app worker
celery -A celery_app call celery_app.add --args "[1, 2]"
"""

from celery import Celery
from dependency_injector import providers
from dependency_injector.wiring import Provide, inject

from metrics import Counter, resources
from metrics.integrations import asgi, celery, processes, uvicorn
from metrics.lifecycle import MetricsContainer, Resource


class Container(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    shared = Resource(processes.share, registry)
    tasks = Resource(celery.tasks, registry)
    added = Resource(resources.counter, registry, "added")
    pages = providers.Singleton(asgi.exposition, registry)
    server = Resource(uvicorn.serve, pages, port=config.port)


container = Container()
container.config.port.from_env("METRICS_PORT", 9464, as_=int)
app = Celery("celery_app", broker="redis://")
celery.attach(app, container)


@app.task
@inject
def add(x: int, y: int, added: Counter = Provide[Container.added]) -> int:
    added.inc(x + y)
    return x + y


container.wire([__name__])
