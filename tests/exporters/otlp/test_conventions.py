"""Names are those of OpenTelemetry's semantic conventions, so that its dashboards find them."""

import importlib
import pkgutil

import pytest
from opentelemetry.semconv import _incubating, attributes

from metrics import Registry
from metrics.exporters.otlp._conventions import ATTRIBUTES, DOTTED, attribute_name, metric_name
from tests.exporters.otlp.reading import labels, metrics_of


def registered() -> set[str]:
    """Return the names of all attributes of the conventions."""
    packages = attributes, importlib.import_module(f"{_incubating.__name__}.attributes")
    return {
        value
        for package in packages
        for module in pkgutil.iter_modules(package.__path__)
        for value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).values()
        if isinstance(value, str)
    }


def test_every_attribute_is_one_of_the_conventions():
    assert set(ATTRIBUTES.split()) <= registered()
    assert len(DOTTED) == len(ATTRIBUTES.split())


@pytest.mark.parametrize(
    ("label", "attribute"),
    [
        ("http_route", "http.route"),
        ("http_response_status_code", "http.response.status_code"),
        ("http_request_method_original", "http.request.method_original"),
        ("error_type", "error.type"),
        ("server_address", "server.address"),
        ("db_system_name", "db.system.name"),
        ("http.route", "http.route"),
        ("method", "method"),
        ("http_user", "http_user"),
        ("", ""),
    ],
)
def test_a_label_of_the_conventions_is_their_attribute(label: str, attribute: str):
    assert attribute_name(label) == attribute


@pytest.mark.parametrize(
    ("name", "number", "metric"),
    [
        ("http/server/request/duration", 1, "http.server.request.duration"),
        ("http/server/active_requests", 1, "http.server.active_requests"),
        ("http.server.request.duration", 1, "http.server.request.duration"),
        ("a/b", 2, "a.b_2"),
        ("a", 1, "a"),
    ],
)
def test_a_name_has_dots(name: str, number: int, metric: str):
    assert metric_name(name, number) == metric


def test_a_request_is_measured_as_the_conventions_have_it():
    registry = Registry()
    names = "http_request_method", "http_route", "http_response_status_code"
    duration = registry.timers("http/server/request/duration", labels=names)
    duration.labels("GET", "/users/{id}", 200).update(0.1)
    active = registry.updown_counters(
        "http/server/active_requests", labels=("http_request_method",), unit="requests"
    )
    active.labels("GET").inc()
    found = {metric.name: metric for metric in metrics_of(registry)}
    metric = found["http.server.request.duration"]
    assert metric.unit == "s"
    (point,) = metric.histogram.data_points
    assert labels(point) == {
        "http.request.method": "GET",
        "http.route": "/users/{id}",
        "http.response.status_code": "200",
    }
    assert point.explicit_bounds
    metric = found["http.server.active_requests"]
    assert metric.unit == "{request}"
    assert labels(metric.sum.data_points[0]) == {"http.request.method": "GET"}
