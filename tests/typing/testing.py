"""Types of the test kit: manual time, recorded changes, overridden providers and the leak check."""

from typing import assert_type

from metrics import Clock, Meter, Registry, Timer, resources
from metrics.lifecycle import MetricsContainer
from metrics.testing import (
    Change,
    Changes,
    FamilyChange,
    ManualClock,
    ManualTicker,
    assert_no_leaks,
    assert_recorded,
    no_leaks,
    overridden,
    recorded,
)

clock: Clock = ManualClock(epoch=0)
ticker = ManualTicker(2.0, ManualClock())
registry = Registry(ticker=ticker, clock=clock)
timer = Timer(clock=ticker.clock)
with ticker as entered, resources.meter(registry, "a", ticker=ticker) as meter:
    assert_type(entered, ManualTicker)
    assert_type(meter, Meter)
    ticker.advance(5)
with recorded(registry) as changes, recorded(MetricsContainer()):
    assert_type(changes, Changes)
    assert_type(changes["a"], Change | FamilyChange)
    assert changes["a"].count == 3
    assert changes["b"].labels("GET").values == (1.0,)
    assert changes["b", {"method": "GET"}].count == 1
    assert_type(changes.to_dict(), dict[str, dict[str, object]])
    assert_recorded("a", {"method": "GET"}, count=1)
with no_leaks(), overridden(MetricsContainer()) as container:
    assert_type(container, MetricsContainer)
assert_type(assert_no_leaks(), None)

ManualClock("0")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ManualTicker("2")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
ticker.advance()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
ticker.advance("5")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
recorded()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
no_leaks("all")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
overridden(5)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
