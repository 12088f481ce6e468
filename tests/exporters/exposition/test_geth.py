"""go-ethereum's dialect: the text that its dashboards are made for."""

import math
import os
import shutil
import subprocess

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metrics import BucketHistogram, Registry, Timer
from metrics.exporters import prometheus
from metrics.testing import ManualClock
from tests.exporters.everything import everything
from tests.exporters.page_reading import layout

QUANTILES = ("0.5", "0.75", "0.95", "0.99", "0.999", "0.9999")


def page(registry: Registry, **options) -> str:
    return prometheus.render(registry, dialect="go-ethereum", **options).decode()


def gauge(name: str, number: str) -> str:
    return f"# TYPE {name} gauge\n{name} {number}\n\n"


def summary(name: str, count: int, number: str) -> str:
    lines = "".join(f'{name} {{quantile="{q}"}} {number}\n' for q in QUANTILES)
    heading = f"# TYPE {name}_count counter\n{name}_count {count}\n\n# TYPE {name} summary\n"
    return f"{heading}{lines}\n"


def test_every_instrument_is_written_as_go_ethereum_writes_it():
    registry = Registry(clock=ManualClock())
    registry.counter("test/counter").inc(12345)
    registry.float_counter("test/counter_float64").inc(54321.98)
    registry.updown_counter("test/updown").dec(2)
    registry.gauge("test/gauge").set(23456.0)
    registry.int_gauge("test/gauge-int").set(2**70)
    registry.info("test/facts").set({"b": 'two "2"', "a": "1"})
    registry.histogram("test/histogram", unit="bytes").update(3)
    registry.meter("test/meter").mark(9999999)
    registry.timer("test/timer", sampled=True).update(0.0125)
    registry.resetting_timer("test/resetting").update(0.012)
    registry.resetting_timer("test/resetting/empty")
    registry.timer("test/timer/empty", sampled=True)
    registry.healthcheck("test/well", lambda: None)
    assert page(registry) == (
        gauge("test_counter", "12345")
        + gauge("test_counter_float64", "54321.98")
        + '# TYPE test_facts gauge\ntest_facts {a="1", b="two \\"2\\""} 1\n\n'
        + gauge("test_gauge", "23456")
        + gauge("test_gauge_int", str(2**70))
        + summary("test_histogram", 1, "3")
        + gauge("test_meter", "9999999")
        + summary("test_resetting", 1, "1.2e+07")
        + summary("test_timer", 1, "1.25e+07")
        + summary("test_timer_empty", 0, "0")
        + gauge("test_updown", "-2")
        + gauge("test_well", "1")
    )


def test_labels_stand_where_quantiles_and_facts_do():
    registry = Registry()
    registry.counters("hits", labels=("method", "path")).labels("GET", '"\\').inc(2)
    timers = registry.resetting_timers("waits", labels=("m",))
    timers.labels("a").update(1e-6)
    timers.labels("b")
    text = page(registry)
    assert '# TYPE hits gauge\nhits {method="GET", path="\\"\\\\"} 2\n\n' in text
    assert '# TYPE waits_count counter\nwaits_count {m="a"} 1\n\n' in text
    assert 'waits {m="a", quantile="0.9999"} 1000\n' in text
    assert '"b"' not in text


def test_a_family_whose_children_have_nothing_new_has_no_heading():
    registry = Registry()
    registry.resetting_timers("waits", labels=("m",)).labels("a")
    assert page(registry) == ""


def test_buckets_are_percentiles():
    registry = Registry()
    registry.register("call", Timer(BucketHistogram((1.0, 2.0)))).update(2.0)
    values = [s.value for f in text_string_to_metric_families(page(registry)) for s in f.samples]
    assert values[0] == 1
    assert all(1e9 <= value <= 2e9 for value in values[1:])


def test_counts_of_a_resetting_timer_only_grow():
    registry = Registry()
    timer = registry.resetting_timer("pause")
    for count in (1, 2, 3):
        timer.update(1.0)
        assert f"\npause_count {count}\n" in page(registry)
    assert page(registry) == ""


def test_the_parser_reads_every_number_back():
    registry = everything()
    values = {
        (s.name, *s.labels.values()): s.value
        for f in text_string_to_metric_families(page(registry))
        for s in f.samples
    }
    assert values["rpc_requests",] == 3
    assert values["height",] == 2.0**70
    assert values["build", 'a"b\\c\nd', "1.2"] == 1
    assert values["call", "0.5"] == 250e6
    assert values["call_count_total",] == 1  # as the parser calls every counter
    assert values["hits", "GET", '/"\\\n'] == 1
    assert not any(math.isnan(value) for value in values.values())


@pytest.mark.skipif(
    not shutil.which("promtool") and not os.environ.get("CI"), reason="promtool is not installed"
)
def test_promtool_reads_it():
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=prometheus.render(everything(), dialect="go-ethereum"),
        capture_output=True,
        check=False,
    )
    # It would have help and other suffixes, but that is how go-ethereum writes it.
    complaints = checked.stderr.decode().splitlines()
    assert "error while linting" not in checked.stderr.decode()
    assert all("help" in line or "suffix" in line for line in complaints), complaints


def test_a_name_that_is_asked_for_is_one_of_this_dialect():
    registry = Registry()
    registry.timer("call", sampled=True).update(1.0)
    registry.resetting_timer("pause").update(1.0)
    assert page(registry, names=["call_seconds"]) == ""
    assert page(registry, names=["call_count"]) == "# TYPE call_count counter\ncall_count 1\n\n"
    assert page(registry, names=["pause"]).startswith("# TYPE pause summary\n")


def test_children_that_are_gone_are_forgotten():
    registry = Registry()
    family = registry.timers("call", labels=("path",))
    for number in range(20):
        family.labels(str(number)).update(1.0)
        page(registry)
        family.remove(str(number))
    page(registry)
    shown = layout(registry, "call", "go-ethereum").families(family.prototype().snapshot())
    assert [len(one._texts) for one in shown] == [0, 0]
