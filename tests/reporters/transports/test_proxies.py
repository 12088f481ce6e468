"""Requests go through the configured proxy, whose credentials stay secret."""

import logging
import threading
from base64 import b64encode
from ssl import create_default_context
from urllib.parse import quote

import pytest

from metrics.reporters._transports.endpoint import Endpoint, endpoint_of
from metrics.reporters._transports.proxies import Proxy, environment_proxy, proxy_of
from metrics.reporters._transports.transport import Rejected, Unavailable
from tests.processes import free_port
from tests.reporters.servers import (
    OK,
    Server,
    Web,
    accepted,
    certificate,
    full_backlog,
    response,
    silent,
    tls,
)
from tests.reporters.tunnels import Tunnel
from tests.reporters.waiting import DEADLINE, FOREVER, aborted_when, ended

PASSWORD = "hunter2/with@signs:and%"
ENCODED = b64encode(f"user:{PASSWORD}".encode()).decode()


@pytest.fixture(scope="session")
def certified(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("proxies"), "IP:127.0.0.1")


@pytest.fixture
def environment(monkeypatch):
    """Sets environment variables; no proxy is set besides."""
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch.setenv


def with_credentials(server: Server) -> Proxy:
    return proxy_of(server.url.replace("://", f"://user:{quote(PASSWORD, safe='')}@"))


def test_a_proxy_forwards_the_requests_of_http(transport_to):
    web = Web(OK)
    with Server(web) as server:
        transport = transport_to("http://db.example:8086", proxy=with_credentials(server))
        transport.send(b"1", DEADLINE)
        transport.send(b"2", DEADLINE)
        assert server.has_accepted(1)
    assert web.bodies == [b"1", b"2"]
    for request in web.requests:
        assert request.line == "POST http://db.example:8086/write?db=metrics HTTP/1.1"
        assert request.headers["host"] == "db.example:8086"
        assert request.headers["proxy-authorization"] == f"Basic {ENCODED}"


def test_a_proxy_tunnels_https_and_sees_neither_requests_nor_credentials(transport_to, certified):
    web, tunnel = Web(OK), Tunnel()
    with Server(web, tls=tls(certified)) as server, Server(tunnel) as proxy:
        transport = transport_to(
            server,
            proxy=with_credentials(proxy),
            context=create_default_context(cafile=certified),
            headers={"Authorization": "Token t"},
        )
        transport.send(b"1", DEADLINE)
        transport.send(b"2", DEADLINE)
        assert proxy.has_accepted(1)
        # The server closes the connection, and the next one has a tunnel too.
        web.answer = OK + Web.CLOSE
        for payload in (b"3", b"4"):
            transport.send(payload, DEADLINE)
        transport.close()
    assert web.bodies == [b"1", b"2", b"3", b"4"]
    assert web.requests[0].line == "POST /write?db=metrics HTTP/1.1"
    assert "proxy-authorization" not in web.requests[0].headers
    assert [line.rpartition(" ")[0] for line in tunnel.lines] == [
        f"CONNECT 127.0.0.1:{server.port}"
    ] * 2
    assert tunnel.headers[1]["proxy-authorization"] == f"Basic {ENCODED}"
    assert "authorization" not in tunnel.headers[0]


@pytest.mark.parametrize("secured", [False, True], ids=["http", "https"])
def test_a_proxy_may_speak_tls(transport_to, certified, secured):
    web = Web(OK)
    handler = Tunnel() if secured else web
    options = {"context": create_default_context(cafile=certified)}
    with (
        Server(web, tls=tls(certified) if secured else None) as server,
        Server(handler, tls=tls(certified)) as proxy,
    ):
        transport = transport_to(server, proxy=proxy_of(proxy.url), **options)
        transport.send(b"1", DEADLINE)
        transport.send(b"2", DEADLINE)
        transport.close()
    assert web.bodies == [b"1", b"2"]


def test_a_certificate_behind_a_proxy_is_verified(sending, certified):
    web = Web(OK)
    with (
        Server(web, tls=tls(certified)) as server,
        Server(Tunnel()) as proxy,
        pytest.raises(Unavailable, match="self-signed"),
    ):
        sending(server, proxy=proxy_of(proxy.url))
    assert web.requests == []


def test_a_tunnel_that_is_refused_is_unavailable_and_names_the_proxy(sending, caplog):
    refusal = response(407, PASSWORD.encode(), Proxy_Authenticate="Basic")
    refusal = refusal.replace(b"Whatever", b"Not " + PASSWORD.encode())
    with (
        caplog.at_level(logging.DEBUG),
        Server(Tunnel(refusal)) as proxy,
        pytest.raises(
            Unavailable,
            match=rf"through the proxy http://127\.0\.0\.1:{proxy.port}/: .*407 Not \*\*\*",
        ) as caught,
    ):
        sending("https://db.example", proxy=with_credentials(proxy))
    assert PASSWORD not in f"{caught.value!r}{caplog.text}"
    assert ENCODED not in f"{caught.value!r}{caplog.text}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_unavailable(sending, scheme):
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unavailable, match=rf"through the proxy {url}/: .*refused"):
        sending(f"{scheme}://db.example", proxy=proxy_of(url))


def test_a_proxy_that_refuses_a_request_refuses_the_payload(sending):
    with Server(Web(response(407, b"who?"))) as proxy, pytest.raises(Rejected, match="407"):
        sending("http://db.example", proxy=proxy_of(proxy.url))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_silent_proxy_is_abandoned_on_time(sending, time_is_up, scheme):
    def send() -> None:
        with pytest.raises(Unavailable, match="no answer within"):
            sending(f"{scheme}://db.example", proxy=proxy_of(proxy.url))

    with Server(accepted(time_is_up, silent)) as proxy:
        ended(send)


def test_connecting_to_a_proxy_ends_on_time(sending):
    with full_backlog() as port, pytest.raises(Unavailable, match=r"no connection within 0\.05 s"):
        sending(
            "https://db.example",
            proxy=proxy_of(f"http://127.0.0.1:{port}"),
            connect_timeout=0.05,
        )


def test_a_delivery_through_a_tunnel_can_be_aborted(transport_to, certified):
    asked = threading.Event()

    def handler(connection) -> None:
        connection.recv(10)
        asked.set()
        silent(connection)

    with Server(handler, tls=tls(certified)) as server, Server(Tunnel()) as proxy:
        transport = transport_to(
            server,
            proxy=proxy_of(proxy.url),
            context=create_default_context(cafile=certified),
        )

        def send() -> None:
            with pytest.raises(Unavailable, match="no time left"):
                transport.send(b"", FOREVER)

        with aborted_when(asked, transport):
            ended(send)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://proxy.example", Endpoint("http", "proxy.example", 80)),
        ("http://proxy.example:3128/", Endpoint("http", "proxy.example", 3128)),
        ("https://u:p@[::1]:3128", Endpoint("https", "::1", 3128)),
    ],
)
def test_the_url_of_a_proxy_is_parsed(url, endpoint):
    proxy = proxy_of(url)
    assert proxy.endpoint == endpoint
    assert repr(proxy) == f"<Proxy {endpoint}>"


def test_a_token_may_be_a_user_name_without_a_password():
    proxy = proxy_of("http://tok%2Fen@proxy.example")
    encoded = b64encode(b"tok/en:").decode()
    assert proxy.headers == {"Proxy-Authorization": f"Basic {encoded}"}
    assert {"tok/en", encoded} <= set(proxy.secrets)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "proxy.example:3128",
        "socks5://proxy.example",
        "http://proxy.example/path",
        "http://proxy.example/?a=b",
        "http://",
        "http://user:hunter2@",
        "user:hunter2@proxy.example",
        "http://user:hunter2@proxy.example/path",
        "http://user:hunter2@proxy.example:port",
        "ftp://user:hunter2@proxy.example",
        "http:/user:hunter2@proxy.example",
        "http://user:hun@ter2@",
    ],
)
def test_a_malformed_url_is_an_error_that_names_the_option_and_no_secret(url):
    with pytest.raises(ValueError, match="proxy") as caught:
        proxy_of(url)
    assert "hunter2" not in str(caught.value)
    assert "ter2" not in str(caught.value)


def test_a_url_of_another_type_is_not_repeated():
    with pytest.raises(TypeError, match="invalid proxy of type bytes: use a str"):
        proxy_of(b"http://user:hunter2@proxy.example")


TARGET = endpoint_of("https://db.example:8086/write?p=s")


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY"])
def test_the_environment_names_a_proxy_in_either_case(environment, name):
    environment(name, "http://user:hunter2@proxy.example:3128")
    proxy = environment_proxy(TARGET)
    assert proxy is not None
    assert proxy.endpoint == Endpoint("http", "proxy.example", 3128)
    assert "hunter2" in proxy.secrets
    assert environment_proxy(TARGET._replace(scheme="http")) is None


def test_a_proxy_without_a_scheme_speaks_http(environment):
    environment("http_proxy", "proxy.example:3128")
    proxy = environment_proxy(TARGET._replace(scheme="http"))
    assert proxy is not None
    assert proxy.endpoint == Endpoint("http", "proxy.example", 3128)


@pytest.mark.parametrize(
    ("exceptions", "host", "is_direct"),
    [
        ("*", "db.example", True),
        ("example", "db.example", True),
        (".example", "db.example", True),
        ("db.example:8086", "db.example", True),
        ("db.example:80", "db.example", False),
        ("127.0.0.1, ::1", "::1", True),
        ("other.example", "db.example", False),
        ("", "db.example", False),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_the_environment_excepts_hosts(environment, exceptions, host, is_direct, name):
    environment("https_proxy", "http://proxy.example:3128")
    environment(name, exceptions)
    assert (environment_proxy(TARGET._replace(host=host)) is None) is is_direct


def test_a_malformed_proxy_of_the_environment_names_the_variable(environment):
    environment("HTTPS_PROXY", "socks5://user:hunter2@proxy.example")
    with pytest.raises(ValueError, match=r"invalid https_proxy 'socks5://proxy\.example': use"):
        environment_proxy(TARGET)
