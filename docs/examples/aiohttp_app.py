"""aiohttp, measured. Run `python -m aiohttp.web aiohttp_app:create_app`; see /metrics."""

from aiohttp import web
from dependency_injector.wiring import Provide, inject

from metrics import Counter, resources
from metrics.integrations import aiohttp, http
from metrics.lifecycle import MetricsContainer, Resource


class Container(MetricsContainer):
    """Resources of the application, which start and stop with it."""

    registry = MetricsContainer.registry
    http = Resource(http.server, registry, exclude=["/metrics"])
    sales = Resource(resources.counter, registry, "shop.sales")


@inject
async def buy(request: web.Request, sales: Counter = Provide[Container.sales]) -> web.Response:
    """Sell an item."""
    sales.inc()
    return web.Response(text=request.match_info["number"])


def create_app(_arguments: list[str]) -> web.Application:
    """Create the application, which starts nothing."""
    container = Container()
    container.wire([__name__])
    app = web.Application(middlewares=[aiohttp.measured(container.http)])
    app.cleanup_ctx.append(aiohttp.running(container))
    app.router.add_post("/items/{number}", buy)
    app.router.add_get("/metrics", aiohttp.metrics(container))
    return app
