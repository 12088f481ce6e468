"""Transports that need no server."""

import threading
from collections.abc import Callable

from metrics import BucketHistogram, Counter
from metrics.clock import Clock
from metrics.instruments._buckets import DURATION_BOUNDS
from metrics.reporters._push.backoff import Backoff
from metrics.reporters._push.outbox import Outbox
from metrics.reporters._push.sender import Sender
from metrics.reporters._push.statistics import Statistics
from tests.reporters.waiting import DEADLINE


class Recorded:
    """Keeps what was delivered; `fault`, called with each payload, may raise what goes wrong."""

    def __init__(self, fault: Callable[[bytes], object] = bool) -> None:
        self.fault = fault
        self.payloads: list[bytes] = []
        self.tries: list[tuple[bytes, float]] = []
        self.closed = 0
        self.abandoned = 0
        self.aborted = threading.Event()
        self._changed = threading.Condition()

    def send(self, payload: bytes, timeout: float) -> None:
        self.tries.append((payload, timeout))
        self.fault(payload)
        with self._changed:
            self.payloads.append(payload)
            self._changed.notify_all()

    def abort(self) -> None:
        self.aborted.set()

    def close(self) -> None:
        self.closed += 1

    def abandon(self) -> None:
        self.abandoned += 1

    def wait_for(self, count: int) -> list[bytes]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.payloads) >= count, DEADLINE)
            return self.payloads


class AllChance:
    """A random source that gives the most there is."""

    def random(self) -> float:
        return 1.0


def new_statistics() -> Statistics:
    return Statistics(Counter(), Counter(), Counter(), BucketHistogram(DURATION_BOUNDS))


def new_sender(
    transport: Recorded,
    clock: Clock,
    statistics: Statistics,
    payloads: int = 5,
    size: int = 100,
    **options,
) -> Sender:
    return Sender(
        "db",
        transport,
        statistics,
        Outbox(payloads, size),
        timeout=5.0,
        clock=clock,
        backoff=Backoff(AllChance()),
        **options,
    )
