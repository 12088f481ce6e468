"""The live view: keys, sizes, failures, and the work it does not do."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot  # noqa: TC002 - of an attribute

from app.endpoint import EndpointError, ScrapedPage
from app.table import ColumnWidths, TrendTable, fitting
from app.top import SeriesScreen, Top
from app.trends import MOST_SERIES
from tests.app.agents import PATIENCE

URL = "http://me:secret@host:1/metrics"


class Live:
    """A running view of a page in memory, read whenever a test says so."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.error = ""
        self.reads = 0
        self.was_read = asyncio.Event()
        self.app = Top(URL, 3600.0, self.read)
        self.pilot: Pilot

    async def read(self, url: str) -> ScrapedPage:
        assert url == URL
        self.reads += 1
        self.was_read.set()
        if self.error:
            raise EndpointError(self.error)
        return ScrapedPage(self.text)

    async def read_more(self) -> None:
        self.was_read.clear()
        async with asyncio.timeout(PATIENCE):
            await self.was_read.wait()

    async def reading(self, text: str | None = None, error: str = "") -> None:
        self.text, self.error = self.text if text is None else text, error
        await self.app._take_reading()
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    @property
    def table(self) -> TrendTable:
        return self.app._table

    @property
    def names(self) -> list[str]:
        return [trend.latest.title for trend in self.table.trends]

    @property
    def selected(self) -> str:
        return self.table.selected.latest.title

    @property
    def rows(self) -> list[str]:
        return [self.table.render_line(y).text for y in range(self.table.size.height)]

    @property
    def status(self) -> str:
        return self.app.status(self.app.size.width).plain

    @property
    def facts(self) -> str:
        return self.app.screen.facts().plain


def play(
    scenario: Callable[[Live], Awaitable[None]], text: str = "a 1\nb 2\nc 3\n", size=(80, 24)
) -> None:
    async def run() -> None:
        live = Live(text)
        async with live.app.run_test(size=size) as live.pilot:
            async with asyncio.timeout(PATIENCE):
                while not (live.app.board.times or live.app.failure):
                    await live.pilot.pause()
            await live.reading()
            await scenario(live)

    asyncio.run(run())


def many(number: int, value: int = 0) -> str:
    return "".join(f"n{each:05} {value + each}\n" for each in range(number))


def test_the_rows_have_name_value_rate_and_trend():
    async def scenario(live: Live) -> None:
        await live.press("s")
        assert [row.split() for row in live.rows[:3]] == [
            ["count_total", "2M", "0", "▁"],
            ["held_bytes", "1.5", "KiB", "0", "▁▁"],
            ["other", "-Inf"],
        ]
        assert live.status.splitlines()[0].startswith("http://host:1/metrics ")
        assert live.status.splitlines()[1].split() == ["3", "series", "sorted", "by", "name"]
        assert "secret" not in live.status

    play(
        scenario,
        "# TYPE count_total counter\ncount_total 2000000\nheld_bytes 1536\nother -Inf\n",
    )


def test_s_changes_the_sort():
    async def scenario(live: Live) -> None:
        await live.reading("a 1\nb 20\nc 10\n")
        assert "sorted by rate" in live.status
        assert live.names == ["b", "c", "a"]
        await live.press("s")
        assert "sorted by name" in live.status
        assert live.names == ["a", "b", "c"]
        await live.press("s")
        assert "sorted by value" in live.status
        assert live.names == ["b", "c", "a"]
        await live.press("s")
        assert "sorted by rate" in live.status

    play(scenario)


def test_the_filter_is_immediate():
    async def scenario(live: Live) -> None:
        await live.press("slash", "s", "p", "slash")
        assert live.names == ['g{a="sp/1"}']
        assert "1 of 3 series" in live.status
        await live.press("backspace", "x")
        assert live.names == []
        assert "0 of 3 series" in live.status
        await live.press("escape")
        assert len(live.names) == 3
        assert not live.app._input.display

    play(scenario, 'g{a="sp/1"} 1\ng{a="sp"} 1\ng{a="q"} 1\n')


@pytest.mark.parametrize("key", ["enter", "down"])
def test_the_filter_stays_when_the_table_is_used_again(key):
    async def scenario(live: Live) -> None:
        await live.press("slash", "b", key)
        assert live.app.focused is live.table
        assert live.names == ["b"]
        await live.reading("b 7\nbb 7\n")
        assert sorted(live.names) == ["b", "bb"]
        await live.press("escape")
        assert len(live.names) == 2
        assert "of" not in live.status.splitlines()[1]

    play(scenario)


def test_an_empty_filter_goes_away():
    async def scenario(live: Live) -> None:
        await live.press("slash", "enter")
        assert not live.app._input.display
        assert live.app.focused is live.table

    play(scenario)


def test_keys_move_the_cursor():
    async def scenario(live: Live) -> None:
        await live.press("s")
        page = live.table.size.height - 1
        for key, row in [
            ("down", 1),
            ("down", 2),
            ("up", 1),
            ("pagedown", 1 + page),
            ("end", 99),
            ("down", 99),
            ("pageup", 99 - page),
            ("home", 0),
            ("up", 0),
        ]:
            await live.press(key)
            assert live.table.cursor == row, key
            top = live.table.scroll_offset.y
            assert top <= row < top + live.table.size.height
            assert live.rows[row - top].startswith(f"n{row:05} ")

    play(scenario, many(100))


def test_keys_move_nothing_in_an_empty_table():
    async def scenario(live: Live) -> None:
        await live.press("down", "end", "up", "pagedown", "enter", "s")
        assert live.table.selected is None
        assert not isinstance(live.app.screen, SeriesScreen)

    play(scenario, "")


def test_the_cursor_follows_its_series_but_not_from_the_first_row():
    async def scenario(live: Live) -> None:
        await live.reading("a 1\nb 20\nc 10\n")
        assert live.selected == "b"
        await live.reading("a 100\nb 20\nc 10\n")
        assert live.selected == live.names[0] == "a"
        await live.press("down")
        chosen = live.selected
        await live.reading("a 100\nb 20\nc 1000\n")
        assert live.selected == chosen
        await live.reading("a 1\n")
        assert live.selected == "a"

    play(scenario)


def test_a_timer_and_a_reading_may_end_after_the_last_screen():
    async def scenario(live: Live) -> None:
        await live.reading("a 1\n")
        screens = live.app._screen_stacks["_default"]
        kept = screens[:]
        screens.clear()
        live.app._show_status()
        await live.app._take_reading()
        screens.extend(kept)

    play(scenario)


def test_only_changed_rows_are_painted(monkeypatch):
    painted = []
    monkeypatch.setattr(TrendTable, "refresh_line", lambda self, y: painted.append(y))

    async def scenario(live: Live) -> None:
        await live.press("s")
        for _ in range(12):  # until the sparklines are full
            await live.app._take_reading()
        assert live.rows
        painted.clear()
        await live.app._take_reading()
        assert painted == []
        await live.app._take_reading()
        live.text = live.text.replace("n00003 3", "n00003 999")
        await live.app._take_reading()
        assert painted == [3]

    play(scenario, many(2000))


def test_enter_opens_a_series_and_escape_closes_it():
    text = '# HELP t_seconds Time\x1b[2J\n# TYPE t_seconds gauge\nt_seconds{a="\x1b[31m"} 90\n'

    async def scenario(live: Live) -> None:
        await live.reading(text.replace("90", "30"))
        await live.press("enter")
        assert isinstance(live.app.screen, SeriesScreen)
        assert r't_seconds{a="\x1b[31m"}' in live.facts
        assert "gauge in seconds" in live.facts
        assert r"Time\x1b[2J" in live.facts
        assert "30 s" in live.facts
        assert "30s to 1.5min" in live.facts
        await live.press("slash", "s")
        assert isinstance(live.app.screen, SeriesScreen)
        await live.reading(text.replace("90", "45"))
        assert "45 s" in live.facts
        await live.press("escape")
        assert not isinstance(live.app.screen, SeriesScreen)
        assert "sorted by rate" in live.status

    play(scenario, text)


def test_a_histogram_is_opened_with_its_quantiles():
    text = (
        "# TYPE h_seconds histogram\n"
        'h_seconds_bucket{{le="1"}} {0}\nh_seconds_bucket{{le="2"}} {1}\n'
        'h_seconds_bucket{{le="+Inf"}} {1}\nh_seconds_count {1}\nh_seconds_sum 3\n'
    )

    async def scenario(live: Live) -> None:
        assert live.rows[0].split()[:4] == ["h_seconds", "-", "-", "-"]
        await live.reading(text.format(2, 4))
        assert live.rows[0].split()[1:4] == ["1.5s", "1.95s", "1.99s"]
        await live.press("enter")
        facts = dict(line.split("  ", 1) for line in live.facts.splitlines() if "  " in line)
        assert facts["Observations"].split() == ["4"]
        assert facts["Mean since the start"].split() == ["750", "ms"]
        assert facts["Quantiles since the start"].split()[:2] == ["p50", "1"]
        assert facts["Of the last 30 readings"].split()[:2] == ["p50", "1.5"]

    play(scenario, text.format(2, 2))


def test_an_opened_series_that_the_page_has_no_more_keeps_its_values():
    async def scenario(live: Live) -> None:
        await live.press("enter")
        await live.reading("other 1\n")
        assert "The page does not have this series any more." in live.facts
        assert "Last" in live.facts

    play(scenario, "a 1\n")


def test_a_click_selects_a_row_and_another_one_opens_it():
    async def scenario(live: Live) -> None:
        await live.press("s")
        await live.pilot.click(TrendTable, offset=(5, 2))
        assert live.selected == "c"
        await live.pilot.click(TrendTable, offset=(5, 2))
        await live.pilot.pause()
        assert isinstance(live.app.screen, SeriesScreen)

    play(scenario)


def test_a_failure_keeps_the_values_and_ends_by_itself():
    async def scenario(live: Live) -> None:
        await live.reading(error="Connection refused")
        assert "Connection refused (since 0 s)" in live.status
        assert "ago" in live.status
        assert len(live.names) == 3
        await live.reading(error="Connection refused")
        assert "Connection refused" in live.status
        await live.reading("a 5\n")
        assert "Connection" not in live.status
        assert live.names == ["a"]

    play(scenario)


def test_a_server_that_never_was_there_is_a_failure_without_values():
    async def scenario(live: Live) -> None:
        await live.reading(error="Connection refused")
        assert "Connection refused" in live.status

    play(scenario, "")


def test_p_pauses_and_goes_on():
    async def scenario(live: Live) -> None:
        await live.press("p")
        assert "paused" in live.status
        await live.press("p")
        assert "every 1 h" in live.status

    play(scenario)


def test_no_reading_is_made_in_a_pause():
    async def run() -> None:
        live = Live("a 1\n")
        live.app.interval = 0.0
        async with live.app.run_test() as live.pilot:
            await live.read_more()
            live.app.action_pause()
            # The one under way still ends.
            await live.app._take_reading()
            before = live.reads
            for _ in range(100):
                await asyncio.sleep(0)
            assert live.reads - before <= 1
            live.app.action_pause()
            await live.read_more()

    asyncio.run(run())


def test_a_reading_that_ends_after_the_view_shows_nothing():
    async def run() -> None:
        live = Live("a 1\n")
        async with live.app.run_test() as live.pilot:
            await live.reading()
        await live.app._take_reading()

    asyncio.run(run())


def test_surplus_series_are_counted():
    async def scenario(live: Live) -> None:
        assert f"{MOST_SERIES:,} series, 3 more not shown" in live.status

    play(scenario, many(MOST_SERIES + 3))


@pytest.mark.parametrize("size", [(80, 24), (250, 70), (40, 10), (1, 1)])
def test_every_size_of_a_terminal_is_filled(size):
    async def scenario(live: Live) -> None:
        await live.reading(error="Connection refused")
        await live.reading()
        assert all(cell_len(row) == live.table.size.width for row in live.rows)
        await live.press("slash", "n", "enter")
        await live.pilot.resize_terminal(max(size[0] - 7, 1), max(size[1] - 2, 1))
        await live.press("enter")
        await live.pilot.resize_terminal(*size)
        await live.press("escape", "end")
        assert all(cell_len(row) == live.table.size.width for row in live.rows)

    play(
        scenario,
        many(60) + 'wide{a="漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字漢字"} 1\n',
        size,
    )


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("name", 6, "name  "),
        ("name", 4, "name"),
        ('requests{a="1",b="2"}', 11, 'requ…b="2"}'),
        ("漢字漢字漢字", 7, "漢 … 字"),
        ("漢字漢字漢字", 6, "漢… 字"),
        ("name", 1, "…"),
    ],
)
def test_long_names_lose_their_middle(text, width, shown):
    assert fitting(text, width) == shown
    assert cell_len(shown) == width


def test_columns_use_all_of_the_width():
    for width in range(60, 300):
        assert sum(ColumnWidths.within(width)) + 3 == width
