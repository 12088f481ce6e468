"""Rows of the table: an operation and its cost in every library that has it."""

from collections.abc import Callable, Iterable
from functools import partial
from textwrap import shorten
from typing import Any

from .timing import Sample, least

OURS = "metrics"

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))

Prepare = Callable[..., Sample]


class Row:
    """Operation, the preparation of its measurement in each library, and the results.

    Args:
        name: the operation, in Markdown.
        unit: `s` or `B`; less is better.
        scale: the operation with `N` in place of a size, and that size; rows of one operation have
            a footnote about their cost divided by `N`.
    """

    def __init__(self, name: str, *, unit: str = "s", scale: tuple[str, int] | None = None) -> None:
        self.name = name
        self.unit = unit
        self.scale = scale
        self.floor: str | None = None
        self.results: dict[str, float] = {}
        self.failures: dict[str, str] = {}
        self.preparations: dict[str, Callable[[], Sample]] = {}

    def add(self, library: str, prepare: Prepare, *arguments: object) -> "Row":
        """Add a library, measured by the sample that `prepare(*arguments)` returns."""
        self.preparations[library] = partial(prepare, *arguments)
        return self

    def add_floor(self, name: str, prepare: Prepare, *arguments: object) -> "Row":
        """Add a cost that no library avoids."""
        self.floor = name
        return self.add(name, prepare, *arguments)

    def measure(self, rounds: int = 1) -> "Row":
        """Measure one library after the other, so that each has the memory for itself."""
        for name in [*self.preparations]:
            self.record(name, least({name: self.prepare(name)}, rounds)[name])
        return self

    def prepare(self, name: str) -> Sample:
        """Return the sample of a library, once; an error of it is recorded instead of raised.

        An operation that one library fails at does not cost the results of the others.
        """

        def attempt(function: Callable[[], Any]) -> Any:
            if name not in self.failures:
                try:
                    return function()
                except Exception as error:  # noqa: BLE001 - of any library, of any age
                    self.failures[name] = shorten(f"{type(error).__name__}: {error}", 200)
            return float("inf")

        return partial(attempt, attempt(self.preparations.pop(name)))

    def record(self, name: str, result: float) -> None:
        """Record the result of a library, unless it failed."""
        if name not in self.failures:
            self.results[name] = result

    def ratio(self, name: str, to: str) -> str:
        """Return the cost of a library as a multiple of another one's.

        It is `-` if one of the two failed, and an empty string without a result.
        """
        if {name, to} & self.failures.keys():
            return "-"
        dividend, divisor = self.results.get(name), self.results.get(to)
        return multiple(dividend / divisor) if dividend is not None and divisor else ""

    def cost(self, name: str) -> str:
        """Return a result with its unit, `-` after a failure, or an empty string without either."""
        if name in self.failures:
            return "-"
        value = self.results.get(name)
        if value is None:
            return ""
        if self.unit == "s":
            size, unit = next((pair for pair in UNITS if value >= pair[0]), UNITS[-1])
            value /= size
        else:
            unit = self.unit
        return f"{value:.{1 if value < 100 else 0}f} {unit}"

    def markdown(self, peers: Iterable[str]) -> str:
        """Return the row of the table: our cost, and that of each peer as a multiple of it."""
        return line([self.name, self.cost(OURS), *(self.ratio(peer, OURS) for peer in peers)])


def measure_in_turns(rows: list[Row], rounds: int, overhead: Sample | None = None) -> list[Row]:
    """Measure all libraries of all rows in each round, so that a slow phase hits all alike.

    `overhead` is included in each measurement, and subtracted from the results. Libraries that have
    been measured before are not measured again.
    """
    samples = {(row, name): row.prepare(name) for row in rows for name in [*row.preparations]}
    for (row, name), result in least(samples, rounds, overhead).items():
        row.record(name, result)
    return rows


def multiple(value: float) -> str:
    """Return a ratio as text, such as `1.47 x`."""
    return f"{value:,.{2 if value < 2 else 1 if value < 10 else 0}f} x"


def heading(columns: list[str]) -> str:
    """Return the first two lines of a table, whose first column is that of the operations."""
    return f"{line(['', *columns])}\n{line(['---'] * (len(columns) + 1))}"


def line(cells: Iterable[str]) -> str:
    """Return a line of a Markdown table."""
    return " ".join(["|", *(f"{cell} |" if cell else "|" for cell in cells)])


def footnotes(rows: list[Row]) -> list[str]:
    """Return a sentence for each floor, each operation at several sizes and each failure."""
    return [*floor_notes(rows), *scale_notes(rows), *failure_notes(rows)]


def failure_notes(rows: list[Row]) -> list[str]:
    """Return a sentence for each error of a library, with the rows that failed with it."""
    failed: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for failure in row.failures.items():
            failed.setdefault(failure, []).append(row.name)
    return [
        f"{name} failed in {', '.join(each)}: {error}" for (name, error), each in failed.items()
    ]


def scale_notes(rows: list[Row]) -> list[str]:
    """Return a sentence for each operation at several sizes: our cost divided by the size.

    It is relative to that at the smallest size, so that 1 at every size is a linear cost.
    """
    scales: dict[str, dict[int, float]] = {}
    for row in rows:
        if row.scale and row.results.get(OURS):
            operation, size = row.scale
            scales.setdefault(operation, {})[size] = row.results[OURS] / size
    notes = []
    for operation, costs in scales.items():
        least_size, *sizes = sorted(costs)
        ratios = [f"{multiple(costs[size] / costs[least_size])} at {size:,}" for size in sizes]
        if ratios:
            relative = f"cost divided by N, relative to that at {least_size:,}"
            notes.append(f"{operation}, {relative}: {', '.join(ratios)}.")
    return notes


def floor_notes(rows: list[Row]) -> list[str]:
    """Return a sentence for each floor: its costs, and ours as a multiple of it in each row."""
    measured = [row for row in rows if row.floor in row.results and OURS in row.results]
    notes = []
    for floor in dict.fromkeys(row.floor for row in measured if row.floor):
        compared = [row for row in measured if row.floor == floor]
        by_cost = sorted(compared, key=lambda row: row.results[floor])
        costs = dict.fromkeys([by_cost[0].cost(floor), by_cost[-1].cost(floor)])
        ratios = ", ".join(f"{row.name} {row.ratio(OURS, floor)}" for row in compared)
        notes.append(f"{floor}: {' to '.join(costs)}; in the same rounds {ratios}.")
    return notes
