"""Workers of a shop that answer for all of them: `uvicorn workers_app:app --workers 4`."""

import os

from fastapi import FastAPI

from metrics import resources
from metrics.integrations import asgi, http, processes
from metrics.lifecycle import MetricsContainer, Resource, lifespan


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    shared = Resource(processes.share, registry, gauges={"queue": "max"})
    http = Resource(http.server, registry, exclude=["/metrics"])
    orders = Resource(resources.counter, registry, "orders")
    queue = Resource(resources.gauge, registry, "queue")


container = Container()
app = FastAPI(lifespan=lifespan(container))
app.add_middleware(asgi.Measured, http=container.http)
app.add_route("/metrics", asgi.metrics(container.registry))


@app.post("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    container.orders().inc()
    container.queue().set(number)
    return {"worker": os.getpid()}
