"""Running instruments of a measured application, resolved once for each start of a container."""

import atexit
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from logging import getLogger
from threading import RLock
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from metrics import _fork
from metrics.errors import LifecycleError
from metrics.instruments._inner import describe
from metrics.integrations._failures import Failures
from metrics.integrations._providers import is_running, provided_value
from metrics.registry import Registry
from metrics.registry._inner import Registrations

logger = getLogger("metrics.integrations")


class Instruments(Protocol):
    """Instruments of a server; `closed` is true after the stop of their container."""

    closed: bool


S = TypeVar("S", bound=Instruments)


@contextmanager
def registration(registry: Registry, create: Callable[[Registrations], S]) -> Iterator[S]:
    """Register the instruments of a server until the block ends, after which they are closed.

    Args:
        registry: the registry of the instruments.
        create: returns the instruments, registered.
    """
    with closing(Registrations(registry)) as own:
        instruments = create(own)
        try:
            yield instruments
        finally:
            instruments.closed = True


class Wording(NamedTuple):
    """Words of the messages of a binding.

    option: the parameter that takes the provider.
    rule: the remedy for a wrong one.
    request: the noun of the requests that are measured.
    start: the ways to start the container in time.
    """

    option: str
    rule: str
    request: str
    start: str


class ProviderBinding(Generic[S]):
    """Instruments of a server that the provider of a container gives, while the container runs.

    `server` is the last result, None at first and in a forked process; while it is closed or None,
    `find` looks again. Safe to use from any thread.

    Args:
        source: the provider, or the instruments themselves.
        kind: the class of the instruments.
        wording: the words of messages.
        starts: whether the first request in a process starts a container that has not started, and
            the exit of the interpreter stops it, for servers that know neither the start nor the
            stop of an application.
        container: the container to start; by default the one that owns the provider.

    Raises:
        TypeError: `source` is neither.
    """

    __slots__ = (
        "__weakref__",
        "_container",
        "_failures",
        "_finding",
        "_kind",
        "_source",
        "_started",
        "_starts",
        "_unmeasured",
        "_wording",
        "server",
    )

    def __init__(
        self,
        source: object,
        kind: type[S],
        wording: Wording,
        *,
        starts: bool = False,
        container: Any = None,
    ) -> None:
        if not isinstance(source, kind) and not callable(source):
            raise TypeError(f"invalid {wording.option} {source!r}: {wording.rule}")
        self.server: S | None = None
        self._source = source
        self._kind = kind
        self._wording = wording
        self._container = container
        if starts and container is None:
            self._container = getattr(source, "container", None)
        self._starts = starts
        self._started = False
        self._unmeasured = False
        self._failures = Failures(f"a {wording.request}")
        # Reentrant, as a hook may call the application.
        self._finding = RLock()
        _fork.track(self)

    def find(self) -> S | None:
        """Return the running instruments; None without any, which is logged once for each stop.

        Requests that arrive while the first one starts the container wait.
        """
        with self._finding:
            return self._find()

    def _find(self) -> S | None:
        try:
            found = self._resolve()
        except Exception as error:  # noqa: BLE001 - no request fails because it is not measured
            reason = describe(error)
        else:
            if not found.closed:
                self.server = found
                self._unmeasured = False
                return found
            reason = "their container has stopped"
        if not self._unmeasured:
            self._unmeasured = True
            request = self._wording.request
            logger.warning(
                "%ss are served unmeasured: %s; start the container before the first %s, %s",
                request,
                reason,
                request,
                self._wording.start,
            )
        return None

    def _resolve(self) -> S:
        source: Any = self._source
        if isinstance(source, self._kind):
            return source
        starts = not is_running(source)
        if starts and (self._started or not self._starts):
            raise LifecycleError("their container has not started, or has stopped")
        # Once, even if it fails: no later request waits for another attempt.
        self._started = True
        # A container that has stopped raises NotRunningError, and stays so.
        found = provided_value(source())
        if not isinstance(found, self._kind):
            raise TypeError(f"invalid {self._wording.option} {found!r}: {self._wording.rule}")
        if starts:
            self._start_others(source)
        return found

    def _start_others(self, source: Any) -> None:
        """Start the rest of the container, and have it stopped when the interpreter exits.

        Raises:
            Exception: it could not start, and has stopped the instruments too.
        """
        container = self._container
        if container is None:
            if hasattr(source, "shutdown"):
                atexit.register(lambda: source.shutdown())  # noqa: PLW0108 - it reads its caller
            return
        atexit.register(container.shutdown_resources)
        started = container.init_resources()
        if started is not None and not (hasattr(started, "done") and started.done()):
            if hasattr(started, "close"):
                started.close()
            logger.error(
                "only the instruments of %ss were started: their container has async resources; "
                "start and stop it in the program that runs the server",
                self._wording.request,
            )

    def report(self, error: Exception) -> None:
        """Log, once, that a request could not be measured."""
        self._failures.report(error)

    def _after_fork(self) -> None:
        """Resolve the provider again in a forked process, whose container may have to start."""
        self.server = None
        self._started = False
        self._unmeasured = False
        self._finding = RLock()
