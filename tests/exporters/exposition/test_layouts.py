"""Names that only one format writes alike are told apart in that format, not refused."""

import gc
import logging
import re
import threading
import weakref
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from metrics import GaugeSnapshot, Registry, StateSet
from metrics.exporters import openmetrics, prometheus, remote_write
from metrics.exporters._exposition.layout import TextLayout
from metrics.exporters._exposition.layouts import layouts_of
from metrics.registry._inner import TABLE, Defaults, store_of
from metrics.testing import ManualClock
from tests.exporters.page_reading import Custom
from tests.exporters.write_requests import read


def families(page: bytes) -> list[str]:
    return re.findall(r"^# TYPE (\S+)", page.decode(), re.MULTILINE)


def test_the_later_of_two_names_that_are_written_alike_gets_a_number(caplog):
    registry = Registry()
    registry.gauge("a/b").set(1)
    registry.gauge("a.b").set(2)
    for page in (prometheus.render(registry), openmetrics.render(registry)):
        assert b"\na_b 1.0\n" in page
        assert b"\na_b_2 2.0\n" in page
    assert "'a.b' is renamed on the pages of prometheus: 'a_b' is a name of 'a/b'" in caplog.text


def test_the_order_of_registration_decides_and_not_that_of_the_names():
    registry = Registry()
    registry.gauge("a/b").set(1)
    registry.gauge("a b").set(2)
    assert b"\na_b 1.0\n" in prometheus.render(registry)


def test_a_clash_that_openmetrics_alone_has_changes_no_other_page():
    registry = Registry()
    registry.gauge("test/gauge")
    registry.info("test/gauge_info").set({"a": "b"})
    assert families(openmetrics.render(registry)) == ["test_gauge", "test_gauge_2"]
    assert b'test_gauge_2_info{a="b"} 1' in openmetrics.render(registry)
    assert families(prometheus.render(registry)) == ["test_gauge", "test_gauge_info"]


def test_a_counter_keeps_its_suffix_behind_the_number():
    registry = Registry(clock=ManualClock())
    registry.gauge("system/cpu/sysload")
    registry.counter("system/cpu/sysload/total").inc()
    assert b"\nsystem_cpu_sysload_2_total 1\n" in openmetrics.render(registry)
    assert b"\nsystem_cpu_sysload_total 1\n" in prometheus.render(registry)


def test_a_unit_stays_the_last_word_of_a_name_with_a_number():
    registry = Registry()
    registry.gauge("x/y", unit="bytes")
    registry.gauge("x.y", unit="bytes")
    assert families(openmetrics.render(registry)) == ["x_y_2_bytes", "x_y_bytes"]


def test_names_in_other_scripts_stay_different(caplog):
    registry = Registry()
    for name in ("请求", "错误", "größe", "grüße"):
        registry.counter(name)
    assert len(set(families(prometheus.render(registry)))) == 4
    assert not caplog.records


def test_a_name_is_kept_as_long_as_its_instrument_is_registered(caplog):
    registry = Registry()
    registry.gauge("a/b").set(1)
    registry.gauge("a.b").set(2)
    prometheus.render(registry)
    caplog.clear()
    registry.unregister("a/b")
    registry.gauge("a b").set(3)
    page = prometheus.render(registry)
    assert b"\na_b_2 2.0\n" in page
    assert b"\na_b 3.0\n" in page
    assert not caplog.records


def test_a_renaming_is_logged_once_however_often_the_page_is_read(caplog):
    registry = Registry()
    registry.gauge("a/b")
    registry.gauge("a.b")
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            prometheus.render(registry)
            registry.gauge(f"c{_}")
    assert len(caplog.records) == 1


def test_a_renamed_family_is_asked_for_by_its_name_on_the_page():
    registry = Registry()
    registry.gauge("a/b").set(1)
    registry.gauge("a.b").set(2)
    assert prometheus.render(registry, names=["a_b_2"]).endswith(b"a_b_2 2.0\n")
    assert b"a_b_2" not in prometheus.render(registry, names=["a_b"])


def test_remote_write_has_the_names_of_the_page():
    registry = Registry()
    registry.counter("a/b").inc()
    registry.counter("a.b").inc(2)
    found = {one.key[0]: one.value for one in read(remote_write.render(registry, timestamp_ns=0))}
    assert found == {"a_b_total": 1, "a_b_2_total": 2}


def test_a_child_registry_has_the_names_of_its_parents_page():
    registry = Registry()
    registry.gauge("a/b").set(1)
    child = registry.child("a.")
    child.gauge("b").set(2)
    assert b"\na_b_2 2.0\n" in prometheus.render(child)
    assert b"\na_b_2 2.0\n" in prometheus.render(registry)


WORDS = ("x", "total", "info", "seconds", "milliseconds", "count", "created", "_", "9", "é")
# Names that begin with two underscores cannot be labels, which states need.
NAMES = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).filter(lambda w: w[0] != "_")
UNITS = st.sampled_from(["", "seconds", "milliseconds", "bytes", "ratio", "percent"])


@pytest.mark.parametrize("dialect", ["prometheus", "go-ethereum", "openmetrics"])
@given(
    wanted=st.lists(
        st.tuples(NAMES, st.sampled_from("/._-"), st.sampled_from(TABLE), UNITS), max_size=8
    )
)
def test_every_page_has_every_name_once_and_everything_on_it(dialect, wanted):
    registry = Registry(clock=ManualClock())
    expected = 0
    for words, separator, kind, unit in wanted:
        name = separator.join(words)
        if registry.get(name) is None:
            if kind.instrument is StateSet:
                instrument = StateSet(("on", "off"))
            else:
                instrument = kind.new(Defaults(5.0, registry.clock, "seconds"))
            registry.register(name, instrument, unit=unit)
            if hasattr(instrument, "update"):
                instrument.update(1.0)
            if hasattr(instrument, "healthy"):
                instrument.healthy()
            expected += len(kind.families)
    if dialect == "openmetrics":
        page = openmetrics.render(registry)
        assert len(list(text_string_to_metric_families(page.decode()))) == expected
    else:
        page = prometheus.render(registry, dialect=dialect)
        list(text_families(page.decode()))
        names = families(page)
        assert len(names) == len(set(names))
        if dialect == "prometheus":
            assert len(names) == expected


def test_all_names_of_go_ethereum_have_their_place_in_one_registry():
    registry = Registry(clock=ManualClock())
    lines = (Path(__file__).parents[1] / "geth_names.txt").read_text().splitlines()
    for line in lines:
        kind, name = line.split()
        getattr(registry, kind)(name)
    assert len(registry) == len(lines) > 450
    geth = families(prometheus.render(registry, dialect="go-ethereum"))
    assert len(geth) == len(set(geth))
    for page in (prometheus.render(registry), openmetrics.render(registry)):
        names = families(page)
        assert len(names) == len(set(names)) >= len(lines)


def kept(registry: Registry) -> set[str]:
    layouts = layouts_of(store_of(registry), "prometheus", TextLayout)
    return {*layouts._by_name, *layouts._owners.values()}


def test_layouts_of_unregistered_instruments_are_dropped():
    registry = Registry()
    for name in ("a", "b", "c"):
        registry.gauge(name)
    prometheus.render(registry)
    assert kept(registry) == {"a", "b", "c"}
    registry.unregister("b")
    prometheus.render(registry)
    assert kept(registry) == {"a", "c"}
    registry.clear()
    prometheus.render(registry)
    assert kept(registry) == set()


def test_layouts_keep_no_instrument_alive():
    registry = Registry()
    instrument = Custom(GaugeSnapshot(1.0))
    reference = weakref.ref(instrument)
    registry.register("a", instrument)
    prometheus.render(registry)
    registry.unregister("a")
    # The store drops it at the next read, which needs no page.
    registry.snapshot()
    del instrument
    gc.collect()
    assert reference() is None


def test_a_registry_and_its_children_share_their_layouts():
    registry = Registry()
    child = registry.child("sub")
    child.gauge("x")
    prometheus.render(child)
    assert kept(registry) == kept(child) == {"sub/x"}


def test_a_successor_of_another_kind_has_names_of_its_own():
    registry = Registry()
    registry.gauge("a/b").set(1)
    registry.gauge("a.b").set(2)
    prometheus.render(registry)
    registry.unregister("a.b")
    registry.counter("a.b").inc(3)
    registry.gauge("a b").set(4)
    lines = prometheus.render(registry).decode().splitlines()
    assert [line for line in lines if line[0] != "#"] == ["a_b_2 4.0", "a_b_total 3", "a_b 1.0"]


def test_final_values_of_renamed_instruments_keep_their_names():
    registry = Registry()
    registry.gauge("a/b").set(1)
    registry.gauge("a.b").set(2)
    registry.counter("c/d").inc(3)
    registry.counter("c.d").inc(4)
    page = prometheus.render(registry)
    with store_of(registry).follow("prometheus"):
        registry.clear()
        assert prometheus.render(registry) == page
    assert prometheus.render(registry) == b""


def test_final_values_never_share_a_name_even_if_another_page_came_first():
    registry = Registry()
    registry.gauge("a/b").set(1)
    registry.gauge("a.b").set(2)
    prometheus.render(registry)
    with store_of(registry).follow("prometheus"):
        registry.clear()
        prometheus.render(registry, reader="other")
        page = prometheus.render(registry)
    assert sorted(families(page)) == ["a_b", "a_b_2"]


def test_pages_read_by_several_threads_during_registrations_have_every_name_once():
    registry = Registry()
    start = threading.Barrier(3)
    broken: list[bytes] = []

    def register() -> None:
        start.wait()
        for number in range(150):
            for separator in "/.-":
                registry.counters(f"a{separator}{number}", labels=("x",)).labels("1").inc()

    def scrape() -> None:
        start.wait()
        for _ in range(20):
            page = prometheus.render(registry)
            if len(families(page)) != len(set(families(page))):
                broken.append(page)

    threads = [threading.Thread(target=work) for work in (register, scrape, scrape)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken
    page = prometheus.render(registry)
    assert len(families(page)) == 450
    assert page.count(b"# TYPE a_7") == 30 + 3


def test_labels_and_values_stay_together_while_children_change_and_pages_are_read():
    registry = Registry()
    family = registry.counters("hits", labels=("n",), max_children=10_000)
    start = threading.Barrier(3)
    broken: list[bytes] = []

    def change() -> None:
        start.wait()
        for number in range(1, 2000):
            family.labels(str(number)).inc(number)
            family.remove(str(number - 300))

    def scrape() -> None:
        start.wait()
        for _ in range(30):
            for line in prometheus.render(registry).splitlines():
                found = re.fullmatch(rb'hits_total\{n="(\d+)"\} (\d+)', line)
                # A child that was created by the update may be read before it.
                if found and found[1] != found[2] != b"0":
                    broken.append(line)

    threads = [threading.Thread(target=work) for work in (change, scrape, scrape)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not broken
