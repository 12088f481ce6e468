"""Requests hold attributes and metrics as the official classes read them."""

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Gauge, Metric, NumberDataPoint, Sum

from metrics.exporters.otlp._messages import ExportRequest, attribute, attributes, encodable
from tests.exporters.otlp.reading import metrics_in


@pytest.mark.parametrize(
    ("value", "kind", "read"),
    [
        ("a", "string_value", "a"),
        ("", "string_value", ""),
        (True, "bool_value", True),
        (3, "int_value", 3),
        (-(1 << 63), "int_value", -(1 << 63)),
        (1 << 63, "double_value", 2.0**63),
        (0.5, "double_value", 0.5),
    ],
)
def test_an_attribute_keeps_its_type(value, kind, read):
    pair = attribute("a", value)
    assert (pair.key, pair.value.WhichOneof("value")) == ("a", kind)
    assert getattr(pair.value, kind) == read


def test_no_two_attributes_have_one_name_and_none_is_empty():
    labels = (("http_route", "1"), ("http.route", "2"), ("", "3"), ("_", "4"))
    assert [(pair.key, pair.value.string_value) for pair in attributes(labels)] == [
        ("http.route", "1"),
        ("http.route_", "2"),
        ("_", "3"),
        ("__", "4"),
    ]


def test_half_a_surrogate_pair_is_a_question_mark():
    assert encodable("é\ud800") == "é?"


def test_a_request_joins_metrics_of_one_name_and_type():
    request = ExportRequest({}, "scope", "1")
    for value in (1, 2):
        point = NumberDataPoint(as_int=value)
        request.add(Metric(name="a", gauge=Gauge(data_points=[point])))
        request.add(Metric(name="a", sum=Sum(data_points=[point])))
    assert request.points == 4
    gauge, total = metrics_in(request.flush())
    assert [point.as_int for point in gauge.gauge.data_points] == [1, 2]
    assert [point.as_int for point in total.sum.data_points] == [1, 2]


def test_a_request_is_empty_after_it_was_taken():
    request = ExportRequest({"a": "b"}, "scope", "1")
    request.add(Metric(name="a", gauge=Gauge(data_points=[NumberDataPoint(as_int=1)])))
    request.flush()
    assert request.points == 0
    assert metrics_in(request.flush()) == []
