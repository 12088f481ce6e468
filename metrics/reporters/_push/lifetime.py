"""How long a reporter runs: while the block does that a container enters and leaves."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from metrics.clock import SYSTEM_CLOCK
from metrics.deadline import remaining
from metrics.options import seconds
from metrics.registry import Registry
from metrics.registry._inner import store_of
from metrics.reporters._push.options import Options, check_known, checked_name, chosen
from metrics.reporters._push.payloads import Read, Reading
from metrics.reporters._push.reporter import (
    BUFFERED,
    BUFFERED_BYTES,
    INTERVAL,
    TIMEOUT,
    Reporter,
)
from metrics.reporters._push.statistics import statistics
from metrics.reporters._transports.transport import Transport


@contextmanager
def reporting(
    registry: Registry,
    kind: str,
    read: Read,
    transport: Transport,
    options: Options,
    accepted: type = Options,
) -> Iterator[Reporter]:
    """Report a registry while the block runs, and once more in the end.

    The last report has all that was updated before, by instruments that were unregistered too. It
    takes no longer than the stop of the container may. A disabled registry is not reported.

    Args:
        registry: what to report.
        kind: names the reporter, unless the options do.
        read: reads what is to be reported.
        transport: delivers it.
        options: what the reporter was told.
        accepted: what it can be told, `Options` or one derived from it; an option that is not among
            these is an error.

    Raises:
        StopTimeoutError: the reporter has not ended in its time.
        DuplicateMetricError: another reporter of the registry has this name.
        TypeError, ValueError: an option is malformed.
    """
    check_known(options, accepted)
    name = checked_name(options.get("name"), kind)
    clock = chosen(options.get("clock"), SYSTEM_CLOCK)
    # The prefix tells reporters of two children of one registry apart.
    reader = f"{registry.prefix}reporter/{name}"
    with statistics(registry, name) as counted:
        following = ExitStack()
        reporter = Reporter(
            name,
            lambda: read(Reading(reader, clock.time_ns())),
            transport,
            counted,
            interval=seconds(options.get("interval"), "interval", INTERVAL),
            timeout=seconds(options.get("timeout"), "timeout", TIMEOUT),
            buffered=chosen(options.get("buffered"), BUFFERED),
            buffered_bytes=chosen(options.get("buffered_bytes"), BUFFERED_BYTES),
            clock=clock,
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
                # Stopped by a function that it reads, it makes its last report later.
                if not reporter.running:
                    following.close()
