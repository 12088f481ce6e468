"""Queries and pools of real engines are measured, synchronous and asynchronous."""

import asyncio
import threading
from contextlib import contextmanager

import pytest
from sqlalchemy import (
    AsyncAdaptedQueuePool,
    Column,
    Engine,
    Integer,
    MetaData,
    NullPool,
    String,
    Table,
    create_engine,
    event,
    insert,
    select,
    text,
)
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import create_async_engine

from metrics import DuplicateMetricError, Registry
from metrics.exporters import graphite, influx, json, openmetrics, otlp, prometheus
from metrics.integrations.sqlalchemy import engine, engines, operation_name
from metrics.lifecycle import MetricsContainer, Resource, check
from metrics.testing import ManualClock
from tests.integrations.measuring import levels

DURATION = "db.client.operation.duration"
COUNT = "db.client.connection.count"
MAX = "db.client.connection.max"
USE_TIME = "db.client.connection.use_time"
CREATE_TIME = "db.client.connection.create_time"

items = Table("items", MetaData(), Column("id", Integer, primary_key=True), Column("name", String))

EVENTS = ("before_cursor_execute", "after_cursor_execute")
POOL_EVENTS = ("connect", "checkout", "checkin")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/items.db"


@contextmanager
def open_engine(url, **options):
    found = create_engine(url, **options)
    try:
        yield found
    finally:
        found.dispose()


def open_async_engine(folder):
    url = f"sqlite+aiosqlite:///{folder}/items.db"
    # The default of older versions has no count.
    return create_async_engine(url, poolclass=AsyncAdaptedQueuePool)


class Recording:
    def __init__(self, registry, clock):
        self.registry = registry
        self.clock = clock

    def read(self, name, field="count"):
        snapshot = self.registry.snapshot()[name]
        return {labels: getattr(child, field) for labels, child in snapshot.children.items()}

    @property
    def operations(self):
        return {labels[1:]: count for labels, count in self.read(DURATION).items()}

    @property
    def connections(self):
        return {labels[0]: count for labels, count in self.read(COUNT, "value").items()}


@contextmanager
def recording(measured, hook=engine):
    clock = ManualClock()
    registry = Registry(clock=clock)
    with hook(registry, measured):
        yield Recording(registry, clock)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("SELECT 1", "SELECT"),
        ("\n\t insert INTO items VALUES (1)", "INSERT"),
        ("-- a comment; DROP\n/* traceparent='00' */ UPDATE items", "UPDATE"),
        ("/* SELECT *//**/DELETE FROM items", "DELETE"),
        ("((SELECT 1) UNION SELECT 2)", "SELECT"),
        ("WITH few AS (SELECT 1) SELECT * FROM few", "WITH"),
        ("PRAGMA foreign_keys", "PRAGMA"),
        ("password hunter2", "_OTHER"),
        ("SELECTED", "_OTHER"),
        ("1 SELECT", "_OTHER"),
        ("/* no end SELECT", "_OTHER"),
        ("", "_OTHER"),
        ("-", "_OTHER"),
        ("(" * 100_000, "_OTHER"),
        ("/*" * 100_000, "_OTHER"),
        (" \n--" * 100_000, "_OTHER"),
    ],
)
def test_operations_are_named_by_the_first_keyword(statement, name):
    assert operation_name(statement) == name


def test_operations_have_their_name_and_error(url):
    with open_engine(url) as database, recording(database) as recorded:
        items.create(database, checkfirst=False)
        with database.begin() as connection:
            for number in range(3):
                connection.execute(insert(items).values(id=number))
            connection.execute(insert(items), [{"id": number} for number in range(10, 20)])
            assert len(connection.execute(select(items)).all()) == 13
            connection.exec_driver_sql("UPDATE items SET name = 'secret'")
        with pytest.raises(IntegrityError), database.begin() as connection:
            connection.execute(insert(items).values(id=0))
        with pytest.raises(OperationalError), database.begin() as connection:
            connection.execute(text("SELECT secret FROM nowhere"))
        with pytest.raises(ProgrammingError), database.begin() as connection:
            connection.exec_driver_sql("SELECT 1; SELECT 2")
        assert recorded.operations == {
            ("CREATE", ""): 1,
            ("INSERT", ""): 4,
            ("SELECT", ""): 1,
            ("UPDATE", ""): 1,
            ("INSERT", "sqlite3.IntegrityError"): 1,
            ("SELECT", "sqlite3.OperationalError"): 1,
            ("SELECT", "sqlite3.ProgrammingError"): 1,
        }
        assert b"secret" not in prometheus.render(recorded.registry)
        assert {labels[0] for labels in recorded.read(DURATION)} == {"sqlite"}


def test_an_operation_lasts_until_its_cursor_returns(url):
    with open_engine(url) as database, recording(database) as recorded:

        @event.listens_for(database, "connect")
        def add_function(connection, _):
            connection.create_function("wait", 1, recorded.clock.advance)

        with database.connect() as connection:
            connection.execute(text("SELECT wait(2)")).all()
            recorded.clock.advance(8)
        assert recorded.read(DURATION, "sum") == {("sqlite", "SELECT", ""): 2}
        assert recorded.read(USE_TIME, "sum") == {(): 10}
        assert recorded.read(CREATE_TIME) == {(): 1}


def test_the_pool_is_read_at_each_collection(url):
    with (
        open_engine(url, pool_size=2, max_overflow=1, pool_timeout=0) as database,
        recording(database) as recorded,
    ):
        assert recorded.read(MAX, "value") == {(): 3}
        assert recorded.connections == {"idle": 0, "used": 0}
        held = [database.connect() for _ in range(3)]
        assert recorded.connections == {"idle": 0, "used": 3}
        with pytest.raises(PoolTimeoutError):
            database.connect()
        held.pop().close()
        assert recorded.connections == {"idle": 1, "used": 2}
        assert recorded.read(USE_TIME) == {(): 1}
        held.pop().invalidate()
        held.pop().detach()
        assert recorded.read(CREATE_TIME) == {(): 3}
        assert recorded.read(USE_TIME) == {(): 2}
        # The pool of a disposed engine is another one.
        database.dispose()
        with database.connect():
            assert recorded.connections == {"idle": 0, "used": 1}
        assert recorded.read(CREATE_TIME) == {(): 4}
        assert recorded.read(USE_TIME) == {(): 3}


@pytest.mark.parametrize(
    "options", [{"poolclass": NullPool}, {"pool_size": 0}, {"pool_size": 2, "max_overflow": -1}]
)
def test_a_pool_without_a_limit_has_no_maximum(url, options):
    with open_engine(url, **options) as database, recording(database) as recorded:
        with database.connect():
            assert recorded.connections.get("used", 1) == 1
        assert recorded.read(MAX, "value") == {}
        assert recorded.read(USE_TIME) == {(): 1}


def test_a_database_in_memory_has_queries_and_no_counts():
    with open_engine("sqlite://") as database, recording(database) as recorded:
        with database.connect() as connection:
            connection.execute(text("SELECT 1"))
        assert recorded.operations == {("SELECT", ""): 1}
        assert recorded.connections == {}


def test_asynchronous_engines_are_measured(tmp_path):
    async def main():
        database = open_async_engine(tmp_path)
        with recording(database) as recorded:
            async with database.begin() as connection:
                await connection.run_sync(items.create, checkfirst=False)
                await connection.execute(insert(items).values(id=1))
                assert recorded.connections == {"idle": 0, "used": 1}
            with pytest.raises(IntegrityError):
                async with database.begin() as connection:
                    await connection.execute(insert(items).values(id=1))
            async with database.connect() as connection:
                found = await connection.stream(select(items))
                assert [row.id async for row in found] == [1]
            assert recorded.operations == {
                ("CREATE", ""): 1,
                ("INSERT", ""): 1,
                ("SELECT", ""): 1,
                ("INSERT", "sqlite3.IntegrityError"): 1,
            }
            assert recorded.read(MAX, "value") == {(): 15}
            assert recorded.read(USE_TIME) == {(): 3}
            assert recorded.read(CREATE_TIME) == {(): 1}
            await database.dispose()
        await database.dispose()

    asyncio.run(main())


def test_a_cancelled_query_is_counted_as_cancelled(tmp_path):
    async def main():
        database = open_async_engine(tmp_path)
        started, release = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def wait():
            loop.call_soon_threadsafe(started.set)
            release.wait(20)

        async def query(connection):
            await connection.execute(text("SELECT wait()"))

        @event.listens_for(database.sync_engine, "connect")
        def add_function(connection, _):
            connection.run_async(lambda driver: driver.create_function("wait", 0, wait))

        with recording(database) as recorded:
            async with database.connect() as connection:
                task = asyncio.create_task(query(connection))
                await started.wait()
                task.cancel()
                # The driver's thread is in the function until then, and the rollback waits for it.
                loop.call_soon(release.set)
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert recorded.operations == {("SELECT", "cancelled"): 1}
            assert recorded.connections["used"] == 0
            await database.dispose()

    asyncio.run(main())


def test_several_engines_have_names(tmp_path):
    with (
        open_engine(f"sqlite:///{tmp_path}/orders.db") as orders,
        open_engine(f"sqlite:///{tmp_path}/users.db", pool_size=1) as users,
        recording({"orders": orders, "users": users}, engines) as recorded,
    ):
        with orders.connect() as connection, users.connect():
            connection.execute(text("SELECT 1"))
            assert recorded.read(COUNT, "value") == {
                ("idle", "orders"): 0,
                ("used", "orders"): 1,
                ("idle", "users"): 0,
                ("used", "users"): 1,
            }
        assert recorded.read(DURATION) == {("sqlite", "SELECT", "", "orders"): 1}
        assert recorded.read(MAX, "value") == {("orders",): 15, ("users",): 11}
        assert recorded.read(USE_TIME) == {("orders",): 1, ("users",): 1}


def listeners(database):
    return (
        sum(len(getattr(database.dispatch, name)) for name in EVENTS)
        + sum(len(getattr(database.pool.dispatch, name)) for name in POOL_EVENTS)
        + sum(
            len(getattr(database.dialect.dispatch, name)) for name in ("do_connect", "handle_error")
        )
    )


@pytest.mark.parametrize("disposed", [False, True])
def test_the_stop_removes_the_listeners(url, disposed):
    registry = Registry()
    with open_engine(url) as database:
        before = listeners(database)
        for _ in range(2):
            with engine(registry, database) as found:
                assert found is database
                assert listeners(database) == before + 7
                with database.connect() as connection:
                    connection.execute(text("SELECT 1"))
                if disposed:
                    database.dispose()
                held = database.connect()
            assert listeners(database) == before
            assert len(registry) == 0
            held.execute(text("SELECT 2"))
            held.close()


def test_two_registries_measure_one_engine(url):
    with (
        open_engine(url) as database,
        recording(database) as first,
        recording(database.execution_options(logging_token="x")) as second,
    ):
        with database.connect() as connection:
            connection.execute(text("SELECT 1"))
        with database.execution_options(logging_token="y").connect() as connection:
            connection.execute(text("SELECT 1"))
        assert first.operations == {("SELECT", ""): 2}
        assert second.operations == {}
        assert second.read(USE_TIME) == {(): 2}


def test_a_failing_clock_fails_no_query(url, caplog):
    class Clock(ManualClock):
        def monotonic_ns(self):
            raise LookupError("no time")

    with (
        open_engine(url) as database,
        engine(Registry(clock=Clock()), database),
        database.connect() as connection,
    ):
        assert connection.scalar(text("SELECT 1")) == 1
    assert levels(caplog) == [40]
    assert "a query was not measured" in caplog.text


def test_threads_share_an_engine(url):
    with open_engine(url, pool_size=4) as database, recording(database) as recorded:

        def query():
            for _ in range(50):
                with database.connect() as connection:
                    connection.execute(text("SELECT 1"))

        threads = [threading.Thread(target=query) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert recorded.operations == {("SELECT", ""): 200}
        assert recorded.read(USE_TIME) == {(): 200}
        assert recorded.connections["used"] == 0


def test_every_format_shows_the_pool(url):
    labels = 'db_system_name="sqlite",db_operation_name="SELECT",error_type=""'
    with (
        open_engine(url) as database,
        recording(database) as recorded,
        database.connect() as connection,
    ):
        connection.execute(text("SELECT 1"))
        lines = prometheus.render(recorded.registry).decode().splitlines()
        for line in (
            "# TYPE db_client_connection_count gauge",
            'db_client_connection_count{db_client_connection_state="used"} 1',
            "db_client_connection_max 15",
            "db_client_connection_use_time_seconds_count 0",
            "db_client_connection_create_time_seconds_count 1",
            f"db_client_operation_duration_seconds_count{{{labels}}} 1",
        ):
            assert line in lines
        now = {"timestamp_ns": 10**18}
        for module, options in (
            (graphite, now), (influx, now), (json, {}), (openmetrics, {}), (otlp, now),
        ):  # fmt: skip
            written = module.render(recorded.registry, **options)
            assert b"used" in written


def test_wrong_arguments_are_errors_at_the_start_and_show_no_secrets(url):
    registry = Registry()
    with (
        pytest.raises(TypeError, match="invalid engine of type str") as caught,
        engine(registry, "postgresql://user:secret@host"),
    ):
        pass
    assert "secret" not in str(caught.value)
    with open_engine(url) as database:
        before = listeners(database)
        with (
            pytest.raises(ValueError, match="ascending"),
            engine(registry, database, bounds=[2, 1]),
        ):
            pass
        with (
            engine(registry, database),
            pytest.raises(DuplicateMetricError),
            engine(registry, database),
        ):
            pass
        with pytest.raises(TypeError), engines(registry, {"a": database, "b": None}):
            pass
        assert listeners(database) == before
    assert len(registry) == 0


def test_a_disabled_registry_measures_nothing(url):
    registry = Registry(enabled=False)
    with open_engine(url) as database, engine(registry, database), database.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_a_container_declares_the_measured_engine(url):
    class Container(MetricsContainer):
        registry = MetricsContainer.registry
        plain = Resource(open_engine, url)
        database = Resource(engine, registry, plain)

    container = Container()
    assert check(container) == ()
    container.init_resources()
    assert isinstance(container.database(), Engine)
    container.shutdown_resources()
