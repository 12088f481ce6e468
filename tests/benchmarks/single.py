"""One operation at a time, from one thread or several, and the import."""

import os
import subprocess
import sys
from collections.abc import Iterator
from time import perf_counter_ns
from typing import NamedTuple

from .libraries import Library, Ours
from .row import Row
from .timing import Sample, statement, together

NOOP: tuple[str, object] = ("m.clear()", [])
CLOCKS: tuple[str, object] = ("m(); m()", perf_counter_ns)

UPDATES = {
    "counter inc()": "count",
    "meter mark()": "mark",
    "gauge set(1.5)": "gauge",
    "reservoir histogram update()": "reservoir",
    "bucket histogram update()": "buckets",
}
# Each beside the same update with a float.
INTEGERS = {
    "gauge set(2)": ("gauge_int", "m.set(2.0)"),
    "gauge set_max(2)": ("maximum_int", "m.set_max(2.0)"),
    "reservoir histogram update(2)": ("reservoir_int", "m.update(2.0)"),
    "bucket histogram update(2)": ("buckets_int", "m.update(2.0)"),
    "timer update(2)": ("timer_int", "m.update(2.0)"),
}
LABELLED = {"labels(a, b).inc()": "labels", "labels(m=a, s=b).inc()": "keywords"}
TIMED = {"with timer.time()": "block", "decorated function": "decorated"}
THREADS = 4


class Effort(NamedTuple):
    """How long to measure: seconds a sample, rounds, and runs a thread."""

    seconds: float = 0.01
    rounds: int = 15
    runs: int = 200_000


def operations(
    names: dict[str, str], floor: tuple[str, object], peers: list[type[Library]], effort: Effort
) -> Iterator[Row]:
    """Yield a row for each operation."""
    for name, operation in names.items():
        yield comparison(name, operation, floor, peers, effort)


def comparison(
    name: str,
    operation: str,
    floor: tuple[str, object],
    peers: list[type[Library]],
    effort: Effort,
) -> Row:
    """Return the row of an operation: its floor, ours, and every peer that has it."""
    row = Row(name, rounds=effort.rounds)
    row.add("floor", statement, *floor, effort.seconds)
    for library in contestants(peers):
        if operation in library.code:
            row.add(library.name, operate, library, operation, effort.seconds)
    return row


def contestants(peers: list[type[Library]]) -> list[type[Library]]:
    return [Ours, *peers]


def operate(kind: type[Library], operation: str, seconds: float) -> Sample:
    return statement(kind.code[operation], kind().make(operation), seconds)


def count_together(kind: type[Library], threads: int, runs: int) -> Sample:
    return together(kind.code["count"], kind().make("count"), threads, runs)


def floors(effort: Effort) -> Iterator[Row]:
    """Yield what nothing in Python can be faster than, under our column."""
    for name, floor in {"floor: a C method, no-op": NOOP, "floor: two clock reads": CLOCKS}.items():
        yield Row(name, rounds=effort.rounds).add(Ours.name, statement, *floor, effort.seconds)


def updates(peers: list[type[Library]], effort: Effort) -> Iterator[Row]:
    yield from floors(effort)
    yield from operations(UPDATES, NOOP, peers, effort)


def integers(peers: list[type[Library]], effort: Effort) -> Iterator[Row]:
    """Yield updates with an int, whose floor is our own update with a float."""
    for name, (operation, with_float) in INTEGERS.items():
        floor = with_float, Ours().make(operation)
        yield comparison(name, operation, floor, peers, effort)


def labels(peers: list[type[Library]], effort: Effort) -> Iterator[Row]:
    yield from operations(LABELLED, NOOP, peers, effort)


def timers(peers: list[type[Library]], effort: Effort) -> Iterator[Row]:
    yield from operations(TIMED, CLOCKS, peers, effort)


def threads(peers: list[type[Library]], effort: Effort) -> Iterator[Row]:
    """Yield the time of an update when several threads update one counter: 1 / throughput."""
    row = Row(f"inc() in {THREADS} threads at once", rounds=5)
    row.add("floor", together, *NOOP, THREADS, effort.runs)
    for library in contestants(peers):
        # The slow ones need fewer to fill many switch intervals.
        runs = effort.runs if library is Ours else effort.runs // 5
        row.add(library.name, count_together, library, THREADS, runs)
    yield row


def imports(peers: list[type[Library]], effort: Effort) -> Iterator[Row]:
    everything = Row("import everything, fresh process", rounds=effort.rounds)
    for library in contestants(peers):
        everything.add(library.name, importing, library.importing)
    yield everything
    # Ours loads the rest when it is asked for.
    yield Row("import metrics", rounds=effort.rounds).add(Ours.name, importing, "import metrics")


def importing(code: str) -> Sample:
    """Measure a statement in an interpreter that has imported nothing else."""
    program = (
        "from time import perf_counter\nbegan = perf_counter()\n"
        f"{code}\nprint(perf_counter() - began)"
    )
    found_here = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}

    def sample() -> float:
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=found_here,
            capture_output=True,
            check=True,
            text=True,
        )
        return float(done.stdout)

    return sample
