"""Instruments of a reporter about itself."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from metrics.errors import DuplicateMetricError
from metrics.instruments import BucketHistogram, Counter
from metrics.instruments._inner import DURATION_BOUNDS
from metrics.registry import Registry


class Statistics(NamedTuple):
    """Instruments of one reporter."""

    sent: Counter
    failed: Counter
    dropped: Counter
    latency: BucketHistogram


@contextmanager
def statistics(registry: Registry, name: str) -> Iterator[Statistics]:
    """Register a reporter's own instruments as `reporter/<name>/...` while the block runs.

    Raises:
        DuplicateMetricError: another reporter has this name.
    """
    made = Statistics(Counter(), Counter(), Counter(), BucketHistogram(DURATION_BOUNDS))
    about: dict[str, tuple[Counter | BucketHistogram, str]] = {
        "sent": (made.sent, "Payloads that the server took"),
        "failed": (made.failed, "Requests that failed or were refused"),
        "dropped": (made.dropped, "Payloads that were lost, at least in part"),
        "latency": (made.latency, "Time that successful requests took"),
    }
    with ExitStack() as stack:
        for field, (instrument, description) in about.items():
            full_name = f"reporter/{name}/{field}"
            unit = "seconds" if instrument is made.latency else ""
            try:
                registry.register(full_name, instrument, description=description, unit=unit)
            except DuplicateMetricError as error:
                error.add_note(
                    f"another reporter has the name {name!r}; give this one another with name="
                )
                raise
            stack.callback(registry.unregister, full_name, instrument)
        yield made
