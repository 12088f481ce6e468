"""Shared time of a manual ticker and the manual clock that is given with it."""

from collections.abc import Mapping

from dependency_injector import providers

from metrics.testing.clock import ManualClock
from metrics.testing.ticker import ManualTicker


def share_clock(given: Mapping[str, object]) -> None:
    """Have tickers that were made without a clock go by the one that is given with them.

    With two clocks a ticker would move the one, and instruments would go by the other.

    Raises:
        ValueError: a ticker goes by a clock that is none of those given.
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


def value_of(given: object) -> object:
    """Return a given value, by itself or in a provider."""
    return given() if type(given) is providers.Object else given
