"""Measured engines of SQLAlchemy: their queries and their pools of connections.

A container declares the measured engine in front of all that use it:

    class Container(MetricsContainer):
        plain = Resource(open_engine, url)
        engine = Resource(integrations.sqlalchemy.engine, MetricsContainer.registry, plain)
        orders = Factory(Orders, engine)

Names, labels and buckets follow OpenTelemetry's semantic conventions for database clients; a
Prometheus page has underscores for dots:

| instrument | labels |
| --- | --- |
| `db.client.operation.duration`, in seconds | `db.system.name`, `db.operation.name`, `error.type` |
| `db.client.connection.count` | `db.client.connection.state`: `used` or `idle` |
| `db.client.connection.max` | |
| `db.client.connection.use_time`, in seconds | |
| `db.client.connection.create_time`, in seconds | |

With `engines`, all have the label `db.client.connection.pool.name` too.

- an operation is one execution of a cursor, from its call to its return: fetching rows does not
  count; an `executemany` is one operation, and so is each batch of an INSERT of many rows
- the name of the operation is the first keyword of the statement, as `SELECT`, or `_OTHER`; no
  label has any other word of a statement, or a parameter
- the error type is the class of the driver's exception; `cancelled`; or empty
- only pools with a limit have a count and a maximum, as `QueuePool` does, the default for servers

SQLAlchemy reports neither the time that a program waits for a connection of a pool nor the timeouts
of waiting.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, final

from metrics._extras import require_extra

with require_extra("sqlalchemy"):
    from sqlalchemy import Engine, event

from metrics._fork import survives_fork
from metrics.instruments import BucketHistogram, Family
from metrics.instruments._inner import Real
from metrics.integrations._failures import Failures
from metrics.integrations._family_reading import FamilyReading
from metrics.integrations._http.instruments import OTHER, error_type
from metrics.registry import Registry
from metrics.registry._inner import Registrations

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, ExceptionContext
    from sqlalchemy.ext.asyncio import AsyncEngine

E = TypeVar("E", bound="Engine | AsyncEngine")

BOUNDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
"""Upper bounds of the durations of operations in seconds, as OpenTelemetry has them."""

SECOND = 1e9

SYSTEMS = {"mssql": "microsoft.sql_server", "oracle": "oracle.db"}
"""OpenTelemetry's names of database systems that are not the names of their dialects."""

OPERATIONS = frozenset({
    "ALTER", "ANALYZE", "BEGIN", "CALL", "COMMIT", "COPY", "CREATE", "DECLARE", "DELETE", "DROP",
    "EXEC", "EXECUTE", "EXPLAIN", "FETCH", "GRANT", "INSERT", "LOCK", "MERGE", "PRAGMA", "REFRESH",
    "REINDEX", "RELEASE", "REPLACE", "REVOKE", "ROLLBACK", "SAVEPOINT", "SELECT", "SET", "SHOW",
    "TRUNCATE", "UPDATE", "USE", "VACUUM", "VALUES", "WITH",
})  # fmt: skip
"""Names of operations, which are the first keywords of statements."""

# Each alternative begins with another character, and the repetition is possessive: no text takes
# longer than one pass.
KEYWORD: Final = re.compile(r"(?:\s|\(|--[^\n]*|/\*(?s:.*?)\*/)*+([A-Za-z]+)")
"""First keyword of a statement, after comments and parentheses."""


class EngineNames(NamedTuple):
    """Names of the instruments and their labels."""

    duration: str
    connections: str
    maximum: str
    use_time: str
    create_time: str
    series: tuple[str, ...]
    state: str
    pool: str


NAMES = EngineNames(
    "db.client.operation.duration",
    "db.client.connection.count",
    "db.client.connection.max",
    "db.client.connection.use_time",
    "db.client.connection.create_time",
    ("db.system.name", "db.operation.name", "error.type"),
    "db.client.connection.state",
    "db.client.connection.pool.name",
)


def operation_name(statement: str) -> str:
    """Return the first keyword of a statement; `_OTHER` if it is none of `OPERATIONS`."""
    found = KEYWORD.match(statement)
    word = found[1].upper() if found else ""
    return word if word in OPERATIONS else OTHER


@final
class DatabaseClient:
    """Instruments of the engines of a program.

    Args:
        own: the registrations of the instruments.
        bounds: upper bounds of durations in seconds.
        named: whether the pools of the engines have a label.
        now: returns the time in nanoseconds.
    """

    def __init__(
        self,
        own: Registrations,
        bounds: tuple[Real, ...],
        named: bool,
        now: Callable[[], int],
    ) -> None:
        pool = (NAMES.pool,) if named else ()
        self.now = now
        self.failures = Failures("a query")
        self.engines: list[MeasuredEngine] = []
        times = partial(own.bucket_histograms, bounds=bounds, unit="seconds")
        self.durations: Family[BucketHistogram] = times(
            NAMES.duration,
            (*NAMES.series, *pool),
            description="Time of the execution of statements",
        )
        self.use_times: Family[BucketHistogram] = times(
            NAMES.use_time,
            pool,
            description="Time from the checkout of connections to their return to the pool",
        )
        self.create_times: Family[BucketHistogram] = times(
            NAMES.create_time, pool, description="Time that it took to create connections"
        )
        own.register(
            NAMES.connections,
            FamilyReading((NAMES.state, *pool), self._counts),
            description="Connections of the pools",
        )
        own.register(
            NAMES.maximum,
            FamilyReading(pool, self._maxima),
            description="Largest number of connections of the pools",
        )

    def _counts(self) -> dict[tuple[str, ...], int]:
        found: dict[tuple[str, ...], int] = {}
        for each in self.engines:
            # The pool of a disposed engine is another one.
            pool: Any = each.engine.pool
            if hasattr(pool, "checkedout"):
                found["idle", *each.pool] = pool.checkedin()
                # Between two steps of a checkout it may be less.
                found["used", *each.pool] = max(pool.checkedout(), 0)
        return found

    def _maxima(self) -> dict[tuple[str, ...], int]:
        found: dict[tuple[str, ...], int] = {}
        for each in self.engines:
            pool: Any = each.engine.pool
            # No public attribute has it; -1 is no limit.
            overflow = getattr(pool, "_max_overflow", -1)
            if overflow >= 0:
                found[each.pool] = pool.size() + overflow
        return found


@final
class MeasuredEngine:
    """Listeners of one engine. They run within queries, and raise nothing.

    Args:
        client: the instruments.
        engine: the engine.
        pool: the label values of its pool.
    """

    def __init__(self, client: DatabaseClient, engine: Engine, pool: tuple[str, ...]) -> None:
        name = engine.dialect.name
        self.engine = engine
        self.pool = pool
        self._client = client
        self._system = SYSTEMS.get(name, name)
        # A disposed engine has another pool, with copies of the listeners: the first one is the key
        # to all of them.
        first: Any = engine.pool
        self._listeners: tuple[tuple[Any, str, Callable[..., None], bool], ...] = (
            (engine, "before_cursor_execute", self.begin, False),
            (engine, "after_cursor_execute", self.end, False),
            (engine, "handle_error", self.fail, False),
            (engine, "do_connect", self.connect, False),
            # Before the listeners of the program, which may send queries of their own.
            (first, "connect", self.create, True),
            (first, "checkout", self.check_out, False),
            (first, "checkin", self.check_in, False),
        )

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Add the listeners to the engine, and remove them at the end of the block."""
        with ExitStack() as stack:
            for target, name, listener, insert in self._listeners:
                event.listen(target, name, listener, insert=insert)
                stack.callback(event.remove, target, name, listener)
            yield

    def begin(self, connection: "Connection", *_: object) -> None:
        """Note the beginning of an operation in its connection, which has one at a time."""
        with self._client.failures:
            connection.info[self] = self._client.now()

    def end(self, connection: "Connection", _cursor: object, statement: str, *_: object) -> None:
        """Record an operation."""
        self._record(connection, statement, "")

    def fail(self, context: "ExceptionContext") -> None:
        """Record an operation that failed; ignore other errors, of a commit for example."""
        connection, statement = context.connection, context.statement
        if connection is not None and statement is not None and not connection.invalidated:
            self._record(connection, statement, error_type(context.original_exception))

    def _record(self, connection: "Connection", statement: str, error: str) -> None:
        client = self._client
        with client.failures:
            started = connection.info.pop(self, None)
            if started is not None:
                labels = self._system, operation_name(statement), error, *self.pool
                client.durations.labels(*labels).update((client.now() - started) / SECOND)

    def connect(self, _dialect: object, record: Any, *_: object) -> None:
        """Note the beginning of a connection's creation."""
        self._note(record, "created")

    def create(self, _connection: object, record: Any) -> None:
        """Record the creation of a connection."""
        self._measure(record, "created", self._client.create_times)

    def check_out(self, _connection: object, record: Any, *_: object) -> None:
        """Note the beginning of a connection's use."""
        self._note(record, "used")

    def check_in(self, _connection: object, record: Any) -> None:
        """Record the use of a connection."""
        self._measure(record, "used", self._client.use_times)

    def _note(self, record: Any, kind: str) -> None:
        with self._client.failures:
            # The connection itself may not exist, or be replaced before it is returned.
            if record is not None:
                record.record_info[self, kind] = self._client.now()

    def _measure(self, record: Any, kind: str, times: Family[BucketHistogram]) -> None:
        with self._client.failures:
            started = None if record is None else record.record_info.pop((self, kind), None)
            if started is not None:
                times.labels(*self.pool).update((self._client.now() - started) / SECOND)


@survives_fork
@contextmanager
def engine(registry: Registry, engine: E, *, bounds: Iterable[Real] = BOUNDS) -> Iterator[E]:
    """Measure an engine; the value is the engine itself, which remains that of its owner.

    At the stop the listeners are removed. SQLAlchemy does not allow that while an event of the
    engine runs in another thread: let the resources that query the database depend on this one, so
    that they stop before.

    Args:
        registry: the registry of the instruments.
        engine: an `Engine` or an `AsyncEngine`.
        bounds: upper bounds of all durations, in seconds.

    Raises:
        DuplicateMetricError: a name is taken; measure several engines with `engines`.
        TypeError, ValueError: an option is malformed, or a label is one of the registry's labels.
    """
    with measure(registry, {"": engine}, bounds, named=False):
        yield engine


@survives_fork
@contextmanager
def engines(
    registry: Registry, engines: Mapping[str, E], *, bounds: Iterable[Real] = BOUNDS
) -> Iterator[Mapping[str, E]]:
    """Measure several engines by name, as `engine` does one; the value is the mapping itself.

    Args:
        registry: the registry of the instruments.
        engines: engines by their name, which is the label `db.client.connection.pool.name`.
        bounds: upper bounds of all durations, in seconds.

    Raises:
        DuplicateMetricError: a name is taken.
        TypeError, ValueError: an option is malformed, or a label is one of the registry's labels.
    """
    with measure(registry, engines, bounds, named=True):
        yield engines


@contextmanager
def measure(
    registry: Registry, engines: Mapping[str, Any], bounds: Iterable[Real], *, named: bool
) -> Iterator[None]:
    """Register the instruments of engines and listen to the engines."""
    synchronous = {name: synchronous_engine(each) for name, each in engines.items()}
    with ExitStack() as stack:
        own = stack.enter_context(closing(Registrations(registry)))
        client = DatabaseClient(own, tuple(bounds), named, registry.clock.monotonic_ns)
        for name, each in synchronous.items():
            measured = MeasuredEngine(client, each, (name,) if named else ())
            stack.enter_context(measured.listen())
            client.engines.append(measured)
        yield


def synchronous_engine(engine: object) -> Engine:
    """Return the engine that has the events: that of an `AsyncEngine`, or the engine itself.

    Raises:
        TypeError: the object is no engine. The message does not show it: it may be a URL.
    """
    found = getattr(engine, "sync_engine", engine)
    if not isinstance(found, Engine):
        raise TypeError(
            f"invalid engine of type {type(engine).__name__}: pass an Engine or an AsyncEngine"
        )
    return found
