"""Costs of the library beside its peers', as a Markdown table: `python -m tests.benchmarks`.

A figure is the least of many rounds, and a ratio is a peer's cost over ours. Below the table, ours
is compared with costs that no library avoids: a call of a C method that does nothing, and the clock
reads of a timer. The exit code is 1 if a library failed in a row, which has `-` in its place.

The table is about the `metrics` that Python finds. In the root of a checkout that is the source,
which runs interpreted; `cd tests; python -m benchmarks` finds the installed one, which is compiled.

`--against REV` compares the checkout with another revision instead, without the peers; the exit
code is 1 if a row is slower.
"""

import json
import platform
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from time import perf_counter

import metrics

from . import against, load, requests, series, single, workers
from .libraries import PEERS, Library
from .row import OURS, Row, footnotes, heading
from .single import Effort

Peers = list[type[Library]]

INSTALL = "pip install 'wired-metrics[benchmark]'"

OTHERS = ["requests", "lifecycle"]
"""Groups with tables of their own, because their peers are others."""

QUICK = Effort(seconds=0.001, rounds=15, runs=50_000)


def groups(peers: Peers, *, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """Return the groups of rows by name, in the order of the table."""
    effort = QUICK if quick else Effort()
    sizes = series.QUICK_SIZES if quick else series.SIZES

    def by_size(rows: Callable[[Peers, dict[str, int]], Iterator[Row]]) -> Iterator[Row]:
        yield from rows(peers, sizes)
        if not quick:
            # A million shows that the cost is linear; the peers would take minutes.
            yield from rows([], series.MILLION)

    return {
        "updates": lambda: single.updates(peers, effort),
        "integers": lambda: single.integers(peers, effort),
        "labels": lambda: single.labels(peers, effort),
        "timers": lambda: single.timers(peers, effort),
        "threads": lambda: single.threads(peers, effort),
        "load": lambda: load.rows(peers, effort),
        "import": lambda: single.imports(peers, effort),
        "memory": lambda: series.weighing(peers),
        "create": lambda: by_size(series.creating),
        "text": lambda: by_size(series.reading),
        "changes": lambda: series.changing(peers, sizes),
        "names": lambda: series.naming(sizes),
        "export": lambda: series.exporting(peers),
        "workers": lambda: workers.rows(
            peers, restarts=workers.FEW_RESTARTS if quick else workers.RESTARTS
        ),
        "stall": lambda: series.blocking(peers, sizes),
        "tick": lambda: by_size(series.ticking),
    }


def say(line: str = "") -> None:
    """Print a line at once."""
    print(line, flush=True)  # noqa: T201 - a benchmark is run to be read


def print_table(
    peers: Peers, only: Iterable[str], *, quick: bool
) -> tuple[list[Row], dict[str, float]]:
    """Measure and print the table; return its rows, and the seconds that each group took."""
    columns = [peer.name for peer in PEERS]
    rows: list[Row] = []
    spent: dict[str, float] = {}
    say(heading([OURS, *columns]))
    for name, group in groups(peers, quick=quick).items():
        began = perf_counter()
        for row in group() if name in only else ():
            say(row.markdown(columns))
            rows.append(row)
        spent[name] = perf_counter() - began
    for note in footnotes(rows):
        say(f"\n{note}")
    return rows, spent


def print_requests(*, alone: bool, quick: bool) -> list[Row]:
    """Measure and print the table of requests; return its rows."""
    for name, version in requests.versions().items():
        say(f"{name} {version}" if version else f"{name} is missing: {INSTALL}")
    say("\n" + heading([OURS, *requests.COLUMNS]))
    rows: list[Row] = []
    for row in requests.rows(requests.QUICK if quick else requests.EFFORT, alone=alone):
        say(row.markdown(requests.COLUMNS))
        rows.append(row)
    for note in [*requests.notes(rows), *footnotes(rows)]:
        say(f"\n{note}")
    return rows


def option_parser(names: list[str]) -> ArgumentParser:
    """Return the parser of the command line, for groups of these names."""
    parser = ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no large sizes")
    parser.add_argument(
        "--only",
        metavar="NAME",
        choices=names,
        action="append",
        help=f"one of {', '.join(names)}; repeatable. The default is all but "
        f"{' and '.join(OTHERS)}, which have tables of their own",
    )
    parser.add_argument("--alone", action="store_true", help="measure no peers")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the results here")
    parser.add_argument(
        "--against",
        metavar="REV",
        help="compare the checkout with a branch, tag or commit; compiles both, with pip",
    )
    parser.add_argument(
        "--interpreted",
        action="store_true",
        help="with --against: compare the sources, which is quicker, without compiling them",
    )
    parser.add_argument(
        "--rounds",
        metavar="NUMBER",
        type=int,
        default=against.ROUNDS,
        help="with --against: measurements of each side; the default is %(default)s",
    )
    return parser


def main() -> None:
    """Parse the options, and print the table of the chosen groups."""
    table = [*groups([], quick=True)]
    names = [*table, *OTHERS]
    parser = option_parser(names)
    options = parser.parse_args()
    only = options.only or table
    if options.against is None:
        sys.exit(not measure(options, only))
    if {*OTHERS} & {*only} or options.json is not None:
        parser.error(
            f"--against compares rows of the table: omit --only {', '.join(OTHERS)} and --json"
        )
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}, and must be at least 1")
    try:
        is_good = against.compare(
            options.against,
            [name for name in table if name in only],
            interpreted=options.interpreted,
            quick=options.quick,
            rounds=options.rounds,
            say=say,
        )
    except against.ComparisonError as error:
        parser.exit(2, f"{parser.prog}: {error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "interrupted\n")
    sys.exit(not is_good)


def measure(options: Namespace, only: list[str]) -> bool:
    """Print the tables, and write the results; return whether no library failed."""
    installed = [peer for peer in PEERS if peer.is_installed()]
    peers = [] if options.alone else installed
    versions = {peer.name: peer.version() for peer in peers}
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    say(f"metrics.COMPILED = {metrics.COMPILED}, {metrics.__file__}")
    say(f"{interpreter}, {platform.platform()}")
    say(", ".join(f"{name} {version}" for name, version in versions.items()))
    for peer in PEERS:
        if peer not in installed:
            say(f"{peer.name} is missing: {INSTALL}")
    say()

    rows: list[Row] = []
    if not {*only} <= {*OTHERS}:
        rows, spent = print_table(peers, only, quick=options.quick)
        say(f"\nMeasured in {sum(spent.values()):,.0f} s.")
        if options.json is not None:
            results = {
                "compiled": metrics.COMPILED,
                "python": interpreter,
                "platform": platform.platform(),
                "versions": versions,
                "seconds": spent,
                "rows": {
                    row.name: {
                        "unit": row.unit,
                        "floor": row.floor,
                        "costs": row.results,
                        "failures": row.failures,
                    }
                    for row in rows
                },
            }
            options.json.write_text(json.dumps(results, indent=2) + "\n", "utf-8")
    if "requests" in only:
        rows += print_requests(alone=options.alone, quick=options.quick)
    if "lifecycle" in only:
        # Its import loads every web framework that is installed, to wire it.
        from . import lifecycle

        lifecycle.main()
    return not any(row.failures for row in rows)


if __name__ == "__main__":
    main()
