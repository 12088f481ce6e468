"""How long to leave a server alone that did not take what it was sent."""

from typing import final

from metrics.instruments._inner import RANDOM, RandomSource

FIRST = 1.0
"""Seconds before the second try, at most."""

LONGEST = 60.0
"""Seconds between two tries, at most, unless the server asks for more."""

LONGEST_ASKED = 600.0
"""Seconds that a server may ask for; more than that is taken for a mistake."""


@final
class Backoff:
    """Exponential backoff with jitter: every failure doubles the wait, of which half is chance.

    The chance keeps many clients of one server from coming back all at once (Brooker,
    "Exponential Backoff And Jitter", 2015: equal jitter).
    """

    __slots__ = ("_failures", "_rng")

    def __init__(self, rng: RandomSource = RANDOM) -> None:
        self._rng = rng
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def failed(self, retry_after: float = 0.0) -> float:
        """Count a failure; return the seconds to wait, as many as the server asked for at least."""
        # The exponent is bounded, because years of failures must not overflow a float.
        longest = min(FIRST * 2.0 ** min(self._failures, 32), LONGEST)
        self._failures += 1
        wait = longest / 2 * (1.0 + self._rng.random())
        return max(wait, min(retry_after, LONGEST_ASKED))

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0
