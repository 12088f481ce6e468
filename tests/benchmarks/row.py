"""Rows of the table: an operation and its cost in every library that has it."""

from collections.abc import Callable, Iterable
from functools import partial

from .timing import Sample, least

OURS = "metrics"

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))

Prepare = Callable[..., Sample]


class Row:
    """Operation, the preparation of its measurement in each library, and the results.

    Args:
        name: the operation, in Markdown.
        unit: `s` or `B`; less is better.
    """

    def __init__(self, name: str, *, unit: str = "s") -> None:
        self.name = name
        self.unit = unit
        self.floor: str | None = None
        self.results: dict[str, float] = {}
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
        for name, prepare in self.preparations.items():
            self.results |= least({name: prepare()}, rounds)
        return self

    def ratio(self, name: str, to: str) -> str:
        """Return the cost of a library as a multiple of another one's, or an empty string."""
        dividend, divisor = self.results.get(name), self.results.get(to)
        if dividend is None or not divisor:
            return ""
        value = dividend / divisor
        return f"{value:,.{2 if value < 2 else 1 if value < 10 else 0}f} x"

    def cost(self, name: str) -> str:
        """Return a result with its unit, or an empty string."""
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

    `overhead` is included in each measurement, and subtracted from the results.
    """
    samples = {(row, name): prepare() for row in rows for name, prepare in row.preparations.items()}
    for (row, name), result in least(samples, rounds, overhead).items():
        row.results[name] = result
    return rows


def heading(peers: list[str]) -> str:
    """Return the first two lines of the table."""
    columns = ["", OURS, *peers]
    return f"{line(columns)}\n{line(['---'] * len(columns))}"


def line(cells: Iterable[str]) -> str:
    """Return a line of a Markdown table."""
    return " ".join(["|", *(f"{cell} |" if cell else "|" for cell in cells)])


def footnotes(rows: list[Row]) -> list[str]:
    """Return a sentence for each floor: its costs, and ours as a multiple of it in each row."""
    notes = []
    for floor in dict.fromkeys(row.floor for row in rows if row.floor):
        compared = [row for row in rows if row.floor == floor]
        by_cost = sorted(compared, key=lambda row: row.results[floor])
        costs = dict.fromkeys([by_cost[0].cost(floor), by_cost[-1].cost(floor)])
        ratios = ", ".join(f"{row.name} {row.ratio(OURS, floor)}" for row in compared)
        notes.append(f"{floor}: {' to '.join(costs)}; in the same rounds {ratios}.")
    return notes
