"""Waiting times between two tries of a server that does not take its payloads."""

from typing import final

from metrics.instruments._inner import RANDOM, RandomSource

FIRST = 1.0
"""Longest wait before the second try, in seconds."""

LONGEST = 60.0
"""Longest wait between two tries, in seconds, unless the server requests more."""

LONGEST_REQUESTED = 600.0
"""Longest wait that a server can request, in seconds; longer ones are taken for mistakes."""


@final
class Backoff:
    """Exponential backoff with jitter: every failure doubles the wait, half of which is random.

    The random half keeps the clients of a server from returning all at once (Brooker, "Exponential
    Backoff And Jitter", 2015: equal jitter).

    Args:
        rng: the source of the random half.
    """

    __slots__ = ("_failures", "_rng")

    def __init__(self, rng: RandomSource = RANDOM) -> None:
        self._rng = rng
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last success."""
        return self._failures

    def wait_after_failure(self, retry_after: float = 0.0) -> float:
        """Count a failure; return the seconds to wait, at least as many as the server requests."""
        # The exponent is bounded, because years of failures must not overflow a float.
        longest = min(FIRST * 2.0 ** min(self._failures, 32), LONGEST)
        self._failures += 1
        wait = longest / 2 * (1.0 + self._rng.random())
        return max(wait, min(retry_after, LONGEST_REQUESTED))

    def reset(self) -> None:
        """Return to the first wait, after a success."""
        self._failures = 0
