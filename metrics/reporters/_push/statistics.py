"""What a reporter tells about itself, beside what it reports."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from metrics.errors import DuplicateMetricError
from metrics.instruments import BucketHistogram, Counter
from metrics.instruments._inner import DURATION_BOUNDS
from metrics.registry import Registry


class Statistics(NamedTuple):
    """The instruments of one reporter."""

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
        "failed": (made.failed, "Deliveries that did not work"),
        "dropped": (made.dropped, "Payloads that were lost"),
        "latency": (made.latency, "Time that deliveries took"),
    }
    with ExitStack() as stack:
        for field, (instrument, description) in about.items():
            full_name = f"reporter/{name}/{field}"
            unit = "seconds" if instrument is made.latency else ""
            try:
                registry.register(full_name, instrument, description=description, unit=unit)
            except DuplicateMetricError as error:
                error.add_note(
                    f"a reporter is called {name!r} already; give this one a name= of its own"
                )
                raise
            stack.callback(registry.unregister, full_name, instrument)
        yield made
