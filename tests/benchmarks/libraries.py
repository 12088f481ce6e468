"""The libraries that are compared, each as the same few things to make and to do with them."""

import socket
from abc import ABC
from importlib.util import find_spec
from time import perf_counter_ns
from typing import Any, ClassVar

from metrics import BucketHistogram, Counter, Gauge, Histogram, Meter, Registry, Timer
from metrics.exporters.prometheus import render
from metrics.instruments._buckets import DURATION_BOUNDS

LABELS = ("method", "status")


class Library(ABC):
    """One library with a registry of its own; what it does not have is not in its tables.

    `code` has the statement about `m` for each operation, and `make_<operation>` makes that `m`.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    importing: ClassVar[str] = ""
    code: ClassVar[dict[str, str]]

    def make(self, operation: str) -> Any:
        """Return what the statement of an operation is about."""
        return getattr(self, f"make_{operation}")()

    @classmethod
    def installed(cls) -> bool:
        return find_spec(cls.module) is not None


class Ours(Library):
    name = module = "metrics"
    importing = "from metrics import *"
    code: ClassVar[dict[str, str]] = {
        "count": "m.inc()",
        "mark": "m.mark()",
        "gauge": "m.set(1.5)",
        "reservoir": "m.update(0.3)",
        "buckets": "m.update(0.3)",
        "gauge_int": "m.set(2)",
        "maximum_int": "m.set_max(2)",
        "reservoir_int": "m.update(2)",
        "buckets_int": "m.update(2)",
        "timer_int": "m.update(2)",
        "labels": "m.labels('GET', '200').inc()",
        "keywords": "m.labels(method='GET', status='200').inc()",
        "block": "with m.time(): pass",
        "decorated": "m()",
    }

    def __init__(self) -> None:
        self.registry = Registry()
        self.make_mark = Meter
        self.make_gauge = self.make_gauge_int = self.make_maximum_int = Gauge
        self.make_block = self.make_timer_int = Timer

    def make_buckets(self) -> BucketHistogram:
        return BucketHistogram(DURATION_BOUNDS)

    make_buckets_int = make_buckets

    def make_count(self) -> Counter:
        return self.registry.counter("requests")

    def make_reservoir(self) -> Histogram:
        return filled(Histogram())

    make_reservoir_int = make_reservoir

    def make_labels(self) -> Any:
        return self.counters("requests")

    make_keywords = make_labels

    def make_decorated(self) -> Any:
        return self.make_block().timed(nothing)

    def counters(self, name: str) -> Any:
        return self.registry.counters(name, labels=LABELS)

    def histograms(self, name: str) -> Any:
        return self.registry.bucket_histograms(name, labels=LABELS, bounds=DURATION_BOUNDS)

    def count(self, family: Any, a: str, b: str) -> None:
        family.labels(a, b).inc()

    def observe(self, family: Any, a: str, b: str, value: float) -> None:
        family.labels(a, b).update(value)

    def page(self) -> object:
        return render(self.registry)


class PrometheusClient(Library):
    name = module = "prometheus_client"
    importing = "import prometheus_client"
    code: ClassVar[dict[str, str]] = {
        "count": "m.inc()",
        "mark": "m.inc()",
        "gauge": "m.set(1.5)",
        "reservoir": "m.observe(0.3)",
        "buckets": "m.observe(0.3)",
        "gauge_int": "m.set(2)",
        "reservoir_int": "m.observe(2)",
        "buckets_int": "m.observe(2)",
        "labels": "m.labels('GET', '200').inc()",
        "keywords": "m.labels(method='GET', status='200').inc()",
        "block": "with m.time(): pass",
        "decorated": "m()",
    }

    def __init__(self) -> None:
        import prometheus_client

        self.client = prometheus_client
        self.registry = prometheus_client.CollectorRegistry()

    def make_count(self) -> Any:
        return self.client.Counter("requests", "Requests.", registry=self.registry)

    def make_gauge(self) -> Any:
        return self.client.Gauge("queue", "Length.", registry=self.registry)

    def make_buckets(self) -> Any:
        return self.client.Histogram(
            "latency", "Latency.", registry=self.registry, buckets=DURATION_BOUNDS
        )

    make_mark = make_count
    make_gauge_int = make_gauge
    make_reservoir = make_reservoir_int = make_buckets_int = make_block = make_buckets

    def make_labels(self) -> Any:
        return self.counters("requests")

    make_keywords = make_labels

    def make_decorated(self) -> Any:
        return self.make_buckets().time()(nothing)

    def counters(self, name: str) -> Any:
        return self.client.Counter(name, name, LABELS, registry=self.registry)

    def histograms(self, name: str) -> Any:
        return self.client.Histogram(
            name, name, LABELS, registry=self.registry, buckets=DURATION_BOUNDS
        )

    def count(self, family: Any, a: str, b: str) -> None:
        family.labels(a, b).inc()

    def observe(self, family: Any, a: str, b: str, value: float) -> None:
        family.labels(a, b).observe(value)

    def page(self) -> object:
        return self.client.generate_latest(self.registry)


class OpenTelemetry(Library):
    """Its SDK collects and renders no text: `page` is the collection alone."""

    name = "OpenTelemetry"
    module = "opentelemetry"
    importing = "from opentelemetry.sdk.metrics import MeterProvider"
    code: ClassVar[dict[str, str]] = {
        "count": "m.add(1)",
        "mark": "m.add(1)",
        "gauge": "m.set(1.5)",
        "reservoir": "m.record(0.3)",
        "buckets": "m.record(0.3)",
        "gauge_int": "m.set(2)",
        "reservoir_int": "m.record(2)",
        "buckets_int": "m.record(2)",
        "labels": "m.add(1, {'method': 'GET', 'status': '200'})",
        "keywords": "m.add(1, {'method': 'GET', 'status': '200'})",
        "decorated": "m()",
    }

    @classmethod
    def installed(cls) -> bool:
        # A namespace package has no SDK of necessity.
        return super().installed() and find_spec("opentelemetry.sdk") is not None

    def __init__(self) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        self.reader = InMemoryMetricReader()
        self.meter = MeterProvider(metric_readers=[self.reader]).get_meter("benchmark")

    def make_count(self) -> Any:
        return self.counters("requests")

    def make_gauge(self) -> Any:
        return self.meter.create_gauge("queue")

    def make_buckets(self) -> Any:
        return self.histograms("latency")

    make_mark = make_labels = make_keywords = make_count
    make_gauge_int = make_gauge
    make_reservoir = make_reservoir_int = make_buckets_int = make_buckets

    def make_decorated(self) -> Any:
        histogram = self.make_buckets()

        def timed() -> None:
            began = perf_counter_ns()
            try:
                nothing()
            finally:
                histogram.record((perf_counter_ns() - began) * 1e-9)

        return timed

    def counters(self, name: str) -> Any:
        return self.meter.create_counter(name)

    def histograms(self, name: str) -> Any:
        return self.meter.create_histogram(
            name, explicit_bucket_boundaries_advisory=DURATION_BOUNDS
        )

    def count(self, family: Any, a: str, b: str) -> None:
        family.add(1, {"method": a, "status": b})

    def observe(self, family: Any, a: str, b: str, value: float) -> None:
        family.record(value, {"method": a, "status": b})

    def page(self) -> object:
        return self.reader.get_metrics_data()


class Pytheus(Library):
    name = module = "pytheus"
    importing = "import pytheus.metrics"
    code: ClassVar[dict[str, str]] = {
        "count": "m.inc()",
        "mark": "m.inc()",
        "gauge": "m.set(1.5)",
        "reservoir": "m.observe(0.3)",
        "buckets": "m.observe(0.3)",
        "gauge_int": "m.set(2)",
        "reservoir_int": "m.observe(2)",
        "buckets_int": "m.observe(2)",
        "labels": "m.labels({'method': 'GET', 'status': '200'}).inc()",
        "keywords": "m.labels(method='GET', status='200').inc()",
        "block": "with m.time(): pass",
        "decorated": "m()",
    }

    def __init__(self) -> None:
        from pytheus import exposition, metrics, registry

        self.client = metrics
        self.registry = registry.CollectorRegistry()
        self.generate = exposition.generate_metrics

    def make_count(self) -> Any:
        return self.client.Counter("requests", "Requests.", registry=self.registry)

    def make_gauge(self) -> Any:
        return self.client.Gauge("queue", "Length.", registry=self.registry)

    def make_buckets(self) -> Any:
        return self.client.Histogram(
            "latency", "Latency.", registry=self.registry, buckets=DURATION_BOUNDS
        )

    make_mark = make_count
    make_gauge_int = make_gauge
    make_reservoir = make_reservoir_int = make_buckets_int = make_block = make_buckets

    def make_labels(self) -> Any:
        return self.counters("requests")

    make_keywords = make_labels

    def make_decorated(self) -> Any:
        return self.make_buckets()(nothing)

    def counters(self, name: str) -> Any:
        return self.client.Counter(name, name, required_labels=LABELS, registry=self.registry)

    def histograms(self, name: str) -> Any:
        return self.client.Histogram(
            name, name, required_labels=LABELS, registry=self.registry, buckets=DURATION_BOUNDS
        )

    def count(self, family: Any, a: str, b: str) -> None:
        family.labels({"method": a, "status": b}).inc()

    def observe(self, family: Any, a: str, b: str, value: float) -> None:
        family.labels({"method": a, "status": b}).observe(value)

    def page(self) -> object:
        return self.generate(self.registry)


class Statsd(Library):
    """It keeps nothing: every update is a packet to a socket that nobody reads."""

    name = module = "statsd"
    importing = "import statsd"
    code: ClassVar[dict[str, str]] = {
        "count": "m.incr('requests')",
        "mark": "m.incr('requests')",
        "gauge": "m.gauge('queue', 1.5)",
        "reservoir": "m.timing('latency', 0.3)",
        "buckets": "m.timing('latency', 0.3)",
        "gauge_int": "m.gauge('queue', 2)",
        "reservoir_int": "m.timing('latency', 2)",
        "buckets_int": "m.timing('latency', 2)",
        "block": "with m.timer('latency'): pass",
        "decorated": "m()",
    }

    def __init__(self) -> None:
        import statsd

        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.1", 0))
        self.client = statsd.StatsClient("127.0.0.1", self.server.getsockname()[1])

    def make(self, operation: str) -> Any:
        return self.client.timer("latency")(nothing) if operation == "decorated" else self.client


def filled(histogram: Histogram) -> Histogram:
    """Return a histogram whose sample is full, as it is in a program that has run for a while."""
    for value in range(100_000):
        histogram.update(float(value))
    return histogram


PEERS: tuple[type[Library], ...] = (PrometheusClient, OpenTelemetry, Pytheus, Statsd)


def nothing() -> None:
    """Take no time: what is left of a call is the wrapper around it."""
