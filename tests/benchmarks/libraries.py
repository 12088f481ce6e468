"""Libraries that are compared, each with the same operations on the same instruments."""

import socket
import time
from abc import ABC
from functools import cached_property
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from time import perf_counter_ns
from typing import Any, ClassVar

from metrics import BucketHistogram, Gauge, Histogram, Meter, Registry, Timer
from metrics.exporters import otlp, prometheus, remote_write
from metrics.instruments._buckets import DURATION_BOUNDS

LABELS = ("method", "status")


class Library(ABC):
    """Library with a registry of its own; operations that it does not have are missing.

    `code` has the statement about `m` for each operation, and `make_<operation>` makes that `m`.
    `counter(name)` and `histogram(name)` make an instrument; `counters(name)` and
    `histograms(name)` a family, for `count(family, a, b)` and `observe(family, a, b)`. `page()`
    renders text; `otlp()` and `remote_write()` render requests, and need the module that
    `requirements` names.
    """

    name: ClassVar[str]
    module: ClassVar[str]
    distribution: ClassVar[str]
    importing: ClassVar[str]
    code: ClassVar[dict[str, str]]
    requirements: ClassVar[dict[str, str]] = {}
    traced: ClassVar[bool] = True
    """Whether tracemalloc sees its memory."""

    def make(self, operation: str) -> Any:
        """Return the `m` of an operation's statement."""
        return getattr(self, f"make_{operation}")()

    @classmethod
    def is_installed(cls) -> bool:
        """Return whether the library can be imported."""
        return has_module(cls.module)

    @classmethod
    def renders(cls, format_name: str) -> bool:
        """Return whether the library has a format, and the modules that it needs."""
        return hasattr(cls, format_name) and has_module(
            cls.requirements.get(format_name, cls.module)
        )

    @classmethod
    def version(cls) -> str:
        """Return the installed version."""
        return version(cls.distribution)


class Ours(Library):
    """wired-metrics, of which a program keeps the exporters' state between reports."""

    name = module = "metrics"
    distribution = "wired-metrics"
    importing = "from metrics import *"
    requirements: ClassVar[dict[str, str]] = {
        "otlp": "opentelemetry.proto",
        "remote_write": "cramjam",
    }
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

    @cached_property
    def starts(self) -> Any:
        return otlp.Starts()

    @cached_property
    def staleness(self) -> Any:
        return remote_write.Staleness()

    @cached_property
    def metadata(self) -> Any:
        return remote_write.Metadata()

    def make_buckets(self) -> BucketHistogram:
        return BucketHistogram(DURATION_BOUNDS)

    make_buckets_int = make_buckets

    def make_count(self) -> Any:
        return self.counter("requests")

    def make_reservoir(self) -> Histogram:
        return full(Histogram())

    make_reservoir_int = make_reservoir

    def make_labels(self) -> Any:
        return self.counters("requests")

    make_keywords = make_labels

    def make_decorated(self) -> Any:
        return self.make_block().timed(nothing)

    def counter(self, name: str) -> Any:
        return self.registry.counter(name)

    def histogram(self, name: str) -> Any:
        return self.registry.bucket_histogram(name, bounds=DURATION_BOUNDS)

    def counters(self, name: str) -> Any:
        return self.registry.counters(name, labels=LABELS)

    def histograms(self, name: str) -> Any:
        return self.registry.bucket_histograms(name, labels=LABELS, bounds=DURATION_BOUNDS)

    def count(self, family: Any, a: str, b: str) -> None:
        family.labels(a, b).inc()

    def observe(self, family: Any, a: str, b: str) -> None:
        family.labels(a, b).update(0.3)

    def page(self) -> object:
        return prometheus.render(self.registry)

    def otlp(self) -> object:
        return list(otlp.stream(self.registry, timestamp_ns=time.time_ns(), starts=self.starts))

    def remote_write(self) -> object:
        return list(
            remote_write.stream(
                self.registry,
                timestamp_ns=time.time_ns(),
                staleness=self.staleness,
                metadata=self.metadata,
            )
        )


class PrometheusClient(Library):
    """prometheus_client, in one process."""

    name = module = distribution = "prometheus_client"
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
        self.client = import_module(self.module)
        self.registry = self.client.CollectorRegistry()

    def make_count(self) -> Any:
        return self.counter("requests")

    def make_gauge(self) -> Any:
        return self.client.Gauge("queue", "Length.", registry=self.registry)

    def make_buckets(self) -> Any:
        return self.histogram("latency")

    make_mark = make_count
    make_gauge_int = make_gauge
    make_reservoir = make_reservoir_int = make_buckets_int = make_block = make_buckets

    def make_labels(self) -> Any:
        return self.counters("requests")

    make_keywords = make_labels

    def make_decorated(self) -> Any:
        return self.make_buckets().time()(nothing)

    def counter(self, name: str) -> Any:
        return self.client.Counter(name, name, registry=self.registry)

    def histogram(self, name: str) -> Any:
        return self.client.Histogram(name, name, registry=self.registry, buckets=DURATION_BOUNDS)

    def counters(self, name: str) -> Any:
        return self.client.Counter(name, name, LABELS, registry=self.registry)

    def histograms(self, name: str) -> Any:
        return self.client.Histogram(
            name, name, LABELS, registry=self.registry, buckets=DURATION_BOUNDS
        )

    def count(self, family: Any, a: str, b: str) -> None:
        family.labels(a, b).inc()

    def observe(self, family: Any, a: str, b: str) -> None:
        family.labels(a, b).observe(0.3)

    def page(self) -> object:
        return self.client.generate_latest(self.registry)


class Promrs(PrometheusClient):
    """Client in Rust, with the interface of prometheus_client."""

    name = module = distribution = "promrs"
    importing = "import promrs"
    traced = False


class OpenTelemetry(Library):
    """OpenTelemetry's SDK. It renders no text: `page` is the collection alone."""

    name = "OpenTelemetry"
    module = "opentelemetry.sdk"
    distribution = "opentelemetry-sdk"
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
    requirements: ClassVar[dict[str, str]] = {
        "otlp": "opentelemetry.exporter.otlp.proto.common",
        "remote_write": "opentelemetry.exporter.prometheus_remote_write",
    }

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

    counter = counters
    histogram = histograms

    def count(self, family: Any, a: str, b: str) -> None:
        family.add(1, {"method": a, "status": b})

    def observe(self, family: Any, a: str, b: str) -> None:
        family.record(0.3, {"method": a, "status": b})

    def page(self) -> object:
        return self.reader.get_metrics_data()

    def otlp(self) -> object:
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

        return encode_metrics(self.reader.get_metrics_data()).SerializeToString()

    def remote_write(self) -> object:
        """Return a compressed request, as `export` of the exporter sends it."""
        from opentelemetry.exporter import prometheus_remote_write

        exporter = prometheus_remote_write.PrometheusRemoteWriteMetricsExporter("http://localhost")
        return exporter._build_message(exporter._translate_data(self.reader.get_metrics_data()))


class Pytheus(Library):
    """pytheus, in one process."""

    name = module = distribution = "pytheus"
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
        return self.counter("requests")

    def make_gauge(self) -> Any:
        return self.client.Gauge("queue", "Length.", registry=self.registry)

    def make_buckets(self) -> Any:
        return self.histogram("latency")

    make_mark = make_count
    make_gauge_int = make_gauge
    make_reservoir = make_reservoir_int = make_buckets_int = make_block = make_buckets

    def make_labels(self) -> Any:
        return self.counters("requests")

    make_keywords = make_labels

    def make_decorated(self) -> Any:
        return self.make_buckets()(nothing)

    def counter(self, name: str) -> Any:
        return self.client.Counter(name, name, registry=self.registry)

    def histogram(self, name: str) -> Any:
        return self.client.Histogram(name, name, registry=self.registry, buckets=DURATION_BOUNDS)

    def counters(self, name: str) -> Any:
        return self.client.Counter(name, name, required_labels=LABELS, registry=self.registry)

    def histograms(self, name: str) -> Any:
        return self.client.Histogram(
            name, name, required_labels=LABELS, registry=self.registry, buckets=DURATION_BOUNDS
        )

    def count(self, family: Any, a: str, b: str) -> None:
        family.labels({"method": a, "status": b}).inc()

    def observe(self, family: Any, a: str, b: str) -> None:
        family.labels({"method": a, "status": b}).observe(0.3)

    def page(self) -> object:
        return self.generate(self.registry)


class Statsd(Library):
    """statsd, which keeps no values: an update is a packet to a socket without a reader."""

    name = module = distribution = "statsd"
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


def full(histogram: Histogram) -> Histogram:
    """Return a histogram with a full sample, as in a program that has run for a while."""
    for value in range(100_000):
        histogram.update(float(value))
    return histogram


def has_module(name: str) -> bool:
    """Return whether a module can be imported."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # of a parent
        return False


def nothing() -> None:
    """Take no time, so that the cost of a call is that of the wrapper."""


PEERS: tuple[type[Library], ...] = (PrometheusClient, OpenTelemetry, Pytheus, Statsd, Promrs)
