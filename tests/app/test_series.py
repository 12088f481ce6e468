"""Pages of either format become series; malformed ones become one error."""

from contextlib import suppress
from math import inf, isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Enum,
    Gauge,
    Histogram,
    Info,
    Summary,
    exposition,
)
from prometheus_client.openmetrics import exposition as openmetrics

from app.endpoint import EndpointError, ScrapedPage
from app.series import QUANTILES, histogram_quantile, matches, parse

HOSTILE = 'x"\\\n\x1b[31m'


def registry() -> CollectorRegistry:
    found = CollectorRegistry()
    Counter("jobs", "Jobs done", ["queue"], registry=found).labels(HOSTILE).inc(3)
    Gauge("memory_bytes", "Memory", registry=found).set(2048)
    durations = Histogram("wait_seconds", "Waits", ["kind"], registry=found, buckets=(1, 2, 4))
    for value in (0.5, 1.5, 1.5, 3.0):
        durations.labels("a").observe(value)
    Summary("size_bytes", "Sizes", registry=found).observe(10)
    Info("build", "Build", registry=found).info({"version": "1"})
    Enum("state", "State", registry=found, states=["on", "off"]).state("on")
    return found


@pytest.fixture(params=["text", "OpenMetrics"])
def page(request) -> ScrapedPage:
    if request.param == "text":
        return ScrapedPage(exposition.generate_latest(registry()).decode())
    return ScrapedPage(openmetrics.generate_latest(registry()).decode(), openmetrics=True)


def by_name(page: ScrapedPage) -> dict:
    return {series.name: series for series in parse(page)}


def test_both_formats_have_the_same_series(page):
    found = by_name(page)
    jobs = found["jobs_total"]
    assert (jobs.family.kind, jobs.value, jobs.labels) == ("counter", 3, (("queue", HOSTILE),))
    assert jobs.family.help == "Jobs done"
    assert jobs.title == r'jobs_total{queue="x\"\\\n\x1b[31m"}'
    assert (found["memory_bytes"].value, found["memory_bytes"].family.unit) == (2048, "bytes")
    assert found["build_info"].labels == (("version", "1"),)
    assert [series.value for series in parse(page) if series.name == "state"] == [1, 0]


def test_a_histogram_is_one_series_with_its_quantiles(page):
    waits = by_name(page)["wait_seconds"]
    assert (waits.labels, waits.value, waits.total) == ((("kind", "a"),), 4, 6.5)
    assert waits.buckets == ((1.0, 1.0), (2.0, 3.0), (4.0, 4.0), (inf, 4.0))
    assert waits.quantiles() == pytest.approx([1.5, 3.6, 3.92])
    assert waits.mean == 6.5 / 4
    assert waits.is_distribution
    assert waits.is_cumulative


def test_a_summary_has_its_own_quantiles():
    text = '# TYPE s summary\ns{quantile="0.5"} 2\ns{quantile="0.99"} 9\ns_count 4\ns_sum 12\n'
    (series,) = parse(ScrapedPage(text))
    assert (series.value, series.total, series.mean) == (4, 12, 3)
    half, most, last = series.quantiles()
    assert (half, last) == (2, 9)
    assert isnan(most)


def test_a_histogram_of_gauges_may_shrink():
    text = '# TYPE g gaugehistogram\ng_bucket{le="1"} 1\ng_bucket{le="+Inf"} 3\n'
    text += "g_gcount 3\ng_gsum 5\n# EOF\n"
    (series,) = parse(ScrapedPage(text, openmetrics=True))
    assert (series.value, series.total) == (3, 5)
    assert not series.is_cumulative


def test_openmetrics_start_times_are_no_series():
    text = "# TYPE c counter\nc_total 1\nc_created 1.7e9\n# EOF\n"
    assert [series.name for series in parse(ScrapedPage(text, openmetrics=True))] == ["c_total"]


def test_an_untyped_series_without_a_unit_is_a_number():
    (series,) = parse(ScrapedPage("up 1\n"))
    assert (series.family.kind, series.family.unit) == ("unknown", "")
    assert not series.is_cumulative


def test_a_page_without_series_is_a_page():
    assert parse(ScrapedPage("")) == []


@pytest.mark.parametrize(
    "text",
    [
        "<html><body>Hello</body></html>",
        "hello",
        '{"json": [1, 2]}',
        "\x00\x01\x02",
        "a 1\nb",
        '# TYPE h histogram\nh_bucket{le="x"} 1\n',
        "# TYPE a\x1b[31m foo\na 1\n",
    ],
)
@pytest.mark.parametrize("is_openmetrics", [False, True])
def test_garbage_is_one_printable_line(text, is_openmetrics):
    with pytest.raises(EndpointError, match=r"^the page is not in ") as raised:
        parse(ScrapedPage(text, is_openmetrics))
    assert str(raised.value).isprintable()


PIECES = st.sampled_from(
    ["# TYPE ", "# HELP ", "# UNIT ", "# EOF", "histogram", "summary", "counter", "a", "a_bucket",
     "a_total", "a_count", "{", "}", 'le="1"', 'le="+Inf"', 'quantile="0.5"', ",", "=", '"', "\\",
     " ", "\n", "1", "-1", "NaN", "+Inf", "1e999", "9" * 400, "9" * 5000, "\x1b", "# {}", "\t"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join), st.booleans())
def test_every_page_has_series_or_an_error(text, is_openmetrics):
    found = []
    with suppress(EndpointError):
        found = parse(ScrapedPage(text, is_openmetrics))
    for series in found:
        assert series.title.isprintable()
        assert len(series.quantiles()) == len(QUANTILES)


@pytest.mark.parametrize(
    ("quantile", "buckets", "expected"),
    [
        # The examples are those of promql/testdata/histograms.test of Prometheus.
        (0.5, ((1.0, 50.0), (2.0, 100.0), (inf, 100.0)), 1.0),
        (0.8, ((0.1, 5.0), (0.2, 7.0), (1.0, 8.0), (inf, 12.0)), 1.0),
        (0.2, ((0.1, 5.0), (0.2, 7.0), (1.0, 8.0), (inf, 12.0)), 0.048),
        (0.5, ((0.1, 5.0), (0.2, 7.0), (1.0, 8.0), (inf, 12.0)), 0.15),
        (0.5, ((-0.2, 1.0), (-0.1, 2.0), (0.3, 4.0), (inf, 4.0)), -0.1),
        (0.2, ((-0.2, 1.0), (-0.1, 2.0), (0.3, 4.0), (inf, 4.0)), -0.2),
        (0.5, ((1.0, 0.0), (inf, 0.0)), nan),
        (0.5, ((1.0, 1.0), (2.0, 2.0)), nan),
        (0.5, ((inf, 3.0),), nan),
        (0.5, (), nan),
        (0.5, ((1.0, 3.0), (2.0, 2.0), (inf, 4.0)), 2 / 3),
        (0.5, ((1.0, nan), (inf, nan)), nan),
    ],
)
def test_quantiles_are_estimated_as_promql_does(quantile, buckets, expected):
    assert histogram_quantile(quantile, buckets) == pytest.approx(expected, nan_ok=True)


def test_quantiles_between_two_readings_are_of_the_observations_between_them():
    text = '# TYPE h histogram\nh_bucket{{le="1"}} {}\nh_bucket{{le="2"}} {}\n'
    text += 'h_bucket{{le="+Inf"}} {}\n'
    (before,) = parse(ScrapedPage(text.format(100, 100, 100)))
    (after,) = parse(ScrapedPage(text.format(100, 110, 110)))
    assert after.quantiles()[0] == pytest.approx(0.55)
    assert after.quantiles(before)[0] == pytest.approx(1.5)
    assert all(map(isnan, after.quantiles(after)))


def test_quantiles_of_other_buckets_are_those_of_all_observations():
    (before,) = parse(
        ScrapedPage('# TYPE h histogram\nh_bucket{le="5"} 1\nh_bucket{le="+Inf"} 1\n')
    )
    (after,) = parse(ScrapedPage('# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 2\n'))
    assert after.quantiles(before) == after.quantiles()


def test_words_are_found_in_names_and_labels():
    (series,) = parse(ScrapedPage('requests_total{route="/Search"} 1\n'))
    assert matches(series, "")
    assert matches(series, "search REQ")
    assert not matches(series, "search other")
