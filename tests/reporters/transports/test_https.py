"""TLS is verified, and what goes wrong with it holds nobody up."""

import logging
from ssl import create_default_context

import pytest

from metrics.reporters._transports.transport import Unavailable
from tests.reporters.servers import (
    OK,
    Server,
    Web,
    accepted,
    certificate,
    dripping,
    response,
    saying,
    silent,
    tls,
)
from tests.reporters.waiting import DEADLINE, ended


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return {name: certificate(folder, name) for name in ("IP:127.0.0.1", "DNS:elsewhere.test")}


def test_a_certificate_that_is_trusted_is_taken(transport_to, certificates):
    path = certificates["IP:127.0.0.1"]
    web = Web(OK)
    with Server(web, tls=tls(path)) as server:
        transport = transport_to(server, context=create_default_context(cafile=path))
        transport.send(b"1", DEADLINE)
        transport.send(b"2", DEADLINE)
        assert server.has_accepted(1)
    assert web.bodies == [b"1", b"2"]


def test_a_certificate_of_nobody_or_of_another_is_not(sending, certificates, caplog):
    web = Web(OK)
    mine, other = certificates["IP:127.0.0.1"], certificates["DNS:elsewhere.test"]
    with Server(web, tls=tls(mine)) as server, pytest.raises(Unavailable, match="self-signed"):
        sending(server)
    trusting = create_default_context(cafile=other)
    with (
        caplog.at_level(logging.INFO),
        Server(web, tls=tls(other)) as server,
        pytest.raises(Unavailable, match="IP address mismatch"),
    ):
        sending(server, context=trusting)
    assert web.requests == []
    assert caplog.text == ""


def test_http_where_tls_is_expected_and_the_reverse_are_unavailable(sending, certificates):
    web = Web(OK)
    path = certificates["IP:127.0.0.1"]
    with Server(saying(response(400, b"what?"))) as server, pytest.raises(Unavailable, match="SSL"):
        sending(server.url.replace("http:", "https:"))
    with Server(web, tls=tls(path)) as server, pytest.raises(Unavailable):
        sending(server.url.replace("https:", "http:"))
    assert web.requests == []


def test_a_handshake_that_never_ends_is_given_up_on_time(sending, time_is_up):
    def send() -> None:
        with pytest.raises(Unavailable, match="no answer within"):
            sending(server.url.replace("http:", "https:"))

    for handler in (silent, dripping(b"\x16\x03\x03\x40\x00")):
        with Server(accepted(time_is_up, handler)) as server:
            ended(send)
        time_is_up.clear()


def test_a_silent_server_behind_tls_is_given_up_on_time(sending, certificates, time_is_up):
    path = certificates["IP:127.0.0.1"]

    def send() -> None:
        with pytest.raises(Unavailable, match="no answer within"):
            sending(server, context=create_default_context(cafile=path))

    for handler in (silent, dripping(b"HTTP/1.1 2")):
        with Server(accepted(time_is_up, handler), tls=tls(path)) as server:
            ended(send)
        time_is_up.clear()
