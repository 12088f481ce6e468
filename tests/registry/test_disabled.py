"""A disabled registry returns no-ops, stays empty, and refuses the same malformed arguments."""

import pytest

from metrics import Counter, Family, Registry, Ticker
from metrics.registry._inner import KINDS
from tests.registry.makers import PLURAL, SINGULAR, make


@pytest.mark.parametrize("shortcut", SINGULAR)
def test_a_disabled_registry_returns_no_ops_and_stays_empty(shortcut: str):
    kind = SINGULAR[shortcut]
    ticker = Ticker()
    registry = Registry("app", ticker=ticker, enabled=False)
    assert not registry.enabled
    assert not registry.child("c").enabled
    made = [make(registry, shortcut), make(registry.child("c"), shortcut)]
    if f"{shortcut}s" in PLURAL:
        family = make(registry, f"{shortcut}s", "f")
        assert isinstance(family, Family)
        assert (family.kind, family.labelnames) == (kind, ("a",))
        made.append(family.labels("x"))
    for each in made:
        assert isinstance(each, kind)
        before = each.snapshot()
        for update in KINDS[kind].updates:
            getattr(each, update)(5)
        assert each.snapshot() == before
    assert registry.names() == ()
    assert registry.to_dict() == {}
    assert len(registry.snapshot()) == 0
    assert len(ticker) == 0


def test_a_disabled_registry_neither_keeps_nor_refuses_an_instrument():
    registry = Registry(enabled=False)
    counter = Counter()
    noop = registry.register("x", counter)
    noop.inc()
    assert counter.count == 0
    assert registry.gauge("x") is not None
    assert registry.get("x") is None
    assert not registry.unregister("x")
    registry.healthcheck("h", lambda: False)
    assert registry.run_healthchecks() == {}
    registry.clear()


@pytest.mark.parametrize("enabled", [True, False])
def test_malformed_options_are_refused_in_every_registry(enabled: bool):
    registry = Registry(enabled=enabled, labels={"zone": "eu"})
    with pytest.raises(ValueError, match="constant labels"):
        registry.counters("x", ("zone",))
    with pytest.raises(ValueError, match="reserved"):
        registry.counters("x", ("le",))
    with pytest.raises(ValueError):
        registry.bucket_histogram("x", (2.0, 1.0))
    with pytest.raises(ValueError, match="only one of"):
        registry.timer("x", bounds=(1.0,), sampled=True)
    with pytest.raises(TypeError, match="it is a snapshot"):
        registry.register("x", Counter().snapshot())
    assert len(registry) == 0
