"""Table of series for terminals: columns that fit the width, and a cursor to open a series."""

from math import isfinite, isnan
from typing import ClassVar, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from app.text import quantity, short_quantity, sparkline
from app.trends import Trend

PLAIN = Style()
BOLD = Style(bold=True)
DIM = Style(dim=True)
RISE = Style(color="green")
FALL = Style(color="magenta")
TREND = Style(color="cyan")
CURSOR = Style(reverse=True)

VALUE_WIDTH = 23
"""Cells of three quantiles, which are the widest values."""

RATE_WIDTH = 10
NARROW = 60
"""Cells of a terminal that is too narrow for sparklines."""


class ColumnWidths(NamedTuple):
    """Widths of the columns, in cells."""

    name: int
    value: int
    rate: int
    trend: int

    @classmethod
    def within(cls, width: int) -> "ColumnWidths":
        """Return the widths in a table of this width."""
        trend = 0 if width < NARROW else min(max((width - 48) // 3, 10), 60)
        name = width - VALUE_WIDTH - RATE_WIDTH - trend - 3
        return cls(max(name, 10), VALUE_WIDTH, RATE_WIDTH, trend)

    def titles(self) -> str:
        """Return the line of titles."""
        return " ".join(
            (
                "NAME".ljust(self.name),
                "VALUE or p50 p95 p99".rjust(self.value),
                "PER SECOND".rjust(self.rate),
                "TREND".rjust(self.trend) if self.trend else "",
            )
        )


def fitting(text: str, width: int) -> str:
    """Return a text in exactly so many cells; the middle of a long one is left out."""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    # Most series differ from others of their family at the end, in the labels.
    tail = (width - 1) * 3 // 5
    return f"{set_cell_size(text, width - 1 - tail)}…{set_cell_size(text[::-1], tail)[::-1]}"


def value_text(trend: Trend) -> str:
    """Return the value of a series, or the quantiles of a distribution."""
    series = trend.latest
    if not series.is_distribution:
        if series.family.unit:
            return quantity(series.value, series.family.unit, series.name)
        return short_quantity(series.value)
    return " ".join(
        ("-" if isnan(each) else short_quantity(each, series.family.unit)).rjust(7)
        for each in trend.quantiles
    )


def rate_text(trend: Trend) -> str:
    """Return the change of a series per second; of a gauge with its sign."""
    series = trend.latest
    if isnan(trend.rate):
        return ""
    text = short_quantity(trend.rate, "" if series.is_distribution else series.family.unit)
    return f"+{text}" if trend.rate > 0 and not series.is_cumulative else text


def row(trend: Trend, columns: ColumnWidths) -> list[tuple[str, Style]]:
    """Return the cells of a row, each with its style."""
    is_moving = isfinite(trend.rate) and trend.rate != 0.0
    rate_style = (RISE if trend.rate > 0 else FALL) if is_moving else DIM
    cells = [
        (fitting(trend.latest.title, columns.name), PLAIN),
        (
            fitting(value_text(trend).rjust(columns.value), columns.value),
            BOLD if is_moving else PLAIN,
        ),
        (fitting(rate_text(trend).rjust(columns.rate), columns.rate), rate_style),
    ]
    if columns.trend:
        cells.append((sparkline(trend.points, columns.trend, trend.floor), TREND))
    return cells


class TrendTable(ScrollView, can_focus=True):
    """Table of series, of which only the visible rows are made, and only changed ones painted."""

    DEFAULT_CSS = """
    TrendTable {
        height: 1fr;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size: 1 1;
        scrollbar-background: ansi_default;
        scrollbar-background-hover: ansi_default;
        scrollbar-background-active: ansi_default;
        scrollbar-color: ansi_bright_black;
        scrollbar-color-hover: ansi_bright_black;
        scrollbar-color-active: ansi_blue;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open"),
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "move(-1000000)", "First", show=False),
        Binding("end,G", "move(1000000)", "Last", show=False),
    ]

    class Opened(Message):
        """Request to open a series."""

        def __init__(self, trend: Trend) -> None:
            super().__init__()
            self.trend = trend

    def __init__(self) -> None:
        super().__init__()
        self.trends: list[Trend] = []
        self.cursor = 0
        self._painted: dict[int, Strip] = {}

    @property
    def selected(self) -> Trend | None:
        """Series under the cursor; None in an empty table."""
        return self.trends[self.cursor] if self.trends else None

    def show(self, trends: list[Trend]) -> None:
        """Show these series; the cursor stays at the first row, or else follows its series."""
        before = self.selected.key if self.selected and self.cursor else None
        self.trends = trends
        keys = (index for index, trend in enumerate(trends) if trend.key == before)
        followed = next(keys, min(self.cursor, len(trends) - 1)) if before else 0
        self.virtual_size = Size(self.size.width, len(trends))
        self._move_to(followed)
        self._repaint()

    def _repaint(self) -> None:
        first, painted = self.scroll_offset.y, self._painted
        visible = range(first, first + self.size.height)
        self._painted = {index: painted[index] for index in visible if index in painted}
        for index in visible:
            if self._strip(index) != self._painted.get(index):
                self.refresh_line(index)

    def render_line(self, y: int) -> Strip:
        """Return a visible line, which textual counts from the top of the widget."""
        index = self.scroll_offset.y + y
        strip = self._painted[index] = self._strip(index)
        return strip

    def _strip(self, index: int) -> Strip:
        width = self.size.width
        if index >= len(self.trends):
            return Strip.blank(width)
        cells = row(self.trends[index], ColumnWidths.within(width))
        if index == self.cursor and self.has_focus:
            # In one colour, of which the reverse is legible.
            line = Segment(" ".join(text for text, _ in cells), CURSOR)
            return Strip([line]).adjust_cell_length(width, CURSOR)
        spaced = [Segment(f"{text} ", style) for text, style in cells]
        return Strip(spaced).adjust_cell_length(width, PLAIN)

    def _move_to(self, index: int) -> None:
        self.cursor = min(max(index, 0), max(len(self.trends) - 1, 0))
        top, height = self.scroll_offset.y, max(self.size.height, 1)
        if not top <= self.cursor < top + height:
            # At the nearest end of the view.
            line = self.cursor if self.cursor < top else self.cursor - height + 1
            self.scroll_to(y=line, animate=False, immediate=True)

    def action_move(self, rows: int) -> None:
        """Move the cursor by so many rows."""
        self._move_to(self.cursor + rows)
        self._repaint()

    def action_page(self, pages: int) -> None:
        """Move the cursor by so many pages."""
        self.action_move(pages * max(self.size.height - 1, 1))

    def action_open(self) -> None:
        """Open the series under the cursor."""
        if self.selected:
            self.post_message(self.Opened(self.selected))

    def on_click(self, event: Click) -> None:
        """Select a row; open the one that is selected already."""
        index = self.scroll_offset.y + event.y
        if index == self.cursor:
            self.action_open()
        elif index < len(self.trends):
            self.action_move(index - self.cursor)

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        """Keep the cursor in view, in rows of the new width."""
        self.virtual_size = Size(event.size.width, len(self.trends))
        self._painted.clear()
        self._move_to(self.cursor)
        self.refresh()


class Titles(Widget):
    """Titles of the columns."""

    DEFAULT_CSS = "Titles { height: 1; text-style: bold; }"

    def render(self) -> Text:
        """Return the titles, above the columns of the table, which has a scrollbar beside it."""
        return Text(
            ColumnWidths.within(self.size.width - 1).titles(), no_wrap=True, overflow="crop"
        )
