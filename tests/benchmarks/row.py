"""One row of the table: an operation and its cost in every library that has it."""

from collections.abc import Callable
from functools import partial

from .timing import Sample, least

UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (0.0, "ns"))


class Row:
    """An operation, how to prepare its measurement in each library, and then its results.

    Args:
        name: what is done.
        unit: `s` or `B`; less is better.
        rounds: how often it is measured.
        take_turns: prepare all before measuring, and measure in turns; otherwise one library after
            the other, so that what one keeps in memory is gone when the next is measured.
    """

    def __init__(
        self, name: str, *, unit: str = "s", rounds: int = 1, take_turns: bool = True
    ) -> None:
        self.name = name
        self.unit = unit
        self.results: dict[str, float] = {}
        self._rounds = rounds
        self._take_turns = take_turns
        self._prepare: dict[str, Callable[[], Sample]] = {}

    def add(self, who: str, prepare: Callable[..., Sample], *arguments: object) -> "Row":
        """Have one more measured, a library or the floor: what `prepare(*arguments)` returns."""
        self._prepare[who] = partial(prepare, *arguments)
        return self

    def measure(self) -> None:
        """Fill in the results."""
        if self._take_turns:
            samples = {who: prepare() for who, prepare in self._prepare.items()}
            self.results = least(samples, self._rounds)
            return
        for who, prepare in self._prepare.items():
            self.results |= least({who: prepare()}, self._rounds)

    def times(self, who: str, than: str) -> float | None:
        """Return the cost of one as a multiple of another's."""
        ours, theirs = self.results.get(who), self.results.get(than)
        return ours / theirs if ours is not None and theirs else None

    def text(self, who: str) -> str:
        """Return a result with its unit."""
        value = self.results.get(who)
        if value is None:
            return "-"
        if self.unit != "s":
            return f"{value:,.0f} {self.unit}"
        size, unit = next(pair for pair in UNITS if value >= pair[0])
        return f"{value / (size or 1e-9):,.1f} {unit}"


def line(cells: list[str], peers: int) -> str:
    """Return one line: the operation, our result, the ratio to the floor, two cells a peer."""
    widths = [-40, 10, 8, *[11, 8] * peers]
    return " ".join(
        [
            f"{cell:<{-width}}" if width < 0 else f"{cell:>{width}}"
            for cell, width in zip(cells, widths, strict=True)
        ]
    )


def heading(peers: list[str]) -> str:
    """Return the first line of the table."""
    cells = ["operation", "metrics", "x floor"]
    for peer in peers:
        cells += [peer[:11], "x"]
    return line(cells, len(peers))


def written(row: Row, peers: list[str], ours: str = "metrics") -> str:
    """Return a row as a line."""
    cells = [row.name, row.text(ours), ratio(row.times(ours, "floor"))]
    for peer in peers:
        cells += [row.text(peer), ratio(row.times(peer, ours))]
    return line(cells, len(peers))


def ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}" if value < 10 else f"{value:,.0f}"
