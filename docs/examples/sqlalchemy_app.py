"""Measured engine of SQLAlchemy: uvicorn sqlalchemy_app:app, then open /items/1 and /metrics."""

from collections.abc import Iterator
from typing import Annotated

from dependency_injector.wiring import Provide, inject
from fastapi import Depends, FastAPI
from sqlalchemy import Engine, create_engine, text

from metrics.integrations import asgi
from metrics.integrations.sqlalchemy import engine
from metrics.lifecycle import MetricsContainer, Resource, lifespan


def open_engine(url: str) -> Iterator[Engine]:
    plain = create_engine(url)
    yield plain
    plain.dispose()


class Container(MetricsContainer):
    registry = MetricsContainer.registry
    plain = Resource(open_engine, "sqlite:///items.db")
    database = Resource(engine, registry, plain)


container = Container()
app = FastAPI(lifespan=lifespan(container))
app.add_route("/metrics", asgi.metrics(container.registry))


@app.get("/items/{number}")
@inject
def item(number: int, database: Annotated[Engine, Depends(Provide[Container.database])]) -> str:
    with database.connect() as connection:
        return str(connection.scalar(text("SELECT :number"), {"number": number}))


container.wire([__name__])
