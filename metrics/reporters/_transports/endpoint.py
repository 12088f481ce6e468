"""Addresses of servers, checked before the first request."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_plus, urlencode, urlsplit

from metrics.instruments._inner import Whole, integer
from metrics.reporters._transports.secrets import require

PORTS = {"http": 80, "https": 443}

LAST_PORT = 65535

PUBLIC_PARAMETERS = frozenset({"bucket", "consistency", "db", "org", "precision", "rp", "u"})
"""Parameters of a URL whose values may be shown; the value of any other may be a secret."""

URL_MARKS = "!$&'()*+,/:;=?@[]%"
"""Characters that a path or query contains as they are (RFC 3986), or already quoted."""


class Endpoint(NamedTuple):
    """Address of HTTP requests. Its text has no query, which may contain secrets."""

    scheme: str
    host: str
    port: int
    path: str = "/"
    query: str = ""

    def at(self, path: str, query: Mapping[str, str] | None = None) -> "Endpoint":
        """Return the address of a resource below this one.

        Args:
            path: appended to the path of this address unless that ends with it; already quoted.
            query: parameters, quoted here; empty ones are left out. They replace parameters of this
                address that have the same names; its other parameters stay.
        """
        own = {name: value for name, value in (query or {}).items() if value}
        kept = [text for text in self.query.split("&") if text and name_of(text) not in own]
        base = self.path.rstrip("/")
        return self._replace(
            path=base if base.endswith(path) else base + path,
            query="&".join([*kept, *([urlencode(own, quote_via=quote)] if own else [])]),
        )

    @property
    def target(self) -> str:
        """Path and query, as the request line has them."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values of the query that no log may show, quoted and unquoted."""
        values = [
            text.partition("=")[2]
            for text in self.query.split("&")
            if name_of(text) not in PUBLIC_PARAMETERS
        ]
        return (*values, *map(unquote_plus, values))

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.path}"

    def __repr__(self) -> str:
        return f"<Endpoint {self}>"


def endpoint_of(url: str, option: str = "url") -> Endpoint:
    """Return the address of a URL.

    Args:
        url: an http or https URL in ASCII; it may have a query.
        option: the name of the option, for the errors.

    Raises:
        TypeError: `url` is not a str.
        ValueError: `url` is malformed, or has credentials or a fragment. The message repeats
            neither these nor the query.
    """
    if not isinstance(url, str):
        raise TypeError(f"invalid {option} of type {type(url).__name__}: use a str")
    if "@" in url:
        # The text before it may be a password, wherever it stands in a mistyped URL.
        raise ValueError(
            f"invalid {option} with an @: it may have no credentials; use the options for them, "
            "and write an @ of the query as %40"
        )
    shown, mark, rest = url.partition("?")
    shown, fragment_mark, _ = shown.partition("#")
    wrong = f"invalid {option} {shown!r}"
    rule = "use an http or https URL in ASCII, such as 'http://127.0.0.1:8086'"
    try:
        parts = urlsplit(shown)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{wrong}: {error}; {rule}") from None
    if parts.scheme not in PORTS or not parts.hostname or not is_plain(url) or port == 0:
        raise ValueError(f"{wrong}: {rule}")
    if fragment_mark or "#" in rest:
        raise ValueError(f"{wrong}: it may have no fragment; remove the # and the text after it")
    return Endpoint(
        parts.scheme,
        checked_host(option, parts.hostname),
        port or PORTS[parts.scheme],
        quote(parts.path or "/", safe=URL_MARKS),
        quote(rest, safe=URL_MARKS) if mark else "",
    )


def name_of(parameter: str) -> str:
    """Return the unquoted name of a parameter `name=value`."""
    return unquote_plus(parameter.partition("=")[0])


def checked_host(option: str, host: str) -> str:
    """Return a host name or address.

    Raises:
        TypeError: `host` is not a str.
        ValueError: `host` cannot be the name of a server.
    """
    name = require(option, host)
    try:
        name.encode("idna")
    except UnicodeError as error:
        raise ValueError(
            f"invalid {option} {name!r}: {error}; use a host name or an address"
        ) from None
    if not is_plain(name) or "/" in name:
        raise ValueError(f"invalid {option} {name!r}: use a host name or an address in ASCII")
    return name


def checked_port(option: str, port: Whole) -> int:
    """Return a port.

    Raises:
        TypeError: `port` is not an int.
        ValueError: `port` is not between 1 and 65535.
    """
    number = integer(option, port)
    if not 0 < number <= LAST_PORT:
        raise ValueError(f"invalid {option} {number}: use a number from 1 to {LAST_PORT}")
    return number


def is_plain(text: str) -> bool:
    """Return whether a text has printable ASCII characters only, and no space."""
    return text.isascii() and text.isprintable() and " " not in text
