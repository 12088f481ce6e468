"""Scrapers that share a page all see the values of a resetting timer."""

import json as json_module
import math
import threading

import pytest

from metrics import Registry, ResettingTimer
from metrics.exporters import expvar, json, openmetrics, prometheus
from metrics.exporters._series.recent import LIMIT, Records
from metrics.registry._inner import store_of
from metrics.testing import ManualClock

PAGES = {
    "prometheus": prometheus,
    "openmetrics": openmetrics,
    "json": json,
    "expvar": expvar,
}


def registry_with(clock: ManualClock) -> Registry:
    return Registry(clock=clock)


def median(registry: Registry, window: float = 60.0, name: str = "pause") -> str | None:
    """Return the text of the median on the page; None without values."""
    lines = prometheus.render(registry, window=window).decode().splitlines()
    start = f'{name}_seconds{{quantile="0.5"}} '
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), None)


def records(registry: Registry, reader: str = "prometheus") -> Records:
    return store_of(registry).keep_shared(f"recent values of {reader}", Records)


@pytest.mark.parametrize("name", PAGES)
def test_a_second_scraper_sees_the_values_that_the_first_has_read(name):
    registry = registry_with(ManualClock())
    registry.resetting_timer("pause").update(0.5)
    registry.resetting_timers("wait", labels=("shop",)).labels("a").update(0.25)
    render = PAGES[name].render
    first = render(registry, window=60.0)
    assert render(registry, window=60.0) == first
    assert b"0.25" in first or b"250000000" in first


@pytest.mark.parametrize("name", PAGES)
def test_without_a_window_a_reader_sees_the_values_since_its_last_read(name):
    registry = registry_with(ManualClock())
    registry.resetting_timer("pause").update(0.5)
    render = PAGES[name].render
    first = render(registry)
    assert render(registry) != first
    assert render(registry, reader="other") == first


def test_two_scrapers_in_turn_see_every_value():
    clock = ManualClock()
    registry = registry_with(clock)
    timer = registry.resetting_timer("pause")
    seen: dict[str, set[str | None]] = {"a": set(), "b": set()}
    for second in range(1, 9):
        timer.update(float(second))
        clock.advance(7.5)
        seen["ab"[second % 2]].add(median(registry, 16.0))
    # Each scraper comes every 15 seconds, and sees two values of each interval or more.
    assert seen == {"a": {"1.5", "3.0", "5.0", "7.0"}, "b": {"1.0", "2.0", "4.0", "6.0"}}


def test_values_leave_the_page_after_the_window():
    clock = ManualClock()
    registry = registry_with(clock)
    registry.resetting_timer("pause").update(0.5)
    assert median(registry) == "0.5"
    clock.advance(60.0)
    assert median(registry) == "0.5"
    clock.advance(0.5)
    assert median(registry) is None


def test_totals_never_fall():
    clock = ManualClock()
    registry = registry_with(clock)
    timer = registry.resetting_timer("pause")
    for count in (1, 2, 3):
        timer.update(1.0)
        clock.advance(100.0)
        text = prometheus.render(registry, window=60.0).decode()
        assert f"pause_seconds_count {count}\n" in text
        assert f"pause_seconds_sum {float(count)}\n" in text


def test_the_counts_of_json_are_those_of_the_window():
    clock = ManualClock()
    registry = registry_with(clock)
    timer = registry.resetting_timer("pause")
    for _ in range(3):
        timer.update(1.0)
        clock.advance(30.0)
        page = json_module.loads(json.render(registry, window=60.0))
    assert page["pause"]["count"] == 3
    clock.advance(45.0)
    page = json_module.loads(json.render(registry, window=60.0))
    assert page["pause"]["count"] == 1


def test_go_ethereums_dialect_leaves_a_timer_out_when_the_window_is_empty():
    clock = ManualClock()
    registry = registry_with(clock)
    registry.resetting_timer("pause").update(1.0)
    for expected in (True, True, False):
        page = prometheus.render(registry, dialect="go-ethereum", window=60.0)
        assert (page != b"") is expected
        clock.advance(40.0)


def test_readers_have_windows_of_their_own():
    registry = registry_with(ManualClock())
    registry.resetting_timer("pause").update(0.5)
    prometheus.render(registry, window=60.0)
    page = openmetrics.render(registry, window=60.0)
    assert b"0.5" in page


def test_a_page_of_a_child_registry_leaves_its_values_to_the_page_of_the_parent():
    registry = registry_with(ManualClock())
    child = registry.child("sub")
    child.resetting_timer("pause").update(0.5)
    assert median(child, name="sub_pause") == "0.5"
    assert median(registry, name="sub_pause") == "0.5"


def test_other_instruments_have_their_present_values():
    registry = registry_with(ManualClock())
    registry.histogram("size").update(1.0)
    registry.counter("hits").inc()
    plain = prometheus.render(registry)
    assert prometheus.render(registry, window=60.0) == plain
    assert json.render(registry, window=60.0) == json.render(registry)


def test_an_instrument_that_was_cleared_shows_its_new_values_only():
    registry = registry_with(ManualClock())
    timer = registry.register("pause", ResettingTimer())
    for _ in range(5):
        timer.update(9.0)
    assert median(registry) == "9.0"
    timer._reservoir.clear()
    timer.update(1.0)
    assert median(registry) == "1.0"


def test_a_child_that_was_removed_and_created_again_has_its_own_values():
    registry = registry_with(ManualClock())
    family = registry.resetting_timers("pause", labels=("shop",))
    for value in (9.0, 1.0):
        family.labels("a").update(value)
        page = prometheus.render(registry, window=60.0).decode()
        assert f'quantile="0.5"}} {value}\n' in page
        family.remove("a")


@pytest.mark.parametrize("name", PAGES)
def test_records_of_children_and_instruments_that_are_gone_are_dropped(name):
    registry = registry_with(ManualClock())
    family = registry.resetting_timers("pause", labels=("shop",))
    for shop in ("a", "b"):
        family.labels(shop).update(1.0)
    registry.resetting_timer("other").update(1.0)
    render = PAGES[name].render
    render(registry, window=60.0)
    family.remove("a")
    registry.unregister("other")
    render(registry, window=60.0)
    assert {key: set(found) for key, found in records(registry, name)._by_name.items()} == {
        "pause": {("b",)}
    }


def test_a_record_holds_a_bounded_number_of_values_and_batches_and_exact_totals():
    clock = ManualClock()
    registry = registry_with(clock)
    timer = registry.resetting_timer("pause")
    for _ in range(200):
        for _ in range(1000):
            timer.update(1.0)
        clock.advance(0.25)
        page = json_module.loads(json.render(registry, window=60.0))
    record = records(registry, "json")._by_name["pause"][()]
    assert len(record.batches) <= 20
    assert sum(len(batch.values) for batch in record.batches) <= LIMIT
    assert page["pause"]["count"] == 200_000


def test_scrapers_at_the_same_time_miss_no_value():
    registry = registry_with(ManualClock())
    timer = registry.resetting_timer("pause")
    start = threading.Barrier(4)
    counts: list[int] = []

    def scrape() -> None:
        start.wait()
        for _ in range(50):
            timer.update(1.0)
            json.render(registry, window=60.0)
        counts.append(json_module.loads(json.render(registry, window=60.0))["pause"]["count"])

    threads = [threading.Thread(target=scrape) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(counts) == 200


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("window", "error"),
    [(-1.0, ValueError), (math.nan, ValueError), (math.inf, ValueError), ("60", TypeError)],
)
def test_a_wrong_window_is_an_error_at_the_call(name, window, error):
    with pytest.raises(error, match="window"):
        PAGES[name].stream(Registry(), window=window)
