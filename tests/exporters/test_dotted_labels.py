"""Label names with dots: formats that have no dots write underscores."""

import cramjam
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from metrics import Registry
from metrics.exporters import (
    graphite,
    influx,
    openmetrics,
    opentsdb,
    otlp,
    prometheus,
    remote_write,
    statsd,
)
from metrics.testing import ManualClock


@pytest.fixture
def registry() -> Registry:
    registry = Registry(clock=ManualClock(), labels={"service.name": "shop"})
    registry.counters("hits", ("http.route",)).labels("/x").inc()
    registry.bucket_histograms("took", ("http.route",), (1,)).labels("/x").update(0.5)
    registry.timers("timed", ("http.route",), sampled=True).labels("/x").update(0.5)
    registry.infos("build", ("http.route",)).labels("/x").set({"git.commit": "1a"})
    return registry


@pytest.mark.parametrize("page", [prometheus.render, openmetrics.render])
def test_a_page_has_underscores_unless_its_scraper_accepts_dots(registry, page):
    pairs = 'service_name="shop",http_route="/x"'
    text = page(registry).decode()
    for sample in (
        "hits_total{%s}",
        'took_bucket{%s,le="1.0"}',
        "took_sum{%s}",
        "timed_per_second{",
    ):
        assert sample.replace("%s", pairs) in text
    assert f'build_info{{{pairs},git_commit="1a"}} 1' in text
    assert "service.name" not in text
    assert "http.route" not in text
    text = page(registry, escaping="allow-utf-8").decode()
    assert 'hits_total{"service.name"="shop","http.route"="/x"} 1' in text
    assert 'took_bucket{"service.name"="shop","http.route"="/x",le="1.0"} 1' in text
    assert "service_dot_name" in page(registry, escaping="dots").decode()


def test_the_dialect_of_go_ethereum_has_underscores(registry):
    text = prometheus.render(registry, dialect="go-ethereum").decode()
    assert 'hits {service_name="shop", http_route="/x"} 1' in text
    assert "service.name" not in text
    assert "http.route" not in text


def test_remote_write_has_underscores(registry):
    request = remote_write.render(registry, timestamp_ns=0)
    text = bytes(cramjam.snappy.decompress_raw(request))
    assert b"service_name" in text
    assert b"http_route" in text
    assert b"service.name" not in text
    assert b"http.route" not in text


def test_the_attributes_of_otlp_have_dots(registry):
    request = ExportMetricsServiceRequest.FromString(otlp.render(registry, timestamp_ns=1))
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    hits = next(metric for metric in metrics if metric.name == "hits")
    assert {one.key for one in hits.sum.data_points[0].attributes} == {"service.name", "http.route"}


def test_formats_with_tags_keep_dots(registry):
    for page in (
        graphite.render(registry, timestamp_ns=0),
        influx.render(registry, timestamp_ns=0),
        opentsdb.render(registry, host="a", timestamp_ns=0),
    ):
        assert b"http.route=/x" in page
        assert b"service.name=shop" in page
    page = statsd.render(registry, deltas=statsd.Deltas(), dialect="dogstatsd")
    assert b"http.route:/x,service.name:shop" in page


def test_a_path_of_nodes_has_underscores(registry):
    page = statsd.render(registry, deltas=statsd.Deltas())
    assert b"hits.service_name.shop.http_route._x:1" in page


def test_labels_that_a_format_adds_as_they_are_have_no_dots(registry):
    with pytest.raises(ValueError, match=r"label name 'a\.b' is malformed"):
        remote_write.render(registry, timestamp_ns=0, labels={"a.b": "x"})
    with pytest.raises(ValueError, match=r"label name 'a\.b' is malformed"):
        registry.counter("x").inc(exemplar={"a.b": "x"})
