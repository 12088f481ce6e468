import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.integrations._negotiation import accepts_gzip, prefers_openmetrics

OM = "application/openmetrics-text"

PROMETHEUS_2 = (
    f"{OM};version=1.0.0;q=0.8,{OM};version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
    f"encoding=delimited;q=0.6,{OM};version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        (OM, True),
        (f"{OM};version=1.0.0", True),
        (f"{OM.upper()}; VERSION=1.0.0", True),
        (f'{OM};version="1.0.0";charset=utf-8', True),
        (f"{OM};version=1.0.0;escaping=allow-utf-8", True),
        (f"{OM};version=99.0.0", False),
        (f"{OM};version=0.0.1", False),
        (f"{OM};version=99.0.0,text/plain", False),
        (f"{OM};version=99.0.0,{OM};version=1.0.0;q=0.1", True),
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", False),
        (f"{OM};q=0.4, text/plain;q=0.5", False),
        (f"{OM};q=0.5, text/plain;q=0.4", True),
        (f"{OM};q=0.5, text/plain;q=0.5", True),
        (f"{OM};q=0.5, */*;q=0.5", True),
        (f"text/plain;q=0.5, {OM};q=0.5", True),
        ("text/plain, */*", False),
        ("text/plain;q=0.5, */*", True),
        ("application/*", True),
        ("application/*;q=0.5, text/*", False),
        (f"{OM};q=0", False),
        (f"{OM};q=0, */*", False),
        (f"{OM};q=0, text/plain;q=0", False),
        ("text/plain;q=0, */*", True),
        (f"{OM};q=0.0, application/*;q=1", False),
        (f",, {OM} ,", True),
        (f"{OM};q=2", False),
        (f"{OM};q=-1", False),
        (f"{OM};q=nan", False),
        (f"{OM};q=", False),
        (f"{OM};", False),
        (f"{OM} text/plain", False),
        (f"{OM}, text/plain;q=x", False),
        (f"{OM}, /", False),
    ],
)
def test_the_page_is_openmetrics_only_for_who_likes_it_better(accept: str, openmetrics):
    assert prefers_openmetrics(accept) is openmetrics


@pytest.mark.parametrize(
    ("header", "gzip"),
    [
        ("", False),
        ("gzip", True),
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
def test_gzip_is_for_who_accepts_it_and_does_not_like_none_better(header: str, gzip):
    assert accepts_gzip(header) is gzip


@given(st.text(), st.text('*/;=,.q01 "gzip-ncodetxl'))
def test_no_header_is_an_error(anything: str, nearly: str):
    for header in (anything, nearly):
        assert prefers_openmetrics(header) in {True, False}
        assert accepts_gzip(header) in {True, False}


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_greater_quality_wins(openmetrics: int, text: int):
    accept = f"{OM};q={openmetrics / 1000}, text/plain;version=0.0.4;q={text / 1000}"
    assert prefers_openmetrics(accept) is (openmetrics >= text and openmetrics > 0)
