"""Stand-ins for what a test must have in its own hands."""


class FakeClock:
    """A clock that stands still until it is told to advance; both of its times advance alike."""

    def __init__(self, monotonic: float = 1_000.0, epoch: float = 1_700_000_000.0) -> None:
        self._monotonic_ns = round(monotonic * 1_000_000_000)
        self._epoch_ns = round(epoch * 1_000_000_000)

    def monotonic(self) -> float:
        return self._monotonic_ns / 1_000_000_000

    def monotonic_ns(self) -> int:
        return self._monotonic_ns

    def time(self) -> float:
        return self._epoch_ns / 1_000_000_000

    def time_ns(self) -> int:
        return self._epoch_ns

    def advance(self, seconds: float) -> None:
        passed = round(seconds * 1_000_000_000)
        self._monotonic_ns += passed
        self._epoch_ns += passed
