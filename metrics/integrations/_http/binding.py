"""Running instruments of an HTTP server, resolved once for each start of a container."""

from collections.abc import Callable
from typing import Any, final

from metrics.integrations._binding import ProviderBinding, Wording
from metrics.integrations._http.instruments import HTTPServer

Source = HTTPServer | Callable[[], Any]
"""Instruments of an HTTP server, or their provider."""

HTTP = Wording(
    "http",
    "pass the provider of an `http.server` resource, such as container.http",
    "request",
    "in the lifespan of the application or with init_resources()",
)


@final
class Binding(ProviderBinding[HTTPServer]):
    """Instruments of an HTTP server that the provider of a container gives.

    Args:
        source: the provider, or the instruments themselves.
        starts: as in `ProviderBinding`.
        container: as in `ProviderBinding`.

    Raises:
        TypeError: `source` is neither.
    """

    __slots__ = ()

    def __init__(self, source: Source, *, starts: bool = False, container: Any = None) -> None:
        super().__init__(source, HTTPServer, HTTP, starts=starts, container=container)
