"""FastAPI page of a service over a pool of connections, which opens and closes in the loop."""

# ruff: noqa: B008, FAST002

import sys

from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject
from fastapi import Depends, FastAPI


class Pool:
    closed = False

    def __init__(self, host: str, password: str) -> None:
        self.host, self.password = host, password

    async def get(self, key: str) -> str:
        raise OSError(f"{self.host} has no {key}: there is no such server")


async def open_pool(host: str, password: str):
    pool = Pool(host, password)
    yield pool
    pool.closed = True


class Service:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    async def process(self) -> str:
        return await self.pool.get("value")


class Container(containers.DeclarativeContainer):
    config = providers.Configuration()
    pool = providers.Resource(open_pool, host=config.host, password=config.password)
    service = providers.Factory(Service, pool=pool)


app = FastAPI()


@app.get("/")
@inject
async def index(service: Service = Depends(Provide[Container.service])) -> dict[str, str]:
    return {"result": await service.process()}


container = Container()
container.config.from_dict({"host": "cache", "password": "secret"})
container.wire(modules=[sys.modules[__name__]])
