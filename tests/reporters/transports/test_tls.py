"""A client trusts the configured certificates and shows its own; wrong files are one clear line."""

import ssl
import subprocess
from pathlib import Path

import pytest

from metrics.reporters._transports.tls import client_context
from metrics.reporters._transports.transport import Unavailable
from tests.reporters.servers import Server, Web, certificate, response, tls
from tests.reporters.waiting import DEADLINE

OK = response(204)


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("IP:127.0.0.1", "DNS:client.test", "DNS:other.test"):
        path = certificate(folder, name)
        # The certificate alone, beside its key.
        pem = path.read_text()
        end = "-----END CERTIFICATE-----\n"
        path.with_suffix(".crt").write_text(pem[: pem.index(end) + len(end)])
    key = str(folder / "DNS:client.test.key")
    subprocess.run(
        ["openssl", "pkey", "-aes256", "-passout", "pass:x", "-in", key, "-out", f"{key}.locked"],
        check=True,
        capture_output=True,
    )
    (folder / "empty.pem").touch()
    return folder


@pytest.fixture
def demanding(folder):
    """A server that demands the certificate of `client.test`."""
    settings = tls(folder / "IP:127.0.0.1.pem")
    settings.verify_mode = ssl.CERT_REQUIRED
    settings.load_verify_locations(folder / "DNS:client.test.crt")
    web = Web(OK)
    with Server(web, tls=settings) as server:
        yield server, web


@pytest.mark.parametrize(
    ("cert", "key"),
    [("DNS:client.test.pem", None), ("DNS:client.test.crt", "DNS:client.test.key")],
    ids=["one file", "two files"],
)
def test_a_client_shows_its_certificate(transport_to, folder, demanding, cert, key):
    server, web = demanding
    context = client_context(
        str(folder / "IP:127.0.0.1.crt"), str(folder / cert), key and str(folder / key)
    )
    transport = transport_to(server, context=context)
    transport.send(b"1", DEADLINE)
    transport.send(b"2", DEADLINE)
    assert web.bodies == [b"1", b"2"]


@pytest.mark.parametrize("cert", [None, "DNS:other.test.pem"])
def test_a_client_without_the_right_certificate_is_not_served(sending, folder, demanding, cert):
    server, web = demanding
    context = client_context(str(folder / "IP:127.0.0.1.crt"), cert and str(folder / cert))
    with pytest.raises(Unavailable):
        sending(server, context=context)
    assert web.requests == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"ca_file": "no"}, r"^invalid ca_file '.*/no': No such file or directory; use"),
        ({"ca_file": "empty.pem"}, r"^invalid ca_file '.*/empty\.pem': .*; use the path of a read"),
        ({"ca_file": "."}, r"^invalid ca_file '.*': Is a directory; use"),
        ({"client_cert": "no"}, r"^invalid client_cert '.*/no': No such file or directory; use"),
        ({"client_cert": "empty.pem"}, r"^invalid client_cert '.*/empty\.pem': "),
        (
            {"client_cert": "DNS:client.test.crt"},
            r"^invalid client_cert .* certificate and its key",
        ),
        (
            {"client_cert": "DNS:client.test.crt", "client_key": "no"},
            r"^invalid client_key '.*/no': No such file",
        ),
        (
            {"client_cert": "DNS:client.test.crt", "client_key": "empty.pem"},
            r"^invalid client_cert .* with client_key '.*/empty\.pem': ",
        ),
        (
            {"client_cert": "DNS:client.test.crt", "client_key": "DNS:other.test.key"},
            r"^invalid client_cert .* with client_key .*mismatch.*; use the PEM files of a cert",
        ),
        (
            {"client_cert": "DNS:client.test.crt", "client_key": "DNS:client.test.key.locked"},
            r"^invalid client_key '.*locked': the key is encrypted; decrypt it",
        ),
        ({"client_key": "DNS:client.test.key"}, r"^invalid client_key .* without client_cert"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_the_option(folder, files, message):
    with pytest.raises(ValueError, match=message) as caught:
        client_context(**{option: str(folder / name) for option, name in files.items()})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("option", ["ca_file", "client_cert"])
def test_a_path_is_text(option):
    with pytest.raises(TypeError, match=f"invalid {option} 5: use a str"):
        client_context(**{option: 5})


@pytest.mark.parametrize("trust_env", [False, True])
def test_certificates_of_the_environment_are_trusted_on_request(
    transport_to, folder, monkeypatch, trust_env
):
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "IP:127.0.0.1.crt"))
    with Server(Web(OK), tls=tls(folder / "IP:127.0.0.1.pem")) as server:
        transport = transport_to(server, context=client_context(trust_env=trust_env))
        if trust_env:
            transport.send(b"", DEADLINE)
        else:
            with pytest.raises(Unavailable, match="self-signed"):
                transport.send(b"", DEADLINE)


def test_without_options_no_environment_is_used(sending, folder, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "IP:127.0.0.1.crt"))
    with (
        Server(Web(OK), tls=tls(folder / "IP:127.0.0.1.pem")) as server,
        pytest.raises(Unavailable, match="self-signed"),
    ):
        sending(server)


def test_the_certificates_of_the_system_are_trusted(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    context, default = client_context(), ssl.create_default_context()
    assert context.verify_mode == default.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.get_ca_certs() == default.get_ca_certs()
