"""Instruments of OpenTelemetry's metrics API are recorded by a registry."""

import os
import subprocess
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

import pytest
from dependency_injector import providers
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from metrics import CounterSnapshot, Family, LifecycleError, Registry
from metrics.exporters import openmetrics, prometheus, statsd
from metrics.exporters.statsd import Deltas
from metrics.integrations._opentelemetry.series import MAX_LABELS
from metrics.integrations._opentelemetry.streams import BOUNDS
from metrics.integrations.opentelemetry import MeterProvider, meter_provider
from metrics.lifecycle import MetricsContainer, Resource
from tests.forks import in_child


def text(registry: Registry) -> set[str]:
    """Return the samples of a page."""
    page = prometheus.render(registry).decode()
    return {line for line in page.splitlines() if not line.startswith("#")}


@contextmanager
def measured(registry: Registry, **options: object) -> Iterator[Meter]:
    with meter_provider(registry, **options) as provider:
        yield provider.get_meter("shop", "1.2")


def observed(*values: tuple[float, dict[str, object]]):
    return lambda _options: [Observation(value, attributes) for value, attributes in values]


def test_every_synchronous_instrument_is_recorded_with_its_unit():
    registry = Registry()
    with measured(registry) as meter:
        meter.create_counter("http.calls", "{call}", "Calls").add(2, {"http.route": "/a"})
        meter.create_up_down_counter("queue.size", "By").add(-5)
        meter.create_gauge("cpu.share", "1").set(0.5)
        meter.create_histogram("work", "s", explicit_bucket_boundaries_advisory=[0.5, 1]).record(1)
        page = prometheus.render(registry).decode().splitlines()
    assert page == [
        "# HELP cpu_share_ratio cpu.share (Gauge)",
        "# TYPE cpu_share_ratio gauge",
        "cpu_share_ratio 0.5",
        "# HELP http_calls_total Calls",
        "# TYPE http_calls_total counter",
        'http_calls_total{http_route="/a"} 2.0',
        "# HELP queue_size_bytes queue.size (FloatUpDownCounter)",
        "# TYPE queue_size_bytes gauge",
        "queue_size_bytes -5.0",
        "# HELP work_seconds work (BucketHistogram)",
        "# TYPE work_seconds histogram",
        'work_seconds_bucket{le="0.5"} 0',
        'work_seconds_bucket{le="1.0"} 1',
        'work_seconds_bucket{le="+Inf"} 1',
        "work_seconds_sum 1.0",
        "work_seconds_count 1",
    ]
    assert not registry.names()


def test_every_observable_instrument_is_read_at_each_read():
    registry = Registry()
    values = iter(range(1, 100))

    def advance(options: CallbackOptions) -> Iterable[Observation]:
        assert options.timeout_millis > 0
        yield Observation(next(values), {"shard": 1})

    def generate() -> Generator[Iterable[Observation], CallbackOptions, None]:
        yield []
        while True:
            yield [Observation(next(values))]

    with measured(registry) as meter:
        meter.create_observable_counter("seen", [advance], "{item}")
        meter.create_observable_up_down_counter("waiting", [observed((-2, {}))])
        meter.create_observable_gauge("heat", [generate()], "Cel")
        assert text(registry) == {
            "heat_celsius 1.0",
            'seen_total{shard="1"} 2.0',
            "waiting -2.0",
        }
        assert 'seen_total{shard="1"} 4.0' in text(registry)
        assert b"# TYPE seen counter" in openmetrics.render(registry)


def test_measurements_may_have_any_attributes():
    registry = Registry(labels={"zone": "a"})
    with measured(registry) as meter:
        counter = meter.create_counter("calls")
        for attributes in (
            None,
            {"a": "x"},
            {"b": 1, "a": "x"},
            {"a": "x", "b": 1},
            {"b": True},
            {"b": ["x", 2], "c": ""},
            {"zone": "b", "le": 2.5, "__a": "y"},
            {"x.y": "1", "x_y": "2"},
            {"x_y": "3"},
        ):
            counter.add(1, attributes)
        snapshot = registry.snapshot()["calls"]
    assert snapshot.labelnames == ("a", "b", "_a", "exported_le", "exported_zone", "x.y")
    assert {"|".join(values): one.count for values, one in snapshot.children.items()} == {
        "|||||": 1,
        "x|||||": 1,
        "x|1||||": 2,
        "|true||||": 1,
        '|["x", 2]||||': 1,
        "||y|2.5|b|": 1,
        "|||||1;2": 1,
        "|||||3": 1,
    }


def test_a_new_attribute_repeats_no_total_in_delta_formats():
    registry, deltas = Registry(), Deltas()

    def counts() -> list[bytes]:
        lines = b"".join(statsd.stream(registry, deltas=deltas)).splitlines()
        return sorted(line.partition(b":")[2] for line in lines)

    with measured(registry) as meter:
        counter = meter.create_counter("calls")
        counter.add(5, {"a": "x"})
        assert counts() == [b"5.0|c"]
        counter.add(2, {"a": "x", "b": "y"})
        counter.add(1, {"a": "x"})
        assert counts() == [b"1.0|c", b"2.0|c"]


def test_series_above_the_limit_share_one():
    registry = Registry()
    with measured(registry, max_series=2) as meter:
        counter = meter.create_counter("calls")
        for user in range(5):
            counter.add(1, {"user": user})
        counter.add(1, {"user": 0})
        many = observed(*[(1, {"user": user}) for user in range(5)])
        meter.create_observable_counter("seen", [many])
        assert text(registry) == {
            'calls_total{user="0",otel_metric_overflow=""} 2.0',
            'calls_total{user="1",otel_metric_overflow=""} 1.0',
            'calls_total{user="",otel_metric_overflow="true"} 3.0',
            'seen_total{user="0",otel_metric_overflow=""} 1.0',
            'seen_total{user="1",otel_metric_overflow=""} 1.0',
            'seen_total{user="",otel_metric_overflow="true"} 3.0',
        }
        assert registry.snapshot()["calls"].overflowed == 3


def test_attributes_that_are_not_listed_are_dropped_and_the_series_add_up():
    registry = Registry(labels={"zone": "a"})
    limits = {"Calls": ["http.route", "zone"], "seen": ["shard"], "none": []}
    with measured(registry, attributes=limits, scope=True) as meter:
        counter = meter.create_counter("calls")
        for user in range(3):
            counter.add(1, {"http.route": "/a", "user": user})
        counter.add(1, {"zone": True, "http.route": ["/b"]})
        counter.add(1)
        values = observed((1, {"shard": 1, "user": 1}), (2, {"shard": 1, "user": 2}))
        meter.create_observable_counter("seen", [values])
        meter.create_histogram("none").record(1, {"a": 1})
        family = registry.get("calls")
        found = {values: one.count for values, one in registry.snapshot()["calls"].children.items()}
        assert registry.snapshot()["seen"].children == {("1", "shop", "1.2"): CounterSnapshot(3.0)}
        assert registry.snapshot()["none"].children[("shop", "1.2")].count == 1
    assert isinstance(family, Family)
    assert family.labelnames == (
        "http.route",
        "exported_zone",
        "otel_scope_name",
        "otel_scope_version",
    )
    assert found == {
        ("/a", "", "shop", "1.2"): 3,
        ('["/b"]', "true", "shop", "1.2"): 1,
        ("", "", "shop", "1.2"): 1,
    }


def test_keys_of_one_label_name_and_a_str_of_keys_are_refused(caplog):
    registry = Registry()
    with measured(registry, attributes={"calls": ["a.b", "a_b"]}) as meter:
        meter.create_counter("calls").add(1)
    assert "label name 'a_b' is repeated" in caplog.text
    with (
        pytest.raises(TypeError, match="use a sequence"),
        measured(registry, attributes={"a": "b"}),
    ):
        pass


def test_label_names_are_bounded_and_long_values_are_truncated():
    registry = Registry()
    with measured(registry) as meter:
        counter = meter.create_counter("calls")
        for number in range(200):
            counter.add(1, {f"key{number}": "x" * 5000})
        snapshot = registry.snapshot()["calls"]
    assert len(snapshot.labelnames) == MAX_LABELS + 1
    assert snapshot.overflowed == 200 - MAX_LABELS
    assert max(len(value) for values in snapshot.children for value in values) == 1024


def test_meters_of_one_name_add_up_and_a_scope_distinguishes_them():
    for scope, expected in (
        (False, {"calls_total 3.0"}),
        (
            True,
            {
                'calls_total{otel_scope_name="a",otel_scope_version="1"} 1.0',
                'calls_total{otel_scope_name="b",otel_scope_version=""} 2.0',
            },
        ),
    ):
        registry = Registry()
        with meter_provider(registry, scope=scope) as provider:
            provider.get_meter("a", "1").create_counter("calls").add(1)
            provider.get_meter("b").create_counter("Calls").add(2)
            assert text(registry) == expected


def test_a_histogram_without_advice_has_bounds_that_suit_its_unit():
    registry = Registry()
    with measured(registry) as meter:
        for name, unit in (("a", "s"), ("b", "By"), ("c", "ms"), ("d", "")):
            meter.create_histogram(name, unit).record(1)
        found = {name: one.children[()].bounds for name, one in registry.snapshot().items()}
    assert found["a"] == registry.bucket_histogram("x", unit="seconds").snapshot().bounds
    assert found["b"] == registry.bucket_histogram("y", unit="bytes").snapshot().bounds
    assert found["c"] == found["d"] == BOUNDS


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("s", "seconds"),
        ("ms", "milliseconds"),
        ("By", "bytes"),
        ("KiBy", "kibibytes"),
        ("By/s", "bytes_per_second"),
        ("{request}/s", "per_second"),
        ("{request}", ""),
        ("1", ""),
        ("%", "percent"),
        ("furlong", "furlong"),
    ],
)
def test_units_become_words(code, word):
    registry = Registry()
    with measured(registry) as meter:
        meter.create_counter("x", code).add(1)
        assert registry.snapshot().entry("x").unit == word


def test_no_call_raises_and_each_instrument_logs_once(caplog):
    registry = Registry()
    registry.gauge("taken")
    with measured(registry) as meter:
        counter = meter.create_counter("calls")
        for amount in (-1, float("nan"), "x", None):
            counter.add(amount)
        counter.add(1, {5: "x"})
        counter.add(1, 7)
        assert len(caplog.records) == 1
        counter.add(1)
        for create in (meter.create_counter, meter.create_gauge, meter.create_histogram):
            create("taken")
            create("calls", "s")
            create(None)
        meter.create_observable_gauge("calls", [observed((1, {}))])
        meter.create_counter("taken").add(1)
        meter.create_histogram("wait", "s", explicit_bucket_boundaries_advisory=[2, 1]).record(1)
        assert text(registry) == {"calls_total 1.0", "taken 0.0"}


def test_a_failing_callback_is_logged_once_and_hides_no_other(caplog):
    registry = Registry()
    failing = [True]

    def fail(_options: CallbackOptions) -> Iterable[Observation]:
        if failing:
            raise OSError("no answer")
        return [Observation(2, {"of": "b"})]

    with measured(registry) as meter:
        meter.create_observable_gauge("heat", [fail, observed((1, {"of": "a"}))])
        for _ in range(2):
            failing[:] = [True]
            for _ in range(2):
                assert 'heat{of="a"} 1.0' in text(registry)
                assert "2.0" not in "".join(text(registry))
            failing.clear()
            assert text(registry) == {'heat{of="a"} 1.0', 'heat{of="b"} 2.0'}
    assert len(caplog.records) == 2


def test_a_total_whose_callback_fails_stays():
    registry, deltas = Registry(), Deltas()
    failing: list[None] = []

    def count(_options: CallbackOptions) -> Iterable[Observation]:
        if failing:
            raise OSError("no answer")
        return [Observation(5)]

    with measured(registry) as meter:
        meter.create_observable_counter("seen", [count])
        assert b":5.0|c" in b"".join(statsd.stream(registry, deltas=deltas))
        failing.append(None)
        assert text(registry) == {"seen_total 5.0"}
        assert not b"".join(statsd.stream(registry, deltas=deltas))
        failing.clear()
        assert not b"".join(statsd.stream(registry, deltas=deltas))


def test_a_callback_may_read_the_registry():
    registry = Registry()
    registry.counter("jobs").inc(4)
    with measured(registry) as meter:
        meter.create_observable_gauge(
            "twice", [lambda _: [Observation(2 * registry.snapshot()["jobs"].count)]]
        )
        assert text(registry) == {"jobs_total 4", "twice 8.0"}


def test_exemplars_are_those_of_the_registry():
    registry = Registry(exemplars=lambda: {"trace_id": "1"})
    with measured(registry) as meter:
        meter.create_counter("calls").add(1, {"a": "x"})
        assert b'calls_total{a="x"} 1.0 # {trace_id="1"} 1.0' in openmetrics.render(registry)


def test_instruments_outlive_the_stop_and_record_again_after_a_restart():
    outliving = MeterProvider()
    early = outliving.get_meter("early").create_counter("calls")
    early.add(1)

    class Container(MetricsContainer):
        meters = Resource(
            meter_provider, MetricsContainer.registry, providers.Object(outliving), scope=False
        )

    container = Container()
    for count in (2, 3):
        container.init_resources()
        early.add(count)
        assert container.meters() is outliving
        registry = container.registry()
        assert text(registry) == {f"calls_total {count}.0"}
        container.shutdown_resources()
        early.add(100)
        assert not registry.names()


def test_a_provider_records_in_one_registry_at_a_time():
    provider = MeterProvider()
    with meter_provider(Registry(), provider):
        with (
            pytest.raises(LifecycleError, match="stop that container first"),
            meter_provider(Registry(), provider),
        ):
            pass
        provider.get_meter("a").create_counter("calls").add(1)
    with meter_provider(Registry(), provider):
        pass


def test_a_disabled_registry_records_nothing():
    registry = Registry(enabled=False)
    with measured(registry) as meter:
        meter.create_counter("calls").add(1)
        meter.create_observable_gauge("heat", [observed((1, {}))])
        assert not text(registry)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_counts_from_zero():
    registry = Registry()
    with measured(registry) as meter:
        counter = meter.create_counter("calls")
        counter.add(5, {"a": "x"})

        def count() -> set[str]:
            counter.add(1, {"a": "x"})
            meter.create_counter("late").add(1)
            return text(registry)

        assert in_child(count) == {'calls_total{a="x"} 1.0', "late_total 1.0"}
        assert text(registry) == {'calls_total{a="x"} 5.0'}


GLOBAL = """
from opentelemetry import metrics as api

from metrics import LifecycleError, Registry
from metrics.exporters import prometheus
from metrics.integrations import opentelemetry

early = api.get_meter("early").create_counter("calls")
observed = api.get_meter("early").create_observable_gauge(
    "heat", [lambda options: [api.Observation(1)]]
)
early.add(1)
for count in (2, 3):
    registry = Registry()
    with opentelemetry.meter_provider(registry, set_global=True):
        early.add(count)
        api.get_meter("late").create_counter("calls").add(1)
        page = prometheus.render(registry).decode()
    assert f"calls_total {count + 1}.0" in page, page
    assert "heat 1.0" in page, page
other = opentelemetry.MeterProvider()
try:
    with opentelemetry.meter_provider(Registry(), other, set_global=True):
        pass
except LifecycleError as error:
    print(error)
with opentelemetry.meter_provider(registry, set_global=True):
    early.add(7)
    assert b"calls_total 7.0" in prometheus.render(registry)
"""


def test_the_global_provider_is_set_once_and_serves_every_start():
    done = subprocess.run(
        [sys.executable, "-c", GLOBAL], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "OpenTelemetry allows one for each process" in done.stdout
