"""A wrong configuration is an error at start that names the option and shows no secret."""

from collections.abc import Callable
from typing import Any

import pytest

from metrics import Registry
from metrics.reporters import graphite, influxdb, opentsdb

SECRET = "s3cret"

URL = "http://127.0.0.1:8086"

V1 = {"url": URL, "database": "db"}

V2 = {"url": URL, "token": SECRET, "org": "o", "bucket": "b"}

COMMON: list[tuple[str, Any]] = [
    ("tags", ["a"]),
    ("tags", {"a": 1}),
    ("tags", {"": "a"}),
    ("duration_unit", "ms"),
    ("interval", "soon"),
    ("interval", 0),
    ("timeout", -1),
    ("timeout", "5 s"),
    ("connect_timeout", 0),
    ("connect_timeout", "1x"),
    ("buffered", 0),
    ("name", ""),
    ("bogus", 1),
]

OVER_HTTP: list[tuple[str, Any]] = [
    ("url", None),
    ("url", ""),
    ("url", "localhost:8086"),
    ("url", f"http://user:{SECRET}@127.0.0.1"),
    ("url", f"{URL}/?p={SECRET}#x"),
    ("compress", "no"),
    ("ca_file", "/not/there"),
    ("client_cert", "/not/there"),
    ("client_key", "/not/there"),
    ("proxy", f"user:{SECRET}@127.0.0.1"),
    ("proxy", f"http://user:{SECRET}@127.0.0.1/?p={SECRET}"),
    ("trust_env", "perhaps"),
]

OVER_TCP: list[tuple[str, Any]] = [
    ("host", ""),
    ("host", 5),
    ("host", "http://localhost"),
    ("port", 0),
    ("port", "2003"),
    ("port", 65536),
    ("compress", True),
]

BASIC: list[tuple[str, Any]] = [
    ("password", 5),
    ("password", f"{SECRET}\n"),
    ("password", ""),
]


def names_it(hook: Callable[..., Any], option: str, options: dict[str, Any]) -> None:
    with (
        pytest.raises((TypeError, ValueError), match=option) as caught,
        hook(Registry(), **options),
    ):
        pass
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *COMMON,
        *OVER_HTTP,
        ("database", None),
        ("database", ""),
        ("database", 5),
        ("database", "db\n"),
        ("retention_policy", 5),
        ("namespace", 5),
    ],
    ids=repr,
)
def test_influxdb_1_names_the_option(option, value):
    names_it(influxdb.v1, option, {**V1, option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *COMMON,
        *OVER_HTTP,
        ("namespace", 5),
        *[(option, value) for option in ("token", "org", "bucket") for value in (None, "", 5)],
        ("token", f"{SECRET}\n"),
        ("token", f"{SECRET}é"),
    ],
    ids=repr,
)
def test_influxdb_2_names_the_option(option, value):
    names_it(influxdb.v2, option, {**V2, option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [*COMMON, *OVER_TCP, ("prefix", 5), ("label_style", "x")],
    ids=repr,
)
def test_graphite_names_the_option(option, value):
    names_it(graphite.tcp, option, {"host": "localhost", option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [*COMMON, *OVER_TCP, ("prefix", 5), ("host_tag", ""), ("host_tag", 5)],
    ids=repr,
)
def test_opentsdb_by_telnet_names_the_option(option, value):
    names_it(opentsdb.tcp, option, {"host": "localhost", option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *COMMON,
        *OVER_HTTP,
        ("prefix", 5),
        ("host_tag", ""),
        ("host_tag", 5),
        ("batch", 0),
        ("batch", "5"),
    ],
    ids=repr,
)
def test_opentsdb_over_http_names_the_option(option, value):
    names_it(opentsdb.http, option, {"url": URL, option: value})


@pytest.mark.parametrize(("option", "value"), BASIC, ids=repr)
def test_what_takes_a_password_names_it(option, value):
    names_it(influxdb.v1, option, {**V1, "username": "u", option: value})
    names_it(opentsdb.http, option, {"url": URL, "username": "u", option: value})


def test_a_password_without_a_user_name_is_an_error():
    names_it(influxdb.v1, "username", {**V1, "password": SECRET})
