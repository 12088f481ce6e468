"""A disabled registry hands out no-ops, and says the same of what is malformed."""

import pytest

from metrics import (
    Counter,
    Family,
    Registry,
    Ticker,
)
from tests.registry.makers import MAKERS, make


@pytest.mark.parametrize("maker", MAKERS)
def test_a_disabled_registry_hands_out_no_ops_and_stays_empty(maker: str):
    ticker = Ticker()
    registry = Registry("app", ticker=ticker, enabled=False)
    assert not registry.enabled
    assert not registry.child("c").enabled
    plain = make(registry, maker)
    family = make(registry, maker, "f", labels=("a",))
    for made in (plain, family.labels("x"), make(registry.child("c"), maker)):
        for update in ("inc", "set", "mark", "update"):
            if hasattr(type(plain), update) or hasattr(MAKERS[maker], update):
                getattr(made, update)(5)
        assert {made.snapshot().to_dict().get(key, 0) for key in ("count", "value")} == {0}
    assert isinstance(plain, MAKERS[maker])
    assert isinstance(family, Family)
    assert registry.names() == ()
    assert registry.to_dict() == {}
    assert len(registry.snapshot()) == 0
    assert len(ticker) == 0


def test_a_disabled_registry_neither_keeps_nor_refuses_anything():
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
