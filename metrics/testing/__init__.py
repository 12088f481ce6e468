"""Test kit: a leak check, overridden providers, time driven by hand, and recorded metrics.

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
        with no_leaks(), ManualTicker() as ticker:
            container = Container(ticker=providers.Object(ticker))
            with recorded(container.registry()) as changes:
                container.handle()
                ticker.advance(60)  # twelve ticks, in this thread
                assert changes["rpc/requests"].count == 1
                assert changes["rpc/errors"].count == 0  # never registered
            assert 0 < container.requests().snapshot().rate1 < 0.2
            container.shutdown_resources()

The import of this package loads none of its modules, because pytest imports it in every run; each
name is loaded at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metrics.testing._clock import ManualClock
    from metrics.testing._ticker import ManualTicker
    from metrics.testing.leaks import Leak, LeakError, LeakWarning, assert_no_leaks, no_leaks
    from metrics.testing.overriding import overridden
    from metrics.testing.recording import Change, Changes, FamilyChange, assert_recorded, recorded

MODULES = {
    "Change": "recording",
    "Changes": "recording",
    "FamilyChange": "recording",
    "Leak": "leaks",
    "LeakError": "leaks",
    "LeakWarning": "leaks",
    "ManualClock": "_clock",
    "ManualTicker": "_ticker",
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
    "LeakWarning",
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
