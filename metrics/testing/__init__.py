"""What tests need: a leak check, providers overridden, time driven by hand, metrics recorded.

    from dependency_injector import providers
    from metrics import Meter, resources
    from metrics.lifecycle import MetricsContainer, Resource
    from metrics.testing import ManualTicker, no_leaks, overridden, recorded


    def handle(requests: Meter) -> None:
        requests.mark()


    class Container(MetricsContainer):
        registry, ticker = MetricsContainer.registry, MetricsContainer.ticker
        requests = Resource(resources.meter, registry, "rpc/requests")
        handle = providers.Callable(handle, requests)


    def test_requests_are_metered() -> None:
        container, ticker = Container(), ManualTicker()
        with no_leaks(), overridden(container, ticker=ticker, clock=ticker.clock):
            with recorded(container.registry()) as changes:
                container.handle()
                ticker.advance(60)  # twelve ticks, in this thread
                assert changes["rpc/requests"].count == 1
            assert 0 < container.requests().snapshot().rate1 < 0.2
            container.shutdown_resources()

Loading this loads none of it, because pytest loads it in every run: each name is there, with what
it needs, as soon as it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metrics.testing.clock import ManualClock
    from metrics.testing.leaks import Leak, LeakError, assert_no_leaks, no_leaks
    from metrics.testing.overriding import overridden
    from metrics.testing.recording import Change, Changes, FamilyChange, assert_recorded, recorded
    from metrics.testing.ticker import ManualTicker

MODULES = {
    "Change": "recording",
    "Changes": "recording",
    "FamilyChange": "recording",
    "Leak": "leaks",
    "LeakError": "leaks",
    "ManualClock": "clock",
    "ManualTicker": "ticker",
    "assert_no_leaks": "leaks",
    "assert_recorded": "recording",
    "no_leaks": "leaks",
    "overridden": "overriding",
    "recorded": "recording",
}
"""The module of each public name."""

__all__ = [
    "Change",
    "Changes",
    "FamilyChange",
    "Leak",
    "LeakError",
    "ManualClock",
    "ManualTicker",
    "assert_no_leaks",
    "assert_recorded",
    "no_leaks",
    "overridden",
    "recorded",
]


# Hidden from type checkers, which would take every name for one that there is.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{MODULES[name]}"), name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
