import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters import openmetrics, prometheus
from metrics.integrations._serving.negotiation import (
    FORMATS,
    accepts_gzip,
    negotiate,
    prefers_html,
)

OM = "application/openmetrics-text"

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

# As `scrape/scrape.go` and `config/config.go` of these versions of Prometheus write them.
PROMETHEUS_2_42 = (
    f"{OM};version=1.0.0,{OM};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_2_42_PROTOBUF = (
    f"{PROTOBUF},{OM};version=1.0.0;q=0.8,{OM};version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3_0 = (
    f"{OM};version=1.0.0;escaping=allow-utf-8;q=0.6,{OM};version=0.0.1;escaping=allow-utf-8;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;escaping=allow-utf-8;q=0.3,*/*;q=0.2"
)
PROMETHEUS_3_0_LEGACY = (
    f"{OM};version=1.0.0;q=0.6,{OM};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


def prometheus_3_5(escaping: str) -> str:
    return (
        f"{OM};version=1.0.0;escaping={escaping};q=0.6,{OM};version=0.0.1;q=0.5,"
        f"text/plain;version=1.0.0;escaping={escaping};q=0.4,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )


PROMETHEUS_3_5_PROTOBUF = (
    f"{PROTOBUF};q=0.6,{OM};version=1.0.0;escaping=allow-utf-8;q=0.5,{OM};version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_5_TEXT = (
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4"
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

TEXT_0 = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1 = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
OM_0 = f"{OM}; version=0.0.1; charset=utf-8"
OM_1 = f"{OM}; version=1.0.0; charset=utf-8"
OM_1_ESCAPED = f"{OM_1}; escaping=underscores"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT_0),
        ("*/*", TEXT_0),
        (BROWSER, TEXT_0),
        ("application/json", TEXT_0),
        (OM, OM_1),
        (f"{OM};version=1.0.0", OM_1),
        (f"{OM.upper()}; VERSION=1.0.0", OM_1),
        (f'{OM};version="1.0.0";charset=utf-8', OM_1),
        (f"{OM};version=1.0.0;escaping=underscores", OM_1_ESCAPED),
        (f"{OM};version=1.0.0;escaping=nonsense", OM_1_ESCAPED),
        (f"{OM};version=0.0.1", OM_0),
        (f"{OM};version=0.0.1;escaping=underscores", f"{OM_0}; escaping=underscores"),
        (f"{OM};version=0.0.1, {OM};version=1.0.0", OM_1),
        (f"{OM};version=0.0.1, {OM};version=1.0.0;q=0.9", OM_0),
        (f"{OM};version=99.0.0", TEXT_0),
        (f"{OM};version=99.0.0,text/plain", TEXT_0),
        (f"{OM};version=99.0.0,{OM};version=1.0.0;q=0.1", OM_1),
        ("text/plain;version=0.0.4", TEXT_0),
        ("text/plain;version=1.0.0", TEXT_1),
        ("text/plain;version=1.0.0;escaping=underscores", TEXT_1),
        ("text/plain;version=1.0.0,text/plain;version=0.0.4", TEXT_1),
        ("text/plain;version=1.0.0;q=0.1,text/plain;version=0.0.4", TEXT_0),
        ("text/plain;version=99.0.0", TEXT_0),
        (PROMETHEUS_2_42, OM_1),
        (PROMETHEUS_2_42_PROTOBUF, OM_1),
        (PROMETHEUS_3_0, f"{OM_1}; escaping=allow-utf-8"),
        (PROMETHEUS_3_0_LEGACY, OM_1),
        (prometheus_3_5("allow-utf-8"), f"{OM_1}; escaping=allow-utf-8"),
        (prometheus_3_5("underscores"), OM_1_ESCAPED),
        (prometheus_3_5("dots"), f"{OM_1}; escaping=dots"),
        (prometheus_3_5("values"), f"{OM_1}; escaping=values"),
        (PROMETHEUS_3_5_PROTOBUF, f"{OM_1}; escaping=allow-utf-8"),
        (PROMETHEUS_3_5_TEXT, "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", TEXT_0),
        (f"{OM};q=0.4, text/plain;q=0.5", TEXT_0),
        (f"{OM};q=0.5, text/plain;q=0.4", OM_1),
        (f"{OM};q=0.5, text/plain;q=0.5", OM_1),
        (f"{OM};q=0.5, */*;q=0.5", OM_1),
        (f"text/plain;q=0.5, {OM};q=0.5", OM_1),
        ("text/plain, */*", TEXT_0),
        ("text/plain;q=0.5, */*", OM_1),
        ("application/*", OM_1),
        ("application/*;q=0.5, text/*", TEXT_0),
        (f"{OM};q=0", TEXT_0),
        (f"{OM};q=0, */*", TEXT_0),
        (f"{OM};q=0, text/plain;q=0", TEXT_0),
        ("text/plain;q=0, */*", OM_1),
        (f"{OM};q=0.0, application/*;q=1", TEXT_0),
        (f",, {OM} ,", OM_1),
        (f"{OM};q=2", TEXT_0),
        (f"{OM};q=-1", TEXT_0),
        (f"{OM};q=nan", TEXT_0),
        (f"{OM};q=", TEXT_0),
        (f"{OM} text/plain", TEXT_0),
        (f"{OM}, text/plain;q=x", TEXT_0),
        (f"{OM}, /", TEXT_0),
    ],
)
def test_a_client_gets_the_format_that_it_prefers(accept: str, content_type):
    assert negotiate(accept).content_type == content_type


def test_the_content_types_are_those_of_the_exporters():
    assert negotiate("").content_type == prometheus.CONTENT_TYPE
    assert negotiate(OM).content_type == openmetrics.CONTENT_TYPE


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (f"{OM};", OM_1),
        (f"{OM};version=1.0.0;", OM_1),
        (f"{OM};;version=0.0.1; ;", OM_0),
        ("text/plain;version=0.0.4;;charset=utf-8;", TEXT_0),
        ("text/plain;version=1.0.0;,*/*;q=0.1;", TEXT_1),
    ],
)
def test_empty_parameters_are_ignored(accept: str, content_type):
    assert negotiate(accept).content_type == content_type


@pytest.mark.parametrize("scheme", ["underscores", "allow-utf-8", "dots", "values"])
def test_a_client_gets_the_escaping_scheme_that_it_requests(scheme: str):
    for media_type in (OM, "text/plain"):
        found = negotiate(f"{media_type};version=1.0.0;escaping={scheme}")
        assert found.escaping == scheme
        expected = f"{media_type}; version=1.0.0; charset=utf-8; escaping={scheme}"
        assert found.content_type == expected
    # One scheme for each range.
    accept = f"{OM};version=1.0.0;escaping=values;q=0.1,text/plain;version=1.0.0;escaping={scheme}"
    assert negotiate(accept) == ("text/plain", "1.0.0", scheme)


@pytest.mark.parametrize("scheme", ["allow-utf-8", "dots", "values"])
def test_the_content_type_of_a_scheme_is_that_of_its_exporter(scheme: str):
    for exporter in (prometheus, openmetrics):
        expected = exporter.content_type(scheme)
        assert negotiate(expected.replace("; charset=utf-8", "")).content_type == expected


def test_formats_before_1_0_0_have_no_names_of_other_characters():
    assert negotiate("text/plain;version=0.0.4;escaping=allow-utf-8").content_type == TEXT_0
    assert negotiate(f"{OM};version=0.0.1;escaping=allow-utf-8").content_type == OM_0


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("text/*", False),
        (BROWSER, True),
        ("text/html", True),
        ("text/html;q=0.9;", True),
        ("text/html;q=0, */*", False),
        ("text/html;q=0.5, text/plain", False),
        (f"text/html;q=0.5, {OM};version=1.0.0", False),
        ("text/html, text/plain", True),
        ("text/html;q=x", False),
        (PROMETHEUS_3_0, False),
        (prometheus_3_5("allow-utf-8"), False),
    ],
)
def test_only_clients_that_name_html_and_prefer_no_page_are_browsers(accept: str, html):
    assert prefers_html(accept) is html


@pytest.mark.parametrize(
    ("header", "gzip"),
    [
        ("", False),
        ("gzip", True),
        ("gzip;", True),
        ("GZip", True),
        ("x-gzip", True),
        ("deflate, gzip, br, zstd", True),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("gzip;q=0.5", True),
        ("gzip;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("gzip;q=0.2, *;q=0.5", False),
        ("*", True),
        ("*;q=0", False),
        ("gzip, *;q=0", True),
        ("identity", False),
        ("identity;q=0", True),
        ("identity;q=0, gzip;q=0", False),
        ("identity;q=0, *;q=0", False),
        ("identity;q=0.5, *;q=0.5", True),
        ("identity;q=1, *;q=0.5", False),
        ("gzip;q=x", False),
        ("gzip;level=", False),
        ("gzip deflate", False),
    ],
)
def test_gzip_is_for_clients_that_accept_it_and_do_not_prefer_none(header: str, gzip):
    assert accepts_gzip(header) is gzip


@given(st.text(), st.text('*/;=,.q01 "gzip-ncodetxl'))
def test_no_header_is_an_error(anything: str, nearly: str):
    for header in (anything, nearly):
        assert negotiate(header)[:2] in [one[:2] for one in FORMATS]
        assert prefers_html(header) in {True, False}
        assert accepts_gzip(header) in {True, False}


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_greater_quality_wins(openmetrics: int, text: int):
    accept = f"{OM};q={openmetrics / 1000}, text/plain;version=0.0.4;q={text / 1000}"
    expected = OM_1 if openmetrics >= text and openmetrics > 0 else TEXT_0
    assert negotiate(accept).content_type == expected
