"""Health checks of a registry: found by name, and run when they are read."""

from collections.abc import Iterable
from math import inf

from metrics.instruments import Family, Healthcheck
from metrics.instruments._inner import label_text, refresh
from metrics.registry._entries import Entry


def healthchecks(entries: Iterable[Entry]) -> dict[str, Healthcheck]:
    """Return full names and health checks of entries; children are named with their labels."""
    found: dict[str, Healthcheck] = {}
    for entry in entries:
        instrument = entry.instrument
        if isinstance(instrument, Healthcheck):
            found[entry.name] = instrument
        elif isinstance(instrument, Family):
            for values, child in instrument.children().items():
                found[entry.name + label_text(instrument.labelnames, values)] = child
    return found


def run_stale(entries: Iterable[Entry], max_age: float) -> None:
    """Run all health checks whose results are older than `max_age` seconds.

    Blocks for the longest limit of a stale check at most.
    """
    checks = healthchecks(entries)
    if checks:
        refresh(checks.values(), max_age)


def run_all(entries: Iterable[Entry]) -> dict[str, Exception | None]:
    """Run all health checks now; return full names and errors, None for healthy ones.

    Checks without a result are left out.
    """
    checks = healthchecks(entries)
    refresh(checks.values(), -inf)
    return {name: check.error for name, check in checks.items() if check.checked}
