"""FastAPI page in one module, with its container at import."""

# ruff: noqa: B008, FAST002

from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject
from fastapi import Depends, FastAPI


class Service:
    async def process(self) -> str:
        return "real"


class Container(containers.DeclarativeContainer):
    service = providers.Factory(Service)


app = FastAPI()


@app.get("/")
@inject
async def index(service: Service = Depends(Provide[Container.service])) -> dict[str, str]:
    return {"result": await service.process()}


container = Container()
container.wire(modules=[__name__])
