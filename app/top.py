"""Live view of an exposition endpoint in a terminal."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import isfinite
from time import monotonic
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Footer, Input, Static

from app.endpoint import EndpointError, ScrapedPage, displayed_url, read
from app.series import QUANTILES, ScrapedSeries, parse
from app.table import DIM, TREND, Titles, TrendTable, fitting, rate_text
from app.text import chart, label_text, printable, quantity, short_quantity
from app.trends import RECENT, SORTS, Board, Trend

FAILURE = Style(color="red", bold=True)
BOLD = Style(bold=True)

AXIS_WIDTH = 10
"""Cells beside a chart for its highest and lowest value."""

STATUS_SECONDS = 0.5
"""Interval in which the ages are shown again."""


class Status(Widget):
    """Lines about the endpoint, from a function that takes their width in cells."""

    def __init__(self, lines: Callable[[int], Text]) -> None:
        super().__init__()
        self._lines = lines

    def render(self) -> Text:
        """Return the lines."""
        return self._lines(self.size.width)


class Chart(Widget):
    """Chart of the last readings of a series, with the highest and lowest value at its axis."""

    def __init__(self, trend: Trend) -> None:
        super().__init__()
        self._trend = trend

    def render(self) -> Text:
        """Return the chart, in as many lines as the widget has."""
        width, height = max(self.size.width - AXIS_WIDTH, 1), self.size.height
        points = list(self._trend.points)[-width:]
        finite = [each for each in points if isfinite(each)]
        labels = [""] * height
        if finite and height > 1:
            unit = charted_unit(self._trend.latest)
            labels[0], labels[-1] = (
                short_quantity(max(finite), unit),
                short_quantity(min(*finite, self._trend.floor), unit),
            )
        text = Text(no_wrap=True)
        for label, line in zip(
            labels, chart(points, width, height, self._trend.floor), strict=True
        ):
            text.append(f"{label:>{AXIS_WIDTH - 2}} │", DIM)
            text.append(f"{line}\n", TREND)
        return text


class SeriesScreen(Screen[None]):
    """One series: its description, its numbers, and a chart."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter", "app.pop_screen", "Back")]

    def __init__(self, trend: Trend, board: Board, status: Callable[[int], Text]) -> None:
        super().__init__()
        self._trend = trend
        self._board = board
        self._status = status

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        yield Status(self._status)
        with VerticalScroll():
            yield Static(self.facts(), id="facts")
        yield Chart(self._trend)
        yield Footer()

    def show(self) -> None:
        """Show the last reading."""
        self.query_one("#facts", Static).update(self.facts())
        self.query_one(Chart).refresh()

    def facts(self) -> Text:
        """Return the description and the numbers of the series."""
        trend, series, family = self._trend, self._trend.latest, self._trend.latest.family
        text = Text()
        text.append(printable(series.name), BOLD)
        text.append(f"{label_text(series.labels, ', ')}\n")
        unit = f" in {printable(family.unit)}" if family.unit else ""
        text.append(f"{printable(family.kind)}{unit}\n{printable(family.help)}\n\n", DIM)
        if trend.key not in self._board.trends:
            text.append("The page does not have this series any more.\n\n", FAILURE)
        for label, value in numbers(trend, self._board):
            text.append(f"{label:<28}", DIM)
            text.append(f"{value}\n")
        return text


def numbers(trend: Trend, board: Board) -> list[tuple[str, str]]:
    """Return the numbers of a series, each with its label."""
    series, unit = trend.latest, trend.latest.family.unit
    found = [
        ("Observations", quantity(series.value))
        if series.is_distribution
        else ("Last", quantity(series.value, unit, series.name)),
        ("Change per second", rate_text(trend) or "-"),
    ]
    finite = [each for each in trend.points if isfinite(each)]
    if finite:
        lowest, highest = (
            short_quantity(each, charted_unit(series)) for each in (min(finite), max(finite))
        )
        kind = " per second" if series.is_cumulative else ""
        found.append((f"Range{kind}", f"{lowest} to {highest}{span_text(trend, board)}"))
    if series.is_distribution:
        # A summary chooses itself of which time its quantiles are.
        since = " since the start" if series.is_cumulative else ""
        found.append((f"Mean{since}", quantity(series.mean, unit)))
        since = since if series.buckets else ""
        found.append((f"Quantiles{since}", quantile_text(series.quantiles(), unit)))
        if since:
            found.append((f"Of the last {RECENT} readings", quantile_text(trend.quantiles, unit)))
    return found


def quantile_text(quantiles: list[float], unit: str) -> str:
    """Return quantiles with their names."""
    named = zip(QUANTILES, quantiles, strict=True)
    return "  ".join(f"p{100 * name:g} {quantity(each, unit)}" for name, each in named)


def charted_unit(series: ScrapedSeries) -> str:
    """Return the unit of the points of a chart."""
    return "" if series.is_distribution else series.family.unit


def span_text(trend: Trend, board: Board) -> str:
    """Return the time that the points of a trend are of."""
    times = list(board.times)[-len(trend.points) - trend.latest.is_cumulative :]
    span = times[-1] - times[0]
    return f" in {quantity(round(span), 'seconds')}" if span >= 1 else ""


class Top(App[None]):
    """Live view of an endpoint.

    Args:
        url: the page.
        interval: seconds between two readings.
        read_page: reads the page.
    """

    TITLE = "wired-metrics"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    Status { height: 2; }
    Input, Input:focus {
        height: 1; border: none; padding: 0; background: ansi_default; color: ansi_default;
    }
    Chart { height: 1fr; min-height: 4; }
    VerticalScroll { padding: 0 1; height: auto; max-height: 70%; }
    Footer, FooterKey { background: ansi_default; color: ansi_default; }
    FooterKey .footer-key--key { background: ansi_default; color: ansi_blue; text-style: bold; }
    FooterKey .footer-key--description { background: ansi_default; color: ansi_default; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        # With priority, a key is handled before the next one goes to the focused widget.
        Binding("slash", "filter", "Filter", key_display="/", priority=True),
        Binding("s", "sort", "Sort", priority=True),
        Binding("p", "pause", "Pause", priority=True),
        Binding("escape", "clear_filter", "All series", priority=True),
        Binding("down", "leave_filter", "Down", show=False),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+c", "quit", "Quit", show=False, priority=True),
    ]

    def __init__(
        self,
        url: str,
        interval: float,
        read_page: Callable[[str], Awaitable[ScrapedPage]] = read,
    ) -> None:
        # The colours of the terminal, so that light ones stay light.
        super().__init__(ansi_color=True)
        self.url = url
        self.interval = interval
        self.board = Board()
        self.failure = ""
        self.failing_since = 0.0
        self.sort = SORTS[0]
        self._words = ""
        self._read = read_page
        self._going = asyncio.Event()
        self._going.set()

    def compose(self) -> ComposeResult:
        """Yield the widgets."""
        yield Status(self.status)
        yield Titles()
        yield TrendTable()
        yield Input(placeholder="words of names and labels; Esc shows all")
        yield Footer()

    def on_load(self) -> None:
        """End with a signal as with `q`, which leaves the terminal as it was."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            # Windows has no handlers in event loops.
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, self.exit)

    def on_mount(self) -> None:
        """Read the page from now on."""
        self._input.display = False
        self._table.focus()
        self.run_worker(self._keep_reading())
        self.set_interval(STATUS_SECONDS, self._show_status)

    async def _keep_reading(self) -> None:
        while True:
            await self._going.wait()
            began = monotonic()
            await self._take_reading()
            await asyncio.sleep(max(began + self.interval - monotonic(), 0.0))

    async def _take_reading(self) -> None:
        try:
            page = await self._read(self.url)
            # In another thread, because a large page takes longer than a key may wait.
            found = await asyncio.to_thread(parse, page)
        except EndpointError as error:
            self.failing_since = self.failing_since if self.failure else monotonic()
            self.failure = str(error)
        else:
            self.failure = ""
            self.board.add(found, monotonic())
        # The last reading may end after the table is gone.
        if self.is_running and self.screen_stack:
            self.show()

    def show(self) -> None:
        """Show the last reading."""
        for screen in self.screen_stack:
            if isinstance(screen, SeriesScreen):
                screen.show()
        self._table.show(self.board.sorted_trends(self.sort, self._words))
        self._show_status()

    @property
    def _table(self) -> TrendTable:
        return self.screen_stack[0].query_one(TrendTable)

    @property
    def _input(self) -> Input:
        return self.screen_stack[0].query_one(Input)

    def _show_status(self) -> None:
        # The last call of the timer may come after the last screen is gone.
        for screen in self.screen_stack[-1:]:
            for status in screen.query(Status):
                status.refresh()

    def status(self, width: int) -> Text:
        """Return two lines of this width: the URL and the last reading; the series or a failure."""
        above = two_sided(displayed_url(self.url), self._reading_text(), width)
        below = two_sided(self._state_text(), f"sorted by {self.sort}", width)
        text = Text(f"{above}\n{below}", no_wrap=True)
        text.stylize(BOLD, 0, len(above))
        if self.failure:
            text.stylize(FAILURE, len(above))
        return text

    def _reading_text(self) -> str:
        pace = (
            "paused" if not self._going.is_set() else f"every {quantity(self.interval, 'seconds')}"
        )
        if not self.board.times:
            return pace
        return f"read {age_text(self.board.times[-1])} ago, {pace}"

    def _state_text(self) -> str:
        if self.failure:
            return f"{self.failure} (since {age_text(self.failing_since)})"
        if not self.board.times:
            return "reading"
        count = len(self.board.trends)
        text = f"{count:,} series"
        if self._words:
            text = f"{len(self._table.trends):,} of {text}"
        return f"{text}, {self.board.surplus:,} more not shown" if self.board.surplus else text

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Return whether an action is possible: keys of the table are letters in the filter."""
        on_series = isinstance(self.screen, SeriesScreen)
        in_filter = isinstance(self.focused, Input)
        if action == "clear_filter":
            return not on_series and (in_filter or bool(self._words))
        if action in {"filter", "sort"}:
            return not (on_series or in_filter)
        return not (action == "pause" and in_filter)

    def action_filter(self) -> None:
        """Let the user type words that names or labels have to contain."""
        self._input.display = True
        self.screen.set_focus(self._input)
        self.refresh_bindings()

    def action_leave_filter(self) -> None:
        """Return to the table."""
        self.screen.set_focus(self._table)
        self._input.display = bool(self._words)
        self.refresh_bindings()

    def action_clear_filter(self) -> None:
        """Show all series."""
        self._words = self._input.value = ""
        self.action_leave_filter()

    @on(Input.Changed)
    def _filter(self, event: Input.Changed) -> None:
        self._words = event.value
        self.show()

    @on(Input.Submitted)
    def _submit(self) -> None:
        self.action_leave_filter()

    def action_sort(self) -> None:
        """Sort by the next of rate, name and value."""
        self.sort = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        self.show()

    def action_pause(self) -> None:
        """Pause the readings, or go on."""
        if self._going.is_set():
            self._going.clear()
        else:
            self._going.set()
        self._show_status()

    @on(TrendTable.Opened)
    def _open(self, event: TrendTable.Opened) -> None:
        self.push_screen(SeriesScreen(event.trend, self.board, self.status))


def two_sided(left: str, right: str, width: int) -> str:
    """Return a line with a text at each side; the left one is cut to have room for the other."""
    return f"{fitting(left, max(width - cell_len(right) - 2, 1))}  {right}"


def age_text(since: float) -> str:
    """Return the time since a monotonic time, in whole seconds or larger units."""
    age = monotonic() - since
    return quantity(round(age), "seconds") if age >= 1 else "0 s"
