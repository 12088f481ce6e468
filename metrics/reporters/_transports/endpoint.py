"""Addresses of servers, checked before anything is sent."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, urlencode, urlsplit

from metrics.instruments._inner import Whole, integer
from metrics.reporters._transports.secrets import given

PORTS = {"http": 80, "https": 443}

LAST_PORT = 65535


class Endpoint(NamedTuple):
    """Where an HTTP request goes. Its text has no query, which may be private."""

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = ""

    def at(self, path: str, query: Mapping[str, str] | None = None) -> "Endpoint":
        """Return the address of something below this one.

        Args:
            path: added to this one's path; quoted already.
            query: parameters, which are quoted here; empty ones are left out.
        """
        pairs = [(name, value) for name, value in (query or {}).items() if value]
        return self._replace(
            path=self.path.rstrip("/") + path, query=urlencode(pairs, quote_via=quote)
        )

    @property
    def target(self) -> str:
        """What a request line says: path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    def __repr__(self) -> str:
        return f"<Endpoint {self}>"


def endpoint_of(url: str) -> Endpoint:
    """Return the address that a URL stands for.

    Raises:
        TypeError: `url` is not a str.
        ValueError: it is no http or https URL in ASCII, or holds credentials, a query or a
            fragment. The message does not repeat what may be private.
    """
    if not isinstance(url, str):
        raise TypeError(f"url takes a str, got one of type {type(url).__name__}")
    if "@" in url:
        # Wherever it stands: what is before it may be a password in a URL that is mistyped.
        raise ValueError("url has an @, as credentials do; give them by their own options")
    shown, mark, _ = url.replace("#", "?").partition("?")
    wrong = f"url {shown!r} is no http or https URL"
    example = "use something like 'http://127.0.0.1:8086'"
    try:
        parts = urlsplit(shown)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{wrong}: {error}; {example}") from None
    if parts.scheme not in PORTS or not parts.hostname or not is_plain(url) or port == 0:
        raise ValueError(f"{wrong}; {example}")
    if mark:
        raise ValueError(f"url {shown!r} has a query or a fragment; leave it out")
    return Endpoint(
        parts.scheme,
        checked_host("url", parts.hostname),
        port or PORTS[parts.scheme],
        parts.path or "/",
    )


def checked_host(what: str, host: str) -> str:
    """Return a name or an address that a server may have.

    Raises:
        TypeError: it is not a str.
        ValueError: no server can be called that.
    """
    name = given(what, host)
    try:
        name.encode("idna")
    except UnicodeError as error:
        raise ValueError(f"{what} {name!r} names no server: {error}") from None
    if not is_plain(name) or "/" in name:
        raise ValueError(f"{what} {name!r} names no server; use one like 'localhost'")
    return name


def checked_port(what: str, port: Whole) -> int:
    """Return a port that a server may listen at.

    Raises:
        TypeError: it is not an int.
        ValueError: it is not between 1 and 65535.
    """
    number = integer(what, port)
    if not 0 < number <= LAST_PORT:
        raise ValueError(f"{what} takes a number from 1 to {LAST_PORT}, got {number}")
    return number


def is_plain(text: str) -> bool:
    """Return whether a text has printable ASCII characters only, and no space."""
    return text.isascii() and text.isprintable() and " " not in text
