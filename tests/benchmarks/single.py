"""Rows of one operation at a time, in one thread or several, and of the import."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter_ns
from typing import NamedTuple

from .libraries import Library, Ours
from .row import Row, measure_in_turns
from .timing import Sample, empty_loop, statement, together

Peers = list[type[Library]]

Floor = tuple[str, str, Callable[[], object]]
"""Name, statement about `m`, and function that returns `m`."""

NO_OP: Floor = ("A no-op call (`list.clear()`)", "m.clear()", list)
CLOCKS: Floor = ("Two clock reads", "m(); m()", lambda: perf_counter_ns)
WITH_FLOAT = "The same update with a float"

UPDATES = {
    "`counter.inc()`": "count",
    "`meter.mark()`": "mark",
    "`gauge.set(1.5)`": "gauge",
    "`histogram.update(v)`, a sample": "reservoir",
    "`histogram.update(v)`, 14 buckets": "buckets",
}
INTEGERS = {
    "`gauge.set(2)`": ("gauge_int", "m.set(2.0)"),
    "`gauge.set_max(2)`": ("maximum_int", "m.set_max(2.0)"),
    "`histogram.update(2)`, a sample": ("reservoir_int", "m.update(2.0)"),
    "`histogram.update(2)`, 14 buckets": ("buckets_int", "m.update(2.0)"),
    "`timer.update(2)`": ("timer_int", "m.update(2.0)"),
}
LABELLED = {
    "`family.labels(a, b).inc()`": "labels",
    "`family.labels(m=a, s=b).inc()`": "keywords",
}
TIMED = {"`with timer.time()`": "block", "`@timer.timed`": "decorated"}
THREADS = {1: "1 thread", 4: "4 threads", 16: "16 threads"}


class Effort(NamedTuple):
    """Extent of a measurement: seconds a sample, rounds, and runs a thread.

    Many short samples find more moments without noise than few long ones.
    """

    seconds: float = 0.002
    rounds: int = 50
    runs: int = 200_000


def comparison(name: str, operation: str, floor: Floor, peers: Peers, effort: Effort) -> Row:
    """Return the row of an operation: its floor, ours, and every peer that has it."""
    floor_name, code, make = floor
    row = Row(name).add_floor(floor_name, lambda: statement(code, make(), effort.seconds))
    for library in (Ours, *peers):
        if operation in library.code:
            row.add(library.name, operate, library, operation, effort.seconds)
    return row


def measure_statements(rows: list[Row], effort: Effort) -> list[Row]:
    """Measure rows of statements, without the loop around these."""
    return measure_in_turns(rows, effort.rounds, empty_loop(effort.seconds))


def operate(kind: type[Library], operation: str, seconds: float) -> Sample:
    """Measure an operation of a library."""
    return statement(kind.code[operation], kind().make(operation), seconds)


def count_together(kind: type[Library], threads: int, runs: int) -> Sample:
    """Measure the increments of one counter by several threads."""
    return together(kind.code["count"], kind().make("count"), threads, runs)


def updates(peers: Peers, effort: Effort) -> Iterator[Row]:
    """Yield updates of instruments."""
    rows = [comparison(name, UPDATES[name], NO_OP, peers, effort) for name in UPDATES]
    yield from measure_statements(rows, effort)


def labels(peers: Peers, effort: Effort) -> Iterator[Row]:
    """Yield updates that find their series by label values."""
    rows = [comparison(name, LABELLED[name], NO_OP, peers, effort) for name in LABELLED]
    yield from measure_statements(rows, effort)


def integers(peers: Peers, effort: Effort) -> Iterator[Row]:
    """Yield updates with an int, whose floor is our own update with a float."""
    rows = [
        comparison(
            name, operation, (WITH_FLOAT, code, partial(make_ours, operation)), peers, effort
        )
        for name, (operation, code) in INTEGERS.items()
    ]
    yield from measure_statements(rows, effort)


def make_ours(operation: str) -> object:
    """Return the `m` of an operation of this library."""
    return Ours().make(operation)


def timers(peers: Peers, effort: Effort) -> Iterator[Row]:
    """Yield measurements of a duration, whose floor is the two clock reads that they contain."""
    rows = [comparison(name, TIMED[name], CLOCKS, peers, effort) for name in TIMED]
    yield from measure_statements(rows, effort)


def threads(peers: Peers, effort: Effort) -> Iterator[Row]:
    """Yield the time of an update when 1, 4 or 16 threads update one counter: 1 / throughput."""
    rows = []
    for number, label in THREADS.items():
        row = Row(f"`inc()` in {label} at once" if number > 1 else f"`inc()` in {label}")
        for library in (Ours, *peers):
            # A tenth of the runs fills many switch intervals of the slower libraries.
            runs = effort.runs if library is Ours else effort.runs // 10
            row.add(library.name, count_together, library, number, runs)
        rows.append(row)
    yield from measure_in_turns(rows, rounds=5)


def imports(peers: Peers, effort: Effort) -> Iterator[Row]:
    """Yield imports in a fresh process."""
    everything = Row("`import` of everything")
    for library in (Ours, *peers):
        everything.add(library.name, import_afresh, library.importing)
    ours = Row("`import metrics`, which loads a name at its first use")
    ours.add(Ours.name, import_afresh, "import metrics")
    yield from measure_in_turns([everything, ours], min(effort.rounds, 15))


def import_afresh(code: str) -> Sample:
    """Measure a statement in an interpreter that has imported nothing else."""
    program = (
        "from time import perf_counter\nbegan = perf_counter()\n"
        f"{code}\nprint(perf_counter() - began)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def sample() -> float:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            check=True,
            text=True,
        )
        return float(done.stdout)

    return sample
