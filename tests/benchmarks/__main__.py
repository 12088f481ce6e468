"""What the instruments cost, beside every peer that is installed: `python -m tests.benchmarks`.

Every figure is the least of many rounds; a ratio is a peer's cost over ours, and "x floor" ours
over that of a C method that does nothing, of the clock reads that a timer cannot do without, or,
for an update with an int, of the same update with a float.
What is measured is the `metrics` that Python finds: beside its source that is the source, which
runs interpreted; `cd tests; python -m benchmarks` finds what is installed, which is compiled.
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import metrics

from . import lifecycle, load, series, single
from .libraries import PEERS, Library
from .row import Row, heading, written
from .single import Effort

Peers = list[type[Library]]

QUICK = Effort(seconds=0.002, rounds=5, runs=50_000)


def groups(peers: Peers, *, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Return the groups of rows by name, in the order of the table."""
    effort = QUICK if quick else Effort()
    sizes = {"1k": 1_000, "10k": 10_000} if quick else series.SIZES
    # Proof that the cost grows with the work alone; the peers would take minutes.
    million = {} if quick else series.MILLION

    def sized(rows: Callable[[Peers, dict[str, int]], Iterator[Row]]) -> Iterator[Row]:
        yield from rows(peers, sizes)
        if million:
            yield from rows([], million)

    return {
        "updates": lambda: single.updates(peers, effort),
        "integers": lambda: single.integers(peers, effort),
        "labels": lambda: single.labels(peers, effort),
        "timers": lambda: single.timers(peers, effort),
        "threads": lambda: single.threads(peers, effort),
        "load": lambda: load.rows(peers, effort),
        "import": lambda: single.imports(peers, effort),
        "memory": lambda: series.weighing(peers, sizes),
        "create": lambda: sized(series.creating),
        "text": lambda: sized(series.reading),
        "names": lambda: series.naming(sizes),
        "stall": lambda: series.holding(peers, sizes),
        "tick": lambda: sized(series.ticking),
    }


def say(line: str = "") -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    names = [*groups([], quick=True), "lifecycle"]
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no large sizes")
    parser.add_argument(
        "--only", metavar="NAME", choices=names, action="append", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the results here too")
    options = parser.parse_args()

    peers = [peer for peer in PEERS if peer.installed()]
    say(f"metrics.COMPILED = {metrics.COMPILED}, {metrics.__file__}")
    say(f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}")
    for peer in PEERS:
        if peer not in peers:
            say(f"{peer.name} is missing: pip install 'wired-metrics[benchmark]'")

    columns = [peer.name for peer in peers]
    rows: list[Row] = []
    say(heading(columns))
    for name, group in groups(peers, quick=options.quick).items():
        if options.only is None or name in options.only:
            for row in group():
                row.measure()
                say(written(row, columns))
                rows.append(row)
    if options.json is not None:
        results = {
            "compiled": metrics.COMPILED,
            "rows": {row.name: {"unit": row.unit, **row.results} for row in rows},
        }
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    # Its tables are its own: they compare with another kind of peer.
    if "lifecycle" in (options.only or ([] if options.quick else ["lifecycle"])):
        lifecycle.main()


if __name__ == "__main__":
    main()
