"""A wrong address is an error that names the option and repeats nothing private."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.reporters._transports.endpoint import Endpoint, checked_host, checked_port, endpoint_of

SECRET = "hunter2"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://localhost", Endpoint("http", "localhost", 80)),
        ("https://db.example.org/", Endpoint("https", "db.example.org", 443)),
        ("http://127.0.0.1:8086/base/", Endpoint("http", "127.0.0.1", 8086, "/base/")),
        ("HTTP://[::1]:9/a%20b", Endpoint("http", "::1", 9, "/a%20b")),
        ("http://h/write?db=x&p=a%40b", Endpoint("http", "h", 80, "/write", "db=x&p=a%40b")),
        ("http://h?a", Endpoint("http", "h", 80, "/", "a")),
        ('http://h/a"?b={}', Endpoint("http", "h", 80, "/a%22", "b=%7B%7D")),
    ],
)
def test_a_url_is_taken_apart(url, endpoint):
    assert endpoint_of(url) == endpoint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8086",
        "ftp://localhost",
        "http://",
        "http:///path",
        "http://:80",
        "http://[::1",
        "http://host:port",
        "http://host:0",
        "http://host:65536",
        "http://ho st",
        "http://host/a b",
        "http://host/\n",
        "http://host/ä",
        "http://a..b",
        f"http://{'a' * 64}.org",
        f"http://host/write#{SECRET}",
        f"http://host/write?token={SECRET}#x",
        f"http://host/write?token={SECRET}@",
        f"http://ho st/write?token={SECRET}",
        f"http://host/write?token={SECRET} ",
        f"ftp://host/write?token={SECRET}",
        f"http://user:{SECRET}@host",
        f"user:{SECRET}@host:8086",
        f"http//user:{SECRET}@host",
        f"http:/user:{SECRET}@host",
        f"http://user:{SECRET}@[::1",
        f"http://user:{SECRET}@ho\u2100st",
        f"http://user:#{SECRET}@host",
        f"http://user:?{SECRET}@host",
        f"http://user:/{SECRET}@host",
    ],
)
def test_a_wrong_url_is_an_error_that_names_the_option_and_no_secret(url):
    with pytest.raises(ValueError, match="url") as caught:
        endpoint_of(url)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_url_of_another_type_is_not_repeated():
    with pytest.raises(TypeError, match="invalid url of type bytes: use a str") as caught:
        endpoint_of(SECRET.encode())
    assert SECRET not in str(caught.value)


def test_the_error_names_another_option():
    with pytest.raises(ValueError, match="invalid proxy 'x': use an http or https URL"):
        endpoint_of("x", "proxy")


def test_a_path_that_the_url_ends_with_is_not_repeated():
    for url in ("http://h/api/write", "http://h/api/write/", "http://h/api", "http://h/api/"):
        assert endpoint_of(url).at("/write").path == "/api/write"


def test_parameters_of_the_url_are_kept_unless_the_reporter_has_its_own():
    base = endpoint_of("https://h/write?db=x&precision=s&p=a%2Fb&flag&rp=")
    assert base.at("/write").target == "/write?db=x&precision=s&p=a%2Fb&flag&rp="
    merged = base.at("/write", {"db": "y", "rp": "z", "u": ""})
    assert merged.target == "/write?precision=s&p=a%2Fb&flag&db=y&rp=z"


def test_values_of_the_query_are_secret_unless_they_are_known_to_be_public():
    endpoint = endpoint_of("http://h?db=shop&u=me&precision=s&p=a%2Fb&api_key=k+1&flag")
    assert set(endpoint.secrets) - {""} == {"a%2Fb", "a/b", "k+1", "k 1"}


def test_paths_and_parameters_are_put_behind_it():
    base = endpoint_of("http://localhost:8086/base/")
    write = base.at("/write", {"db": "a b/ä", "empty": "", "u": "x&y"})
    assert write.target == "/base/write?db=a%20b%2F%C3%A4&u=x%26y"
    assert base.at("/ping").target == "/base/ping"


def test_its_text_has_no_query():
    endpoint = endpoint_of("http://[::1]:80").at("/write", {"p": SECRET})
    assert str(endpoint) == "http://[::1]:80/write"
    assert repr(endpoint) == "<Endpoint http://[::1]:80/write>"


@pytest.mark.parametrize("host", ["", "a b", "a/b", "a..b", "a" * 64, "ä", "a\n"])
def test_a_host_that_cannot_be_is_named(host):
    with pytest.raises(ValueError, match="host"):
        checked_host("host", host)


@pytest.mark.parametrize("host", ["localhost", "::1", "127.0.0.1", "db.example.org."])
def test_a_host_that_can_be_is_taken(host):
    assert checked_host("host", host) == host


def test_ports_are_numbers_in_a_range():
    assert checked_port("port", 65535) == 65535
    for port in (0, -1, 65536):
        with pytest.raises(ValueError, match=r"invalid port .*: use a number from 1 to 65535"):
            checked_port("port", port)
    with pytest.raises(TypeError, match="port"):
        checked_port("port", "80")


@given(st.text(max_size=30))
def test_any_text_is_an_endpoint_or_a_value_error(text):
    for url in (text, f"http://{text}"):
        try:
            endpoint = endpoint_of(url)
        except ValueError:
            continue
        assert endpoint.target.isascii()
        assert 0 < endpoint.port < 65536
        assert endpoint.host
