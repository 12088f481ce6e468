"""The demonstration moves every kind of instrument, and leaves nothing when it stops."""

import itertools
import math
import threading
from functools import partial
from random import Random

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.demo import DAY_SECONDS, MOST_TERMS, DemoContainer, Shop, ShopInstruments
from container import Container
from metrics import Registry
from metrics.lifecycle import State, graph
from metrics.testing import ManualTicker
from tests.descriptors import descriptors
from tests.processes import fetch, until

SHOP = ["requests", "sizes", "lookups", "searches", "errors", "queue", "payments", "shop"]


@pytest.fixture
def registry() -> Registry:
    return Registry(ticker=ManualTicker())


@pytest.fixture
def shop(registry) -> Shop:
    instruments = ShopInstruments(
        registry.timers("requests", ("method", "route", "status")),
        registry.bucket_histograms("sizes", ("route",), unit="bytes"),
        registry.counters("lookups", ("result",)),
        registry.counters("searches", ("term",), max_children=MOST_TERMS),
        registry.counters("errors", ("source",)),
        registry.int_gauge("queue"),
        registry.healthcheck("payments"),
    )
    return Shop(instruments, Random(1))


def total(registry: Registry, name: str) -> int:
    return sum(child.count for child in registry.get(name).snapshot().children.values())


def test_traffic_comes_in_waves(shop, registry):
    counts = []
    for _ in range(4):
        before = total(registry, "requests")
        shop.advance(DAY_SECONDS / 4)
        counts.append(total(registry, "requests") - before)
    # The morning has the rush hour.
    assert counts[0] > 2 * counts[2] > 0
    assert 0.7 < sum(counts) / (60 * DAY_SECONDS) < 1.3


def test_within_five_seconds_all_of_it_moves(shop, registry):
    shop.advance(5.0)
    names = ("requests", "sizes", "lookups", "searches")
    assert all(total(registry, name) > 10 for name in names)


def test_the_health_check_fails_for_a_few_seconds_now_and_then(shop, registry):
    check = registry.get("payments")
    states = []
    for _ in range(1200):
        shop.advance(0.1)
        states.append(check.snapshot().error is None)
        assert states[-1] is not shop.is_out
    assert 0.05 < states.count(False) / len(states) < 0.5
    changes = sum(a != b for a, b in itertools.pairwise(states))
    assert 4 <= changes <= 20


def test_errors_come_in_bursts(shop, registry):
    per_second = []
    for _ in range(120):
        before = total(registry, "errors")
        shop.advance(1.0)
        per_second.append(total(registry, "errors") - before)
    assert per_second.count(0) > 60
    assert max(per_second) > 3


def test_searches_hit_the_cap_of_their_family(shop, registry):
    shop.advance(DAY_SECONDS)
    snapshot = registry.get("searches").snapshot()
    assert len(snapshot.children) == MOST_TERMS + 1
    assert snapshot.overflowed > 0


def test_the_queue_fills_and_empties(shop, registry):
    depths = []
    for _ in range(int(2 * DAY_SECONDS)):
        shop.advance(1.0)
        depths.append(registry.get("queue").snapshot().value)
    assert min(depths) >= 0
    assert max(depths) > 20
    assert min(depths[60:]) < 5


def test_nothing_of_it_is_in_the_container_of_the_agent():
    assert not {*SHOP} & {part.name for part in graph(Container()).resources}


def test_the_resources_of_the_shop_come_last():
    parts = graph(DemoContainer()).resources
    assert [part.name for part in parts][-len(SHOP) :] == SHOP
    assert {part.state for part in parts} == {State.NEW}


def demo_threads() -> int:
    return sum(thread.name == "demo-traffic" for thread in threading.enumerate())


def test_it_has_one_thread_and_leaves_nothing():
    container = DemoContainer()
    container.config.from_dict({"port": 0})

    def cycle() -> None:
        container.init_resources()
        assert demo_threads() == 1
        container.shutdown_resources()

    cycle()
    threads, files = threading.active_count(), descriptors()
    for _ in range(3):
        cycle()
    assert (threading.active_count(), demo_threads()) == (threads, 0)
    assert descriptors() == files


def test_a_disabled_registry_has_no_traffic():
    container = DemoContainer()
    container.config.from_dict({"port": 0, "enabled": False})
    container.init_resources()
    assert demo_threads() == 0
    container.shutdown_resources()


def values(url: str) -> dict[tuple, float]:
    page = fetch(f"{url}/metrics").decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_the_agents_pages_move(agent):
    running = agent("--demo", "--port", "0", "--for", "1m")
    url = running.url()
    before = values(url)

    def moved() -> bool:
        after = values(url)
        changed = {key[0] for key in after if after[key] != before.get(key, math.nan)}
        return changed >= {
            "shop_requests_seconds_count",
            "shop_responses_bytes_sum",
            "shop_cache_lookups_total",
            "shop_searches_total",
            "shop_requests_per_second",  # of a tick
        }

    until(partial(moved), "the shop moves")
    running.process.terminate()
    assert running.wait() == 0
    assert any("stopped 'shop'" in line for line in running.lines)
    assert running.lines[-1].endswith("stopped; left behind: nothing")


def test_it_is_off_by_default(agent):
    assert not any(key[0].startswith("shop") for key in values(agent("--port", "0").url()))
