"""Running instruments of a measured application, resolved once for each start of a container."""

from collections.abc import Callable
from logging import getLogger
from typing import Any, final

from metrics import _fork
from metrics.errors import LifecycleError
from metrics.instruments._inner import describe
from metrics.integrations._providers import is_running
from metrics.integrations.http import HTTPServer

logger = getLogger("metrics.integrations")

Source = HTTPServer | Callable[[], Any]
"""Instruments of an HTTP server, or their provider."""

RULE = "pass the provider of an `http.server` resource, such as container.http"


@final
class Binding:
    """Instruments that the provider of a container gives, while the container runs.

    `server` is the last result, None at first and in a forked process; while it is closed or None,
    `find` looks again. Safe to use from any thread.

    Args:
        source: the provider, or the instruments themselves.
        starts: whether a resource that has not started in this process is started by the first
            request, for servers that know no start of an application.

    Raises:
        TypeError: `source` is neither.
    """

    __slots__ = ("__weakref__", "_failed", "_source", "_starts", "_unmeasured", "server")

    def __init__(self, source: Source, *, starts: bool = False) -> None:
        if not isinstance(source, HTTPServer) and not callable(source):
            raise TypeError(f"invalid http {source!r}: {RULE}")
        self.server: HTTPServer | None = None
        self._source = source
        self._starts = starts
        self._unmeasured = False
        self._failed = False
        _fork.track(self)

    def find(self) -> HTTPServer | None:
        """Return the running instruments; None without any, which is logged once for each stop."""
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
            logger.warning(
                "requests are served unmeasured: %s; start the container before the first request, "
                "in the lifespan of the application or with init_resources()",
                reason,
            )
        return None

    def _resolve(self) -> HTTPServer:
        source = self._source
        if isinstance(source, HTTPServer):
            return source
        # Once found, they do not start again: a container that has stopped stays so.
        starts = self._starts and self.server is None
        if not starts and not is_running(source):
            raise LifecycleError("their container has not started, or has stopped")
        found = source()
        if callable(getattr(found, "done", None)) and found.done():
            # The future of instruments that depend on an async resource.
            found = found.result()
        if not isinstance(found, HTTPServer):
            raise TypeError(f"invalid http {found!r}: {RULE}")
        return found

    def report(self, error: Exception) -> None:
        """Log, once, that a request could not be measured."""
        if not self._failed:
            self._failed = True
            logger.error("a request was not measured: %s", describe(error), exc_info=error)

    def _after_fork(self) -> None:
        """Resolve the provider again in a forked process, whose container may have to start."""
        self.server = None
        self._unmeasured = False
