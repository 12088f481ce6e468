"""Comparison with another revision, which finds operations that became slower: `--against REV`.

`python -m tests.benchmarks --against main` compares the checkout, with its uncommitted changes,
with any revision of its repository. Both are compiled first, which takes minutes; `--interpreted`
compares their sources. The code that measures is that of the checkout for both sides. The exit code
is 1 if a row is slower or fails in the checkout, and 2 without a comparison.

In each round, a group of rows is measured in a fresh process of each side, and the cost of a row is
the minimum of the rounds. A row is slower if its minimum is more than `LIMIT` times that of the
revision, and more than three quarters of the revision's rounds; faster, the other way round. By
chance, the second condition holds for one row of 286 in 8 rounds, however much these differ.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, NamedTuple

from .row import OURS, Row, failure_notes, heading, line

LIMIT = 1.1
"""Ratio of two minima that noise is taken for; below it, rows are not marked."""

ROUNDS = 8

ROOT = Path(__file__).parents[2]

NOW = "now"
"""Column of the checkout."""

PATIENCE = 5.0
"""Seconds for which an interrupted command may remove its files."""

HOOK_VARIABLES = frozenset({"GIT_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_WORK_TREE"})
"""Variables that git sets for a hook; with them, it would ignore the current folder."""

PROBE = "import metrics, benchmarks.libraries; print(metrics.COMPILED)"


class ComparisonError(Exception):
    """Reason for which two revisions cannot be compared, in one line."""


class Side(NamedTuple):
    """Revision that is compared: its column, and the folder that its library is imported from."""

    title: str
    library: Path


class Comparison(NamedTuple):
    """Row of the table, and its costs on each side, one for each round."""

    row: Row
    costs: dict[str, list[float]]

    def add(self, title: str, result: Any) -> None:
        """Add the result of a round on a side."""
        if OURS in result["failures"]:
            self.row.failures.setdefault(title, result["failures"][OURS])
        elif OURS in result["costs"]:
            self.costs[title].append(result["costs"][OURS])
            self.row.results[title] = min(self.costs[title])

    def markdown(self) -> str:
        """Return the row of the table."""
        cells = [self.row.cost(title) for title in self.costs]
        ratio, verdict = self.row.ratio(*self.costs), self.verdict()
        return line([self.row.name, *cells, f"{ratio} **{verdict}**" if verdict else ratio])

    def verdict(self) -> str:
        """Return `slower`, `faster` or an empty string; return that too after a failure."""
        return "" if self.row.failures else judge(*self.costs.values())


class Workshop:
    """Temporary folder of a comparison, and the commands that run for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.temporary = folder / "temporary"
        """Folder for temporary files of commands."""
        self.temporary.mkdir()

    def run(self, *command: object, cwd: Path = ROOT, **variables: object) -> tuple[int, str, str]:
        """Run a command; return its exit code, its output and the last line of its errors.

        No process of the command survives an interruption, and no temporary file of it does.
        """
        environment = {
            name: value for name, value in os.environ.items() if name not in HOOK_VARIABLES
        }
        for name in ("TMPDIR", "TEMP", "TMP"):
            environment[name] = str(self.temporary)
        environment |= {name: str(value) for name, value in variables.items()}
        with subprocess.Popen(
            [*map(str, command)],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="surrogateescape",
            start_new_session=True,
        ) as process:
            try:
                output, errors = process.communicate()
            except BaseException:
                stop(process)
                raise
        return process.returncode, output, last_line(errors) or last_line(output)

    def git(self, *arguments: object) -> str:
        """Return the output of a git command in the checkout.

        Raises:
            ComparisonError: the command failed, or there is no git.
        """
        try:
            code, output, reason = self.run("git", "-c", f"core.hooksPath={os.devnull}", *arguments)
        except FileNotFoundError as error:
            raise ComparisonError(f"git is required: {error}") from None
        if code:
            raise ComparisonError(reason)
        return output

    def commit_of(self, revision: str) -> str:
        """Return the hash of a revision.

        Raises:
            ComparisonError: this is not a git checkout, or has no such revision.
        """
        try:
            top = self.git("rev-parse", "--show-toplevel").rstrip("\n")
        except ComparisonError as error:
            raise ComparisonError(f"{ROOT} is not a git checkout: {error}") from None
        if Path(top).resolve() != ROOT.resolve():
            raise ComparisonError(f"{ROOT} is not the root of a git checkout; that is {top}")
        try:
            name = f"{revision}^{{commit}}"
            return self.git("rev-parse", "--verify", "--end-of-options", name).strip()
        except ComparisonError:
            raise ComparisonError(
                f"unknown revision {revision!r}: name a branch, tag or commit; git fetch gets "
                "those of a remote"
            ) from None

    def copy_checkout(self) -> Path:
        """Return a copy of the checkout with its uncommitted and new files, without ignored ones.

        Edits during the comparison do not change it, and a build leaves nothing in the checkout.
        """
        folder = self.folder / NOW
        files = self.git("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        for file in filter(None, files.split("\0")):
            # Deleted files are still in the index, and submodules are folders.
            if (ROOT / file).is_file():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / file, folder / file)
        return folder

    @contextmanager
    def worktree(self, commit: str) -> Iterator[Path]:
        """Check out a commit beside the copy of the checkout."""
        folder = self.folder / "then"
        try:
            self.git("worktree", "add", "--quiet", "--detach", folder, commit)
            yield folder
        finally:
            # Forced twice, it also removes the lock of an interrupted `add`.
            with suppress(ComparisonError):
                self.git("worktree", "remove", "--force", "--force", folder)

    def install(self, side: Side) -> Side:
        """Build the library of a side; return the side with its installation.

        Raises:
            ComparisonError: the build failed.
        """
        target = self.folder / f"{side.library.name}-installed"
        pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install")
        # A path to the checkout would show the build a library that is not its own.
        code, _, reason = self.run(
            *pip, "--no-deps", "--target", target, side.library, PYTHONPATH=""
        )
        if code:
            raise ComparisonError(
                f"cannot build {side.title}: {reason}; --interpreted compares without a build"
            )
        return side._replace(library=target)

    def python(self, side: Side, *arguments: object, **variables: object) -> tuple[int, str, str]:
        """Run Python where it finds the library of a side and the benchmarks of the checkout."""
        path = os.pathsep.join(filter(None, [str(side.library), os.environ.get("PYTHONPATH")]))
        tests = self.folder / NOW / "tests"
        return self.run(sys.executable, *arguments, cwd=tests, PYTHONPATH=path, **variables)

    def is_compiled(self, side: Side) -> bool:
        """Return whether the library of a side is compiled.

        Raises:
            ComparisonError: it, or the benchmark with it, cannot be imported.
        """
        code, output, reason = self.python(side, "-c", PROBE)
        if code:
            raise ComparisonError(f"cannot measure {side.title}: {reason}")
        return output.strip() == "True"

    def measure(self, side: Side, group: str, *, quick: bool, seed: int) -> Any:
        """Return the rows of a group in a fresh process, or a string with the reason of its end."""
        file = self.folder / "results.json"
        file.unlink(missing_ok=True)
        module = ("-m", "benchmarks", "--alone", "--only", group, "--json", file)
        options = ["--quick"] if quick else []
        # Hashes of strings decide how tables are filled; the sides of a round have the same.
        code, _, reason = self.python(side, *module, *options, PYTHONHASHSEED=seed)
        return json.loads(file.read_text("utf-8"))["rows"] if file.exists() else f"{code}: {reason}"


def interrupt_on_signals() -> None:
    """Let the signals of a service manager and of a closed terminal do the same as Ctrl-C."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # nohup ignores SIGHUP on purpose.
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)


def stop(process: subprocess.Popen[str]) -> None:
    """End a process and its children, after a while by force."""
    if os.name != "posix":
        process.kill()
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)


def last_line(text: str) -> str:
    """Return the last line of a report that begins with an error's name, or else the last line."""
    lines = [each.strip() for each in text.splitlines() if each.strip()]
    # pip ends with one word, as in "error: metadata-generation-failed", and with advice.
    named = [each for each in lines if re.match(r"(\w*error|fatal): \S+ ", each, re.IGNORECASE)]
    return [*lines, *named][-1] if lines else ""


def judge(now: Sequence[float], then: Sequence[float]) -> str:
    """Return `slower`, `faster` or an empty string, by the costs of each side in its rounds."""
    if is_slower(now, then):
        return "slower"
    return "faster" if is_slower(then, now) else ""


def is_slower(costs: Sequence[float], others: Sequence[float]) -> bool:
    """Return whether the minimum is beyond the limit and the third quartile of the others."""
    quartile = sorted(others)[ceil(len(others) * 3 / 4) - 1]
    return min(costs) > max(LIMIT * min(others), quartile)


def compare_group(
    workshop: Workshop, sides: Sequence[Side], group: str, quick: bool, rounds: int
) -> list[Comparison]:
    """Measure a group on both sides alternately.

    Raises:
        ComparisonError: the process of the checkout ended without results.
    """
    compared: dict[str, Comparison] = {}
    for number in range(rounds):
        # Neither side is always the first, which may find a cooler processor.
        for side in sides if number % 2 == 0 else reversed(sides):
            results = workshop.measure(side, group, quick=quick, seed=number)
            if isinstance(results, str):
                if side.title == NOW:
                    raise ComparisonError(f"cannot measure {group}: exit code {results}")
                for comparison in compared.values():
                    comparison.row.failures[side.title] = f"exit code {results}"
                return [*compared.values()]
            for name, result in results.items():
                row = Row(name, unit=result["unit"])
                empty = Comparison(row, {each.title: [] for each in sides})
                compared.setdefault(name, empty).add(side.title, result)
    return [*compared.values()]


def compare(
    revision: str,
    groups: Iterable[str],
    *,
    interpreted: bool,
    quick: bool,
    rounds: int,
    say: Callable[[str], None],
) -> bool:
    """Print the table of the checkout beside a revision; return whether no row is worse.

    Raises:
        ComparisonError: the two cannot be compared.
    """
    began = perf_counter()
    interrupt_on_signals()
    with TemporaryDirectory(prefix="metrics-against-") as name:
        workshop = Workshop(Path(name).resolve())
        commit = workshop.commit_of(revision)
        say(f"{NOW}: {ROOT}")
        say(f"`{revision}`: {workshop.git('log', '-1', '--format=%h %s', commit).strip()}")
        with workshop.worktree(commit) as worktree:
            sides = [Side(NOW, workshop.copy_checkout()), Side(f"`{revision}`", worktree)]
            if not interpreted:
                say("Building both ...")
                sides = [workshop.install(side) for side in sides]
            compiled = {workshop.is_compiled(side): side.title for side in sides}
            if len(compiled) > 1:
                raise ComparisonError(
                    f"{compiled[False]} is not compiled, but {compiled[True]} is; "
                    "--interpreted compares their sources"
                )
            say(f"metrics.COMPILED = {True in compiled}, rounds: {rounds}\n")
            say(heading([*(side.title for side in sides), "ratio"]))
            compared = []
            for group in groups:
                for comparison in compare_group(workshop, sides, group, quick, rounds):
                    say(comparison.markdown())
                    compared.append(comparison)
    for note in failure_notes([comparison.row for comparison in compared]):
        say(f"\n{note}")
    if all(comparison.row.failures for comparison in compared):
        raise ComparisonError("no row has a cost on both sides")
    verdicts = Counter(comparison.verdict() for comparison in compared)
    say(
        f"\nOf {len(compared)} rows {verdicts['slower']} are slower and {verdicts['faster']} "
        f"faster, by more than {LIMIT - 1:.0%} and the spread of the rounds. "
        f"Measured in {perf_counter() - began:,.0f} s."
    )
    return not verdicts["slower"] and not any(NOW in each.row.failures for each in compared)
