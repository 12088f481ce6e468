"""Applications with a live page that real servers serve."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount

from metrics import resources
from metrics.integrations import asgi, http
from metrics.lifecycle import MetricsContainer, Resource, lifespan


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    http = Resource(http.server, registry)
    hits = Resource(resources.counter, registry, "hits")


def container() -> Container:
    made = Container()
    made.config.from_dict({"tick_interval": 1.0})
    return made


def starlette() -> Starlette:
    """Return an application whose page is compressed, measured, and below a mount."""
    owner = container()
    app = Starlette(
        routes=[Mount("/live", asgi.exposition(owner, title="Starlette"))],
        middleware=[Middleware(GZipMiddleware, minimum_size=1)],
        lifespan=lifespan(owner),
    )
    app.add_middleware(asgi.Measured, http=owner.http)
    return app


def fastapi():
    """Return an application whose page is at its root, behind other routes."""
    from fastapi import FastAPI

    owner = container()
    app = FastAPI(lifespan=lifespan(owner))

    @app.get("/hit")
    async def hit() -> int:
        owner.hits().inc()
        return owner.hits().count

    app.mount("/", asgi.exposition(owner.registry, title="FastAPI"))
    return app
