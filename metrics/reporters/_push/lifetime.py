"""Lifetime of a reporter: the block that a container enters and leaves."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from metrics.deadline import remaining
from metrics.options import seconds
from metrics.registry import Registry
from metrics.registry._inner import Store, store_of
from metrics.reporters._push.options import (
    Options,
    checked_name,
    chosen,
    clock_of,
)
from metrics.reporters._push.payloads import Codec, Read, Report
from metrics.reporters._push.reporter import (
    BUFFERED,
    BUFFERED_BYTES,
    INTERVAL,
    TIMEOUT,
    Reporter,
)
from metrics.reporters._push.statistics import statistics
from metrics.reporters._transports.transport import Transport

T = TypeVar("T")


@contextmanager
def reporting(
    registry: Registry,
    kind: str,
    read: Read,
    transport: Transport,
    options: Options,
    codec: Codec | None = None,
) -> Iterator[Reporter]:
    """Report a registry while the block runs, and once more at its end.

    The last report has all earlier updates, also of instruments that are unregistered by then. It
    takes no longer than the stop of the container may. A disabled registry is not reported.

    Args:
        registry: the registry to report.
        kind: the name of the reporter, if the options have none.
        read: reads the payloads of a report.
        transport: delivers the payloads.
        options: the options of the reporter.
        codec: the encoding of the payloads; None for payloads that cannot be split. With one that
            merges, increments that no server has taken outlive the reporter: the next one of this
            name sends them.

    Raises:
        StopTimeoutError: the reporter has not ended in its time.
        DuplicateMetricError: another reporter of the registry has this name.
        TypeError, ValueError: an option is malformed.
    """
    name = checked_name(options.get("name"), kind)
    clock = clock_of(registry, options)
    # The prefix distinguishes reporters of two children of one registry.
    reader = f"{registry.prefix}reporter/{name}"
    with statistics(registry, name) as counted:
        following = ExitStack()
        reporter = Reporter(
            name,
            lambda: own_payloads(store_of(registry), reader, read(Report(reader, clock.time_ns()))),
            transport,
            counted,
            interval=seconds(options.get("interval"), "interval", INTERVAL),
            timeout=seconds(options.get("timeout"), "timeout", TIMEOUT),
            buffered=chosen(options.get("buffered"), BUFFERED),
            buffered_bytes=chosen(options.get("buffered_bytes"), BUFFERED_BYTES),
            clock=clock,
            codec=codec,
            undelivered=store_of(registry).keep(f"{reader}/{kind}/undelivered", list),
            on_end=following.close,
        )
        following.enter_context(store_of(registry).follow(reader))
        try:
            if registry.enabled:
                reporter.start()
            yield reporter
        finally:
            try:
                reporter.stop(remaining())
            finally:
                # A reporter stopped by a function that it reads makes its last report later.
                if not reporter.running:
                    following.close()


def own_payloads(store: Store, reader: str, payloads: Iterable[T]) -> Iterator[T]:
    """Yield payloads, unless another process reports for this one.

    They are read in any case: increments since the last report must not be sent a second time when
    that process ends and this one takes its place. If it ends during the read, the increments that
    were read are for this process to send.
    """
    if store.groups:
        payloads = list(payloads)
        if not store.is_reporting(reader):
            return
    yield from payloads
