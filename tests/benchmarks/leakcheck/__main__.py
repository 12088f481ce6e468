"""Leak check on public test suites: `python -m tests.benchmarks.leakcheck`.

Downloads the source distributions of three packages from PyPI, whose versions and hashes are
pinned, installs their requirements into virtual environments, and runs their tests without a leak
check, with `--leakcheck`, with pyleak and with pytest-threadleak, in alternating rounds. All of it
is in a temporary folder. The table has a row for each tool:

- tests: the tests of the suite;
- reported: the tests that fail with the tool, and pass in every round without it;
- leaks: the objects that the first round has reported, by kind, and the distinct lines that have
  started them; only `--leakcheck` has them in a form that can be counted;
- elapsed, processor: the least time of the rounds, compared with the least one without a tool.

The most frequent leaks follow, to be judged by their reader. The last figures are the costs of a
block and of a test that leave nothing.

`--websockets DIR` adds the synchronous tests of websockets 17.1, of a checkout: their threads end a
few milliseconds late, which is the most expensive case, and no source distribution has them.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import SubprocessError
from tempfile import TemporaryDirectory

from ..row import line  # noqa: TID252 - the root is tests or its parent
from .empty import figures
from .suites import (
    LEAKCHECK,
    SUITES,
    TOOLS,
    WEBSOCKETS,
    Bench,
    Suite,
    SuiteError,
    SuiteRun,
    Tool,
    copy_library,
    download,
    make_environment,
    rows,
)

COLUMNS = ["suite", "tool", "tests", "reported", "leaks", "places", "elapsed", "processor"]

MOST = 12
"""Largest number of leaks that are listed for a suite."""


def say(text: str = "") -> None:
    """Print a line at once."""
    print(text, flush=True)  # noqa: T201 - a benchmark is run to be read


def option_parser() -> ArgumentParser:
    """Return the parser of the command line."""
    parser = ArgumentParser(prog="python -m tests.benchmarks.leakcheck", description=__doc__)
    names = [suite.name for suite in SUITES]
    parser.add_argument(
        "--only", metavar="NAME", choices=[*names, "empty"], action="append",
        help=f"one of {', '.join(names)}, or empty for the last figures alone; repeatable",
    )  # fmt: skip
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tool; 3 by default")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this folder, and keep it")
    parser.add_argument(
        "--python",
        metavar="FILE",
        help="interpreter with the requirements of the suites, instead of virtual environments",
    )
    parser.add_argument(
        "--websockets", type=Path, metavar="DIR", help="checkout of websockets 17.1 to add"
    )
    return parser


@contextmanager
def folder_of(kept: Path | None) -> Iterator[Path]:
    """Make the folder of the benchmark: temporary, unless it is to be kept."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    with TemporaryDirectory(prefix="leakcheck-", ignore_cleanup_errors=True) as name:
        yield Path(name).resolve()


def prepare(suite: Suite, folder: Path, options: Namespace) -> Bench:
    """Download and install a suite.

    Raises:
        SuiteError: it cannot be downloaded or installed.
    """
    own = folder / suite.name
    own.mkdir()
    library = own / "library"
    library.mkdir()
    root = options.websockets.resolve() if suite is WEBSOCKETS else download(suite, own)
    python = options.python or make_environment(suite, own / "environment")
    return Bench(suite, root, python, copy_library(library))


def measure(bench: Bench, rounds: int) -> dict[Tool, list[SuiteRun]]:
    """Run a suite with each tool in alternating rounds.

    Raises:
        SuiteError: a run took too long, or ended without tests.
    """
    runs: dict[Tool, list[SuiteRun]] = {tool: [] for tool in TOOLS}
    for number in range(rounds):
        # No tool is always the first, which may find a cooler processor.
        for tool in TOOLS if number % 2 == 0 else reversed(TOOLS):
            runs[tool].append(bench.run(tool))
    return runs


def print_suite(suite: Suite, runs: dict[Tool, list[SuiteRun]]) -> None:
    """Print the rows of a suite."""
    for cells in rows(runs):
        say(line([suite.title, *cells]))


def print_leaks(suite: Suite, leaks: list[tuple[str, str]], shorten: Callable[[str], str]) -> None:
    """Print the most frequent leaks of a suite."""
    say(f"\n{suite.title}: {len(leaks)} leaks")
    for (pattern, place), count in Counter(leaks).most_common(MOST):
        say(f"{count:5}  {pattern}{place and f', started at {shorten(place)}'}")


def main() -> None:
    """Parse the options, and print the table; exit with 1 if a suite could not run."""
    parser = option_parser()
    options = parser.parse_args()
    if options.rounds < 1:
        parser.error(f"--rounds is {options.rounds}, and must be at least 1")
    suites = [suite for suite in SUITES if suite.name in (options.only or [suite.name])]
    if options.websockets is not None:
        suites.append(WEBSOCKETS)
    failures: list[str] = []
    with folder_of(options.keep) as folder:
        found: dict[Suite, list[tuple[str, str]]] = {}
        if suites:
            say(line(COLUMNS) + "\n" + line(["---"] * len(COLUMNS)))
        for suite in suites:
            try:
                runs = measure(prepare(suite, folder, options), options.rounds)
            except (SuiteError, OSError, SubprocessError) as error:
                failures.append(f"{suite.title}: {type(error).__name__}: {error}")
                continue
            print_suite(suite, runs)
            found[suite] = runs[LEAKCHECK][0].leaks
        for suite, leaks in found.items():
            print_leaks(suite, leaks, lambda place: place.removeprefix(f"{folder}/"))
        say()
        for figure in figures():
            say(figure)
    for failure in failures:
        say(f"\n{failure}")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
