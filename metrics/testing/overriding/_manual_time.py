"""Manual clocks among the replacements: each drives a manual ticker, and no real one."""

from collections.abc import Iterable, Mapping

from dependency_injector import containers, providers

from metrics import resources
from metrics.lifecycle._testing import namer
from metrics.testing._clock import ManualClock
from metrics.testing._ticker import ManualTicker
from metrics.testing.overriding._dependents import Dependencies
from metrics.testing.overriding._options import Provider
from metrics.testing.overriding._replacements import Replacement
from metrics.ticker import Ticker


def share_clock(given: Mapping[str, object]) -> None:
    """Have tickers that were made without a clock go by the one that is given with them.

    With two clocks a ticker would move the one, and instruments would go by the other.

    Raises:
        ValueError: a ticker goes by a clock that is none of the given ones.
    """
    values = {name: value_of(each) for name, each in given.items()}
    clocks = {name: value for name, value in values.items() if isinstance(value, ManualClock)}
    for name, ticker in values.items():
        if not isinstance(ticker, ManualTicker):
            continue
        others = [clock for clock in clocks.values() if clock is not ticker.clock]
        if len(others) < len(clocks) or not clocks:
            continue
        if any(other is not others[0] for other in others) or not ticker._go_by(others[0]):
            raise ValueError(
                f"{name!r} moves a clock of its own, and not {' or '.join(map(repr, clocks))}: "
                "make it with the same one, ManualTicker(clock=clock)"
            )


def check_tickers(container: containers.DynamicContainer, replaced: Iterable[Replacement]) -> None:
    """Raise ValueError if a ticker with a thread is given a manual clock.

    It waits for seconds of the machine, so that nothing is ticked when the clock advances.
    """
    clocks: dict[Provider, str] = {}
    others: set[Provider] = set()
    for provider, given, by_name in replaced:
        if isinstance(value_of(given), ManualClock):
            clocks[provider] = next(iter(by_name))
        else:
            others.add(provider)
    if not clocks:
        return
    dependencies = Dependencies(container)
    name_of = namer([container, *dependencies.containers])
    for provider in dependencies.dependents(clocks, present=True):
        if is_ticker(provider) and provider not in others and provider.last_overriding is None:
            clock, ticker = next(iter(clocks.values())), name_of(provider)
            raise ValueError(
                f"{clock!r} is a manual clock, and nothing would tick: {ticker!r} waits for "
                "seconds of the machine; replace it as well, with "
                f"overridden(container, {{{ticker!r}: ManualTicker(), {clock!r}: clock}})"
            )


def is_ticker(provider: Provider) -> bool:
    """Return whether a provider creates a ticker with a thread."""
    return getattr(provider, "provides", None) in {resources.ticker, Ticker}


def value_of(given: object) -> object:
    """Return a given value, by itself or in a provider."""
    return given() if type(given) is providers.Object else given
