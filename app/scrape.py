"""Table or JSON of an exposition page, for terminals, pipes and programs."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import groupby, zip_longest
from math import isfinite, isnan

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.series import QUANTILES, ScrapedSeries
from app.text import exact, label_text, printable, quantity, real, short_quantity

TEXT_COLUMNS = 2
"""Name and type, which are aligned left; the other columns are numbers."""

DISTRIBUTION_TITLES = ("MEAN", *(f"P{100 * quantile:g}" for quantile in QUANTILES))


def print_table(page: Sequence[ScrapedSeries], *, raw: bool = False) -> None:
    """Print series by name: in colours and folded to a terminal, plain and in full elsewhere.

    Args:
        page: the series.
        raw: whether to print numbers to the last digit and in base units.
    """
    titles = ["NAME", "TYPE", "VALUE"]
    if any(series.is_distribution for series in page):
        titles += DISTRIBUTION_TITLES
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(folded_table(titles, rows(page, raw=raw)))
    else:
        sys.stdout.writelines(plain_lines([titles, *rows(page, raw=raw)]))


def folded_table(titles: Iterable[str], cells: Iterable[list[str]]) -> Table:
    """Return a table that is as wide as its terminal, in which long labels take several lines."""
    table = Table(box=None, padding=(0, 0, 0, 1), pad_edge=False, header_style="bold")
    for number, title in enumerate(titles):
        table.add_column(
            title,
            overflow="fold",
            justify="left" if number < TEXT_COLUMNS else "right",
            style="dim" if title == "TYPE" else "",
        )
    for line in cells:
        # As texts, because labels are no markup.
        table.add_row(*map(Text, line))
    return table


def plain_lines(cells: Sequence[list[str]]) -> Iterator[str]:
    """Yield the lines of a table, each a whole one that a `grep` finds."""
    columns = zip_longest(*cells, fillvalue="")
    widths = [max(map(cell_len, column)) for column in columns]
    for line in cells:
        padded = [
            set_cell_size(cell, width) if number < TEXT_COLUMNS else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        yield f"{' '.join(padded).rstrip()}\n"


def rows(page: Iterable[ScrapedSeries], *, raw: bool = False) -> Iterator[list[str]]:
    """Yield the cells of each series; labels are below the name that they share."""
    for _, group in groupby(page, lambda series: (series.family.name, series.name)):
        first, *others = group
        head = [printable(first.name), printable(first.family.kind)]
        if not others and not first.labels:
            yield [*head, *numbers(first, raw=raw)]
            continue
        yield head
        for series in (first, *others):
            labels = label_text(series.labels, ", ") or "{}"
            yield [f"  {labels}", "", *numbers(series, raw=raw)]


def numbers(series: ScrapedSeries, *, raw: bool) -> list[str]:
    """Return the value; or count, mean and quantiles of a distribution, empty if not known."""
    unit, value = series.family.unit, series.value
    if not series.is_distribution:
        return [exact(value) if raw else quantity(value, unit, series.name)]
    show = exact if raw else partial(short_quantity, unit=unit)
    return [
        exact(value) if raw else quantity(value),
        *("" if isnan(each) else show(each) for each in (series.mean, *series.quantiles())),
    ]


def print_json(page: Iterable[ScrapedSeries]) -> None:
    """Print series as an array of objects, with numbers in base units."""
    json.dump([fields(series) for series in page], sys.stdout, indent=2)
    sys.stdout.write("\n")


def fields(series: ScrapedSeries) -> dict[str, object]:
    """Return the object of a series; numbers that JSON does not have are text."""
    family = series.family
    found: dict[str, object] = {
        "name": series.name,
        "labels": dict(series.labels),
        "type": family.kind,
        "unit": family.unit,
        "help": family.help,
    }
    if not series.is_distribution:
        return found | {"value": plain(series.value)}
    quantiles = zip(map(str, QUANTILES), map(plain, series.quantiles()), strict=True)
    return found | {
        "count": plain(series.value),
        "sum": plain(series.total),
        "quantiles": dict(quantiles),
    }


def plain(value: float) -> float | str:
    """Return a number, or the text of one that is not finite."""
    return value if isfinite(real(value)) else exact(value)
