"""HTTP proxies: of an option, or of the environment variables of the machine."""

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

from metrics.reporters._transports.endpoint import Endpoint, endpoint_of
from metrics.reporters._transports.secrets import encode_basic


class Proxy(NamedTuple):
    """Address of a proxy, the headers that it requires, and the secrets in them."""

    endpoint: Endpoint
    headers: Mapping[str, str]
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Proxy {self.endpoint}>"


def proxy_of(url: str, option: str = "proxy") -> Proxy:
    """Return the proxy of a URL, which may have percent-encoded credentials.

    Args:
        url: a URL such as `http://user:password@proxy.example:3128`.
        option: the name of the option or the environment variable, for the errors.

    Raises:
        TypeError: `url` is not a str.
        ValueError: `url` is malformed. The message does not repeat its credentials.
    """
    if not isinstance(url, str):
        raise TypeError(f"invalid {option} of type {type(url).__name__}: use a str")
    beginning, at, address = url.rpartition("@")
    scheme, mark, credentials = beginning.partition("://") if at else ("", "", "")
    if at and not mark:
        raise ValueError(
            f"invalid {option} '***@{address}': it has no scheme; "
            "use a URL such as 'http://user:password@proxy.example:3128'"
        )
    endpoint = endpoint_of(f"{scheme}{mark}{address}", option)
    if endpoint.target != "/":
        raise ValueError(
            f"invalid {option} '{endpoint}': it may have no path and no query; "
            "use a URL such as 'http://proxy.example:3128'"
        )
    if not at:
        return Proxy(endpoint, {})
    user, _, password = credentials.partition(":")
    encoded = encode_basic(unquote(user), unquote(password))
    # A token may stand in place of the user name, without a password.
    secret = password or user
    return Proxy(
        endpoint,
        {"Proxy-Authorization": f"Basic {encoded}"},
        (secret, unquote(secret), encoded),
    )


def environment_proxy(target: Endpoint) -> Proxy | None:
    """Return the proxy of the environment for requests to `target`; None without one.

    The variables are `http_proxy`, `https_proxy` and `no_proxy`, or the same in upper case, as the
    standard library reads them.

    Raises:
        ValueError: a variable has a malformed URL.
    """
    from urllib import request  # noqa: PLC0415 - slow import

    proxies = request.getproxies_environment()
    url = proxies.get(target.scheme)
    bypasses = request.proxy_bypass_environment  # type: ignore[attr-defined]
    hosts = (target.host, f"{target.host}:{target.port}")
    if not url or any(bypasses(host, proxies) for host in hosts):
        return None
    # As in curl, a proxy without a scheme is an http proxy.
    return proxy_of(url if "://" in url else f"http://{url}", f"{target.scheme}_proxy")
