"""Programs of every common shape are tested with `overridden`, on stock containers and on ours.

Each module of `programs` declares a stock container. To adopt this library is to derive it from
`LifecycleContainer` instead, and to declare resources as `Resource`: that is done to its text.
"""

import asyncio
import logging
import sqlite3
import sys
import types
from contextlib import asynccontextmanager
from pathlib import Path
from unittest.mock import AsyncMock, Mock, call

import httpx
import pytest
from aiohttp.test_utils import TestClient, TestServer
from dependency_injector import providers

from metrics.errors import LifecycleError
from metrics.lifecycle import LifecycleContainer
from metrics.testing import overridden

PROGRAMS = Path(__file__).with_name("programs")

ADOPTION = {
    "(containers.DeclarativeContainer)": "(LifecycleContainer)",
    "providers.Resource(": "Resource(",
    "import containers, providers": (
        "import containers, providers\nfrom metrics.lifecycle import LifecycleContainer, Resource"
    ),
}


@pytest.fixture(params=["stock", "ours"])
def load(request):
    """Return a function that imports a program as a module of its own."""
    loaded = []

    def load_program(name):
        text = (PROGRAMS / f"{name}.py").read_text()
        if request.param == "ours":
            for stock, ours in ADOPTION.items():
                text = text.replace(stock, ours)
        module = types.ModuleType(f"{name}_of_{request.node.name}")
        loaded.append(module)
        sys.modules[module.__name__] = module
        exec(compile(text, f"{name}.py", "exec"), vars(module))
        is_ours = issubclass(module.Container, LifecycleContainer)
        assert is_ours is (request.param == "ours")
        return module

    yield load_program
    for module in loaded:
        del sys.modules[module.__name__]


@asynccontextmanager
async def served_by(app):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def test_search_has_a_client_of_the_test(load):
    program = load("search")
    app = program.create_app()
    container = app[program.CONTAINER]
    found = AsyncMock(program.SearchClient)
    found.search.return_value = ["https://a", "https://b"]

    async def main() -> None:
        async with TestClient(TestServer(app)) as client:
            with overridden(container, client=found):
                response = await client.get("/", params={"query": "test", "limit": 2})
                assert await response.json() == {
                    "query": "test", "limit": 2, "found": [{"url": "https://a"}, {"url": "https://b"}],
                }  # fmt: skip
            with overridden(container, {"client": found, "config.default.limit": 5}):
                response = await client.get("/")
                assert (await response.json())["limit"] == 5
            with overridden(
                container, {"client": found, "config.default": {"query": "", "limit": 1}}
            ):
                response = await client.get("/")
                assert await response.json() == {"query": "", "limit": 1, "found": []}

    asyncio.run(main())
    container.unwire()
    assert found.search.mock_calls == [call("test", 2), call("python", 5)]
    assert container.client().key == "secret"


CONFIGURED = {
    "log": {"level": "INFO"},
    "monitors": {
        "home": {"url": "http://home", "seconds": 0},
        "shop": {"url": "http://shop", "seconds": "0"},
    },
}


def test_a_monitor_of_the_daemon_has_a_client_of_the_test(load, caplog):
    container = load("daemon").Container(config=CONFIGURED)
    client = AsyncMock()
    client.status.return_value = 200
    with overridden(container, client=client, log=logging.getLogger("daemon")):
        container.init_resources()
        with caplog.at_level("INFO", "daemon"):
            asyncio.run(container.home_monitor().check())
    assert "http://home answers 200" in caplog.text
    assert not container.log.initialized


def test_the_daemon_runs_the_monitors_of_the_test_until_it_stops(load):
    container = load("daemon").Container(config=CONFIGURED)
    container.init_resources()
    home, shop = AsyncMock(seconds=0), AsyncMock(seconds=0)

    async def main() -> None:
        dispatcher = container.dispatcher()
        home.check.side_effect = lambda: home.check.await_count > 1 and dispatcher.stop()
        await dispatcher.run()

    with overridden(container, home_monitor=home, shop_monitor=shop):
        asyncio.run(main())
    assert home.check.await_count == 2
    assert shop.check.await_count >= 1
    with (
        pytest.raises(LifecycleError, match=r"'config\.log\.level': running resource 'log'"),
        overridden(container, {"config.log.level": "DEBUG"}),
    ):
        pytest.fail("the block was begun")
    with overridden(container, {"config.monitors.home.url": "http://other"}):
        assert container.home_monitor().url == "http://other"
        assert container.shop_monitor().url == "http://shop"
    container.shutdown_resources()


def test_a_page_over_a_pool_has_a_service_of_the_test(load):
    program = load("pooled")
    service = AsyncMock()
    service.process.return_value = "fake"

    async def main() -> None:
        with overridden(program.container, service=service):
            async with served_by(program.app) as client:
                response = await client.get("/")
        assert response.json() == {"result": "fake"}
        assert not program.container.pool.initialized

    asyncio.run(main())
    program.container.unwire()


def test_a_page_has_a_pool_of_the_test_which_is_opened_and_closed_in_the_loop(load):
    program = load("pooled")
    lines = []

    @asynccontextmanager
    async def fake_pool():
        pool = AsyncMock()
        pool.get.return_value = "cached"
        yield pool
        lines.append("closed")

    async def main() -> None:
        fake = providers.Resource(program.open_pool, "fake", "")
        async with served_by(program.app) as client:
            async with overridden(program.container, pool=fake_pool()):
                assert (await client.get("/")).json() == {"result": "cached"}
            assert lines == ["closed"]
            async with overridden(program.container, pool=fake):
                with pytest.raises(OSError, match="fake has no value"):
                    await client.get("/")
                pool = await fake()
            assert pool.closed
            with pytest.raises(OSError, match="cache has no value"):
                await client.get("/")
        await program.container.shutdown_resources()

    asyncio.run(main())
    program.container.unwire()


def test_a_simple_page_has_a_service_of_the_test_and_its_own_afterwards(load):
    program = load("simple")
    service = AsyncMock()
    service.process.return_value = "fake"

    @overridden(program.container, service=service)
    async def get_overridden(client):
        return await client.get("/")

    async def main() -> None:
        async with served_by(program.app) as client:
            assert (await get_overridden(client)).json() == {"result": "fake"}
            assert (await client.get("/")).json() == {"result": "real"}

    asyncio.run(main())
    program.container.unwire()


def test_user_pages_have_a_repository_of_the_test(load):
    pytest.importorskip("sqlalchemy")
    program = load("users")
    app = program.create_app()
    container = app.state.container
    repository = Mock(program.UserRepository)
    repository.by_id.side_effect = [program.User(id=1, email="a@example.org"), LookupError]
    repository.all.return_value = [1, 2]
    repository.add.side_effect = lambda email: program.User(id=3, email=email)

    async def main() -> None:
        async with served_by(app) as client:
            with overridden(container, repository=repository):
                response = await client.get("/users/1")
                assert response.json() == {"id": 1, "email": "a@example.org"}
                assert (await client.get("/users/2")).status_code == 404
                response = await client.post("/users")
                assert response.json() == {"id": 3, "email": "2@example.org"}

    asyncio.run(main())
    container.unwire()


def test_user_pages_have_a_database_of_the_test(load, tmp_path):
    pytest.importorskip("sqlalchemy")
    program = load("users")
    app = program.create_app()
    container = app.state.container
    with pytest.raises(KeyError, match=r"did you mean 'config\.db\.url'"):
        overridden(container, {"config.db.uri": "sqlite://"})

    async def main() -> None:
        async with served_by(app) as client:
            for name in ("a.db", "b.db"):
                with overridden(container, {"config.db.url": f"sqlite:///{tmp_path / name}"}):
                    database = container.db()
                    database.create()
                    assert (await client.get("/users/1")).status_code == 404
                    assert (await client.post("/users")).json()["email"] == "0@example.org"
                    assert (await client.get("/users/1")).json()["email"] == "0@example.org"
                    database.engine.dispose()

    asyncio.run(main())
    container.unwire()


def test_movies_are_found_where_the_test_has_put_them(load, tmp_path):
    program = load("movies")
    container = program.Container()
    (tmp_path / "movies.csv").write_text("Stalker;1979;Tarkovsky\nMirror;1975;Tarkovsky\n")
    with sqlite3.connect(tmp_path / "movies.db") as database:
        database.execute("CREATE TABLE movies (title, year, director)")
        database.execute("INSERT INTO movies VALUES ('Playtime', 1967, 'Tati')")
    database.close()
    options = {
        "config.finder.type": "csv",
        "config.finder.csv": {"path": str(tmp_path / "movies.csv"), "delimiter": ";"},
        "config.finder.sqlite.path": str(tmp_path / "movies.db"),
    }
    container.wire(modules=[program])
    with overridden(container, options):
        assert program.main("Tarkovsky") == "Stalker, Mirror"
        finder = container.finder()
        with overridden(container, {"config.finder.type": "sqlite"}):
            assert container.lister().released_in(1967) == ["Playtime"]
        assert container.finder() is finder
    container.unwire()
    with pytest.raises(KeyError, match=r"did you mean 'config\.finder\.type'"):
        overridden(container, {"config.findre.type": "csv"})


def test_movies_are_found_by_the_finder_of_the_test(load):
    program = load("movies")
    container = program.Container(config={"finder": {"type": "csv"}})
    finder = Mock()
    finder.find_all.return_value = [
        program.Movie("Jour de fête", 1949, "Tati"),
        program.Movie("Mirror", 1975, "Tarkovsky"),
    ]
    for name in ("finder", "csv_finder"):
        with overridden(container, {name: finder}):
            assert container.lister().directed_by("Tati") == ["Jour de fête"]
            assert container.lister().released_in(1975) == ["Mirror"]
