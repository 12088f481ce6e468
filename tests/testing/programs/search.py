"""Search page of an aiohttp server: an API client, a service, and defaults from a configuration."""

from aiohttp import ClientSession, ClientTimeout, web
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject


class SearchClient:
    def __init__(self, key: str, timeout: float) -> None:
        self.key = key
        self.timeout = ClientTimeout(timeout)

    async def search(self, query: str, limit: int) -> list[str]:
        async with ClientSession(timeout=self.timeout) as session:
            url = f"https://search.example/{query}?limit={limit}&key={self.key}"
            async with session.get(url) as response:
                return await response.json()


class SearchService:
    def __init__(self, client: SearchClient) -> None:
        self.client = client

    async def search(self, query: str, limit: int) -> list[dict[str, str]]:
        return [{"url": url} for url in await self.client.search(query, limit)] if query else []


class Container(containers.DeclarativeContainer):
    wiring_config = containers.WiringConfiguration(modules=[__name__])
    config = providers.Configuration()
    client = providers.Factory(SearchClient, key=config.key, timeout=config.timeout.as_float())
    service = providers.Factory(SearchService, client=client)


@inject
async def index(
    request: web.Request,
    service: SearchService = Provide[Container.service],
    default_query: str = Provide[Container.config.default.query],
    default_limit: int = Provide[Container.config.default.limit.as_int()],
) -> web.Response:
    query = request.query.get("query", default_query)
    limit = int(request.query.get("limit", default_limit))
    found = await service.search(query, limit)
    return web.json_response({"query": query, "limit": limit, "found": found})


CONTAINER = web.AppKey("container", object)


def create_app() -> web.Application:
    container = Container()
    container.config.from_dict(
        {"key": "secret", "timeout": "10", "default": {"query": "python", "limit": "10"}}
    )
    app = web.Application()
    app[CONTAINER] = container
    app.router.add_get("/", index)
    return app
