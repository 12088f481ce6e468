"""Workers of one program that answer for all of them, whichever one is scraped.

    class Container(MetricsContainer):
        shared = Resource(processes.share, MetricsContainer.registry)

The workers of uvicorn, gunicorn, Celery and multiprocessing find each other by their common
ancestor. Every page, `registry.snapshot()` and every health answer of one of them has the values of
all; updates cost the same as without. It needs POSIX: file locks and Unix sockets.

| Instrument | Value of the group |
| --- | --- |
| counters, meters' counts, buckets, counts and sums | exact sum, with ended processes |
| up-down counters, rates | sum over living processes |
| gauges | sum, min, max, last change, or a series for each worker number |
| percentiles of samples | estimate from the samples of living processes |
| resetting timers | values of the last minute, for every reader |
| info labels and states | one series if all are equal, else one for each worker number |
| health checks | the first failure in any process |

A sum never falls, also when workers are killed: their increments since the last scrape or tick are
lost, and all others stay. A child that one process removes, or that expires there, keeps its counts
in the sum as long as another process has a child of its labels. When the last process leaves, the
totals end with the group. `clear` of an instrument takes its count from the sum.

All processes of a group run as one user. Exemplars are not shared. Metrics of another library's
registry, and instruments of the program's own kinds, show the values of the process that is
scraped. A collector of the machine measures the same in each process: declare it in one process
only.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from metrics._fork import survives_fork
from metrics.deadline import remaining
from metrics.integrations._group.ancestry import program_key
from metrics.integrations._group.files import MODES
from metrics.integrations._group.member import GroupMember
from metrics.registry import Registry
from metrics.registry._inner import Registrations

REPORTERS = ("each", "one")
"""Values of the option `reporters`."""

DEFAULT_MODES = {
    "processes/workers": "max",
    "system/cpu/procload": "worker",
    "system/cpu/threads": "worker",
    "system/memory/held": "worker",
    "system/memory/objects": "worker",
    "process/*": "worker",
    "python/threads": "worker",
}
"""Modes of the gauges of this library that describe one process."""


@survives_fork
@contextmanager
def share(
    registry: Registry,
    *,
    gauges: Mapping[str, str] | str = "sum",
    reporters: str = "each",
    name: str = "",
    group: str | None = None,
    directory: str | Path | None = None,
) -> Iterator[GroupMember | None]:
    """Share the values of a registry with the other processes of the program.

    Declare it after the registry, and before the reporters if one reports for all. Instruments may
    be declared before it or after it. A forked process joins at its first use of the library other
    than an update: a read, a request to its container, `init_resources()`.

    Args:
        registry: the registry. A disabled one is not shared.
        gauges: mode of all gauges, or of each by its name without the registry's prefix: "sum",
            "min", "max", "last" (the value that has changed last, as far as scrapes and ticks
            notice it) or "worker" (one series for each worker number, with the label `worker`).
            Names may be patterns such as "queue/*"; the first one that matches decides. Gauges of
            the collectors of this process have one series for each worker.
        reporters: "each" process reports its own values under an identity of its own, or "one"
            reports for all under the identity of the group: the living one that has joined first.
            When another takes its place, increments of one interval may be counted twice in formats
            that have increments; totals are exact. Destinations that do not distinguish processes,
            such as Pushgateway and Graphite, need "one".
        name: distinguishes several groups of one program, such as two registries in a process.
        group: identity of the program, for processes with no common ancestor; the processes of one
            user with the same text are one group.
        directory: directory of all groups of this user, which is created with mode 0700; by default
            `metrics-<uid>` in /dev/shm, or in the directory of temporary files. Its path must be
            short, because sockets are in it.

    Yields:
        The membership, with its `number` and `directory`; None of a disabled registry.

    Raises:
        LifecycleError: this process shares another registry in the same group.
        OSError: the directory cannot be used, or belongs to another user.
        TypeError, ValueError: an option is malformed.
    """
    modes = checked_modes(gauges)
    if reporters not in REPORTERS:
        raise ValueError(
            f"invalid reporters {reporters!r}: use {' or '.join(map(repr, REPORTERS))}"
        )
    for option, value in (("name", name), ("group", group)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"invalid {option} {value!r}: use a str")

    def mode_of(full_name: str) -> str:
        own = full_name.removeprefix(registry.prefix)
        return next((mode for pattern, mode in modes.items() if fnmatchcase(own, pattern)), "sum")

    if not registry.enabled:
        # The values of a disabled registry are none.
        yield None
        return
    path = default_directory() if directory is None else Path(directory).absolute()
    with Registrations(registry) as own:
        try:
            skipped = own.counter(
                "processes/skipped",
                description="Foreign or truncated files of the group that were left out of a read",
            )
            member = GroupMember(
                registry,
                path / program_key(name, group),
                mode_of,
                skipped,
                elects=reporters == "one",
            )
            try:
                own.int_gauge(
                    "processes/workers",
                    function=member.count_workers,
                    description="Living processes of the group",
                )
                if registry.ticker is not None:
                    registry.ticker.add(member)
                yield member
            finally:
                if registry.ticker is not None:
                    registry.ticker.discard(member)
                member.leave(remaining())
        finally:
            own.close()


def checked_modes(gauges: Mapping[str, str] | str) -> dict[str, str]:
    """Return patterns of names and modes, in the order in which they are tried.

    Raises:
        TypeError: `gauges` is neither a mode nor a mapping.
        ValueError: a mode is unknown.
    """
    if isinstance(gauges, str):
        patterns = {**DEFAULT_MODES, "*": gauges}
    elif isinstance(gauges, Mapping):
        patterns = {**gauges, **{n: m for n, m in DEFAULT_MODES.items() if n not in gauges}}
    else:
        raise TypeError(f"invalid gauges {gauges!r}: use a mode, or a mapping of names to modes")
    for pattern, mode in patterns.items():
        if mode not in MODES:
            raise ValueError(
                f"invalid mode {mode!r} of {pattern!r}: use one of {', '.join(map(repr, MODES))}"
            )
    return patterns


def default_directory() -> Path:
    """Return the directory of all groups of this user, in memory if the system has such a place."""
    memory = Path("/dev/shm")  # noqa: S108 - the directory in it is private
    # A file system on a disk may write a file out whenever it is replaced.
    is_usable = memory.is_dir() and os.access(memory, os.W_OK | os.X_OK)
    parent = memory if is_usable else Path(tempfile.gettempdir()).absolute()
    return parent / f"metrics-{os.geteuid()}"
