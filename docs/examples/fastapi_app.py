"""FastAPI, measured. Run `uvicorn fastapi_app:app`; the values are at /metrics."""

from typing import Annotated

from dependency_injector.wiring import Provide, inject
from fastapi import Depends, FastAPI

from metrics import Counter, resources
from metrics.integrations import asgi, http
from metrics.lifecycle import MetricsContainer, Resource, lifespan


class Container(MetricsContainer):
    """Resources of the application, which the lifespan starts and stops."""

    registry = MetricsContainer.registry
    http = Resource(http.server, registry, exclude=["/metrics"])
    sales = Resource(resources.counter, registry, "shop.sales")


container = Container()
app = FastAPI(lifespan=lifespan(container))
app.add_middleware(asgi.Measured, http=container.http)
app.add_route("/metrics", asgi.metrics(container))


@app.post("/items/{number}")
@inject
async def buy(number: int, sales: Annotated[Counter, Depends(Provide[Container.sales])]) -> int:
    """Sell an item."""
    sales.inc()
    return number


container.wire([__name__])
