"""The live page in a real browser, before a program that does as the test says."""

import re
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.integrations.dashboard.browser.fake import STATIC, resource, series
from tests.processes import until

pytestmark = pytest.mark.slow(reason="runs in Chromium")

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>"
HOSTILE = [MARKUP, "</title><b>", "{base}", "javascript:alert(3)", "a\u202eb\x1b[31m", "x" * 2000]

NONE = "\u2013"

STACK = 'Traceback (most recent call last):\n  File "shop/db.py", line 42, in connect\nOSError: no'

expect.set_options(timeout=10_000)

MEASURE = """((texts) => texts.map((text) => {
    const begin = performance.now();
    const filter = document.querySelector("#filter");
    filter.value = text;
    filter.dispatchEvent(new Event("input"));
    document.body.offsetHeight;
    return performance.now() - begin;
}))"""
"""Milliseconds from each input until the rows are laid out."""


def row(page: Page, name: str):
    return page.locator("#rows .row").filter(has=page.get_by_text(name, exact=True))


def value(page: Page, name: str):
    return row(page, name).locator(".value")


def shop(**more: Any) -> dict[str, Any]:
    """Return a state with a series of each shape, a family, a container and a failing check."""
    methods = ("GET", "POST", "PUT")
    return {
        "series": [
            series(1, "http/hits", description="Requests"),
            series(2, "http/latency", "Timer", unit="seconds"),
            series(3, "http/size", "Gauge", unit="bytes"),
            series(4, "build", "Info"),
            *(series(5 + i, "http/calls", labels={"method": m}) for i, m in enumerate(methods)),
            series(8, "http/calls", labels={"method": "OTHER"}, overflow=True),
            series(9, "queue/depth", "IntGauge"),
        ],
        "values": {
            "1": [1000],
            "2": [10, 0.001, 0.0125, 0.25, 0.002, 0.0001, 0.3, 4.0, 3.0, 2.0],
            "3": [12_500_000],
            "4": ["version=1.2 commit=abc"],
            **{str(id): [100] for id in range(5, 9)},  # noqa: A001
            "9": [7],
        },
        "container": {
            "name": "Container",
            "state": "RUNNING",
            "resources": [resource("clock"), resource("server", needs=["clock"])],
            "events": [],
        },
        "health": [
            {"name": "db", "error": "refused", "since": 1.0, "checked": 1.0, "description": ""}
        ],
        **more,
    }


def tick_of_all(program) -> None:
    heat = {"2": [[-14, 3.0], [-12, 9.5], [-4, 1]]}
    values = {str(id): [200] for id in range(5, 9)}  # noqa: A001
    program.tick({"1": [1050], **values}, heat=heat)


def test_each_kind_is_shown_in_its_way(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    expect(page.locator("#connection")).to_have_text("live")
    expect(value(page, "hits")).to_have_text(f"total1000{NONE}")
    expect(value(page, "latency")).to_have_text("p501 msp9512.5 msp99250 ms")
    expect(value(page, "size")).to_have_text("12.5 MB")
    expect(value(page, "build")).to_have_text("version=1.2 commit=abc")
    expect(page.locator("#count")).to_have_text("9 series")
    expect(page.locator("#about")).to_have_text(re.compile(r"example · pid 4711 · up \d+\ss"))


def test_values_change_with_a_tick_and_are_marked_until_the_next_one(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    expect(value(page, "depth")).to_have_text("7")
    program.tick({"1": [1050], "9": [8]})
    expect(value(page, "depth")).to_have_text("8")
    expect(value(page, "hits")).to_have_text("total105010 /s")
    assert "changed" in row(page, "hits").get_attribute("class")
    program.tick({"9": [9]})
    expect(value(page, "hits")).to_have_text("total10500 /s")
    assert "changed" not in row(page, "hits").get_attribute("class")
    assert "changed" in row(page, "depth").get_attribute("class")


def test_series_come_and_go(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    program.tick({"20": [3]}, added=[series(20, "late/comer", "Gauge")], removed=[9])
    expect(value(page, "comer")).to_have_text("3")
    expect(row(page, "depth")).to_have_count(0)
    expect(page.locator("#count")).to_have_text("9 series")


def test_a_family_expands_to_its_children(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    tick_of_all(program)
    family = row(page, "calls")
    expect(family).to_have_attribute("aria-expanded", "false")
    expect(family.locator(".note")).to_have_text("4 series at its cap by method")
    expect(family.locator(".value")).to_have_text("80 /s")
    family.click()
    expect(family).to_have_attribute("aria-expanded", "true")
    expect(value(page, "GET")).to_have_text("total20020 /s")
    expect(row(page, "OTHER")).to_contain_text("beyond the cap")
    family.click()
    expect(row(page, "GET")).to_have_count(0)


def test_a_group_collapses(start, open_page):
    page = open_page(start(**shop()).url)
    group = row(page, "http")
    expect(group).to_have_attribute("aria-expanded", "true")
    group.click()
    expect(row(page, "hits")).to_have_count(0)
    expect(row(page, "depth")).to_have_count(1)


def test_two_thousand_series_are_filtered_within_a_frame_or_so(start, open_page):
    names = [f"tenant{i % 40}/service{i}/hits" for i in range(2000)]
    page = open_page(
        start(
            series=[
                series(i, name, "Gauge", labels={"zone": "eu" if i % 2 else "us"})
                for i, name in enumerate(names)
            ],
            values={str(i): [i] for i in range(2000)},
        ).url
    )
    expect(page.locator("#count")).to_have_text("2000 series")
    page.locator("#filter").press_sequentially("SERVICE19 eu")
    expect(page.locator("#count")).to_have_text("56 of 2000 series")
    expect(row(page, "service19/hits")).to_have_count(1)
    # Only the rows in sight exist.
    assert page.locator("#rows .row").count() < 60
    times = page.evaluate(f"{MEASURE}(['s', 'se', 'service1', 'nothing', 'eu', ''])")
    assert min(times) < 50
    page.locator("#filter").fill("nothing has this")
    expect(page.locator("#empty")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#count")).to_have_text("2000 series")


def test_rows_far_below_are_drawn_when_they_come_in_sight(start, open_page):
    program = start(
        series=[series(i, f"a/b{i:04}", "Gauge") for i in range(2000)],
        values={str(i): [i] for i in range(2000)},
    )
    page = open_page(program.url)
    expect(value(page, "b0000")).to_have_text("0")
    page.locator("#list").press("End")
    expect(value(page, "b1999")).to_have_text("1999")
    expect(row(page, "b1999")).to_have_attribute("aria-selected", "true")
    program.tick({"1999": [5]})
    expect(value(page, "b1999")).to_have_text("5")


def test_filters_look_at_names_labels_and_kinds(start, open_page):
    page = open_page(start(**shop()).url)
    expect(page.locator("#count")).to_have_text("9 series")
    for words, count in [("hits", 1), ("method=post", 1), ("timer", 1), ("calls counter", 4)]:
        page.locator("#filter").fill(words)
        expect(page.locator("#count")).to_have_text(f"{count} of 9 series")
    page.locator("#filter").fill("method=post")
    # The children for which a filter is meant are seen at once.
    expect(row(page, "POST")).to_have_count(1)


@pytest.mark.parametrize("by", ["click", "Enter"])
def test_a_series_opens_and_closes(start, open_page, by: str):
    program = start(**shop())
    page = open_page(program.url)
    tick_of_all(program)
    detail = page.locator("#detail")
    if by == "click":
        row(page, "latency").click()
    else:
        page.locator("#filter").fill("latency")
        expect(page.locator("#count")).to_have_text("1 of 9 series")
        page.keyboard.press("Enter")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
    expect(detail).to_be_visible()
    expect(page.locator("#detail-title")).to_have_text("http/latency")
    numbers = page.locator("#detail-numbers")
    for text in ["rate, 1 min4 /s", "rate, 15 min2 /s", "p9512.5 ms", "max300 ms", "count10"]:
        expect(numbers).to_contain_text(text.replace(" /s", "\u00a0/s").replace(" ms", "\u00a0ms"))
    expect(page.locator("#heat-title")).to_have_text("Observations by bucket: 14")
    expect(page.locator("#detail-heat")).to_be_visible()
    page.keyboard.press("Escape")
    expect(detail).to_be_hidden()
    expect(page.locator("#list")).to_be_focused() if by == "Enter" else None


def test_the_crosshair_follows_the_mouse_and_the_arrow_keys(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    for depth in (8, 9, 10):
        program.tick({"9": [depth]})
    expect(value(page, "depth")).to_have_text("10")
    row(page, "depth").click()
    legend = page.locator("#detail-legend")
    expect(legend).to_have_text("nowvalue 10")
    page.locator("#detail-charts").focus()
    page.keyboard.press("ArrowLeft")
    expect(legend).to_contain_text("value 9")
    expect(legend).to_have_attribute("aria-live", "polite")
    page.locator("#detail-lines").hover(position={"x": 5, "y": 50})
    expect(legend).to_contain_text("value 7")
    box = page.locator("#detail-lines").bounding_box()
    page.locator("#detail-lines").hover(position={"x": box["width"] - 5, "y": 50})
    expect(legend).to_contain_text("value 10")
    page.mouse.move(1, 1)
    expect(legend).to_contain_text("now")


def test_everything_is_done_by_keyboard(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    expect(page.locator("#count")).to_have_text("9 series")
    press = page.keyboard.press
    press("/")
    expect(page.locator("#filter")).to_be_focused()
    page.keyboard.type("calls")
    expect(page.locator("#count")).to_have_text("4 of 9 series")
    press("ArrowDown")
    expect(page.locator("#list")).to_be_focused()
    press("ArrowDown")
    press("j")
    expect(row(page, "calls")).to_have_attribute("aria-selected", "true")
    press("ArrowRight")
    expect(row(page, "calls")).to_have_attribute("aria-expanded", "true")
    press("ArrowRight")
    expect(row(page, "GET")).to_have_attribute("aria-selected", "true")
    active = page.locator("#list").get_attribute("aria-activedescendant")
    assert row(page, "GET").get_attribute("id") == active
    press("Enter")
    expect(page.locator("#detail-labels")).to_have_text("method GET")
    press("Escape")
    press("ArrowLeft")
    expect(row(page, "calls")).to_have_attribute("aria-selected", "true")
    press("ArrowLeft")
    expect(row(page, "calls")).to_have_attribute("aria-expanded", "false")
    press("k")
    expect(row(page, "http")).to_have_attribute("aria-selected", "true")
    press("?")
    expect(page.locator("#keys")).to_be_visible()
    press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    press("/")
    press("Escape")
    expect(page.locator("#count")).to_have_text("9 series")


def test_a_letter_in_the_filter_is_text(start, open_page):
    page = open_page(start(**shop()).url)
    page.locator("#filter").press_sequentially("jp?v/")
    expect(page.locator("#filter")).to_have_value("jp?v/")
    expect(page.locator("#keys")).to_be_hidden()
    expect(page.locator("#connection")).to_have_text("live")


def test_a_paused_page_stays_as_it_is_until_it_goes_on(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    expect(value(page, "depth")).to_have_text("7")
    page.keyboard.press("p")
    expect(page.locator("#connection")).to_have_text("paused")
    program.tick({"9": [8]})
    program.tick({"9": [9]})
    page.wait_for_function("document.querySelector('#pause').ariaPressed === 'true'")
    expect(value(page, "depth")).to_have_text("7")
    page.keyboard.press("p")
    expect(value(page, "depth")).to_have_text("9")


def test_a_resource_that_fails_is_shown_with_its_stack(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    table = page.locator("#container table")
    expect(table.locator("tbody tr")).to_have_count(2)
    error = {"type": "OSError", "message": "no", "stack": STACK}
    program.change(resource("server", "STARTING", seconds=None), "NEW", "STARTING")
    program.change(resource("server", "FAILED", needs=["clock"], error=error), "STARTING", "FAILED")
    expect(page.locator("#state")).to_have_text("failed")
    expect(table).to_contain_text("failed")
    expect(page.locator("#graph .node[data-state=FAILED]")).to_contain_text("server")
    expect(page.locator("#events li").first).to_contain_text("failedOSError: no")
    expect(page.locator("pre")).to_be_hidden()
    page.locator("summary").press("Enter")
    expect(page.locator("pre")).to_have_text(STACK)
    # A change of another resource leaves it open, and the focus where it is.
    program.change(resource("clock", "STOPPED"), "STOPPING", "FAILED")
    expect(page.locator("#events li").first).to_contain_text("stopped")
    expect(page.locator("pre")).to_be_visible()


def test_a_burst_of_changes_is_drawn_once(start, open_page):
    nodes = [resource(f"r{number}", "STARTING") for number in range(100)]
    container = {"name": "C", "state": "STARTING", "resources": nodes, "events": []}
    program = start(container=container)
    page = open_page(program.url)
    expect(page.locator("#container tbody tr")).to_have_count(100)
    page.evaluate("""() => {
        window.drawings = 0;
        const count = () => { window.drawings += 1; };
        new MutationObserver(count).observe(document.querySelector("#graph"), { childList: true });
    }""")
    program.change_all([resource(node["name"]) for node in nodes], "STARTING")
    expect(page.locator("#container tbody .state[data-state=RUNNING]")).to_have_count(100)
    # A busy machine draws some of them apart.
    assert page.evaluate("window.drawings") < len(nodes) / 2


def test_the_graph_leads_from_dependencies_to_dependents(start, open_page):
    nodes = [resource("a"), resource("b", needs=["a"]), resource("c", needs=["a", "b", "gone"])]
    container = {"name": "C", "state": "RUNNING", "resources": nodes, "events": []}
    page = open_page(start(container=container).url)
    boxes = page.locator("#graph .node rect")
    expect(boxes).to_have_count(3)
    lefts = [box.bounding_box()["x"] for box in boxes.all()]
    assert lefts == sorted(set(lefts))
    expect(page.locator("#graph .edge")).to_have_count(3)


def test_starts_and_stops_are_bars_in_proportion(start, open_page):
    def event(name: str, state: str, previous: str, time: float, seconds: float) -> dict[str, Any]:
        return {
            "time": time,
            "resource": name,
            "state": state,
            "previous": previous,
            "seconds": seconds,
            "error": None,
        }

    events = [
        event("a", "RUNNING", "STARTING", 101.0, 1.0),
        event("b", "RUNNING", "STARTING", 104.0, 3.0),
    ]
    nodes = [resource("a", seconds=1.0), resource("b", seconds=3.0)]
    container = {"name": "C", "state": "RUNNING", "resources": nodes, "events": events}
    page = open_page(start(container=container).url)
    bars = page.locator(".bar")
    expect(bars).to_have_count(2)
    first, second = (bar.bounding_box() for bar in bars.all())
    assert second["width"] == pytest.approx(3 * first["width"], rel=0.05)
    assert second["x"] == pytest.approx(first["x"] + first["width"], abs=1)


def test_checks_reporters_and_workers_are_shown_if_there_are_any(start, open_page):
    program = start(**shop(container=None, health=[]))
    page = open_page(program.url)
    expect(value(page, "depth")).to_have_text("7")
    for section in ("container", "health", "reporters"):
        expect(page.locator(f"#{section}")).to_be_hidden()
    check = {"name": "db", "error": "refused", "since": 1.0, "checked": 1.0, "description": ""}
    reporter = {
        "name": "influxdb",
        "target": "http://influx:8086",
        "sent": 12_345,
        "failed": 2,
        "dropped": 1,
        "pending": 4,
        "oldest": 75.0,
        "error": "connection refused",
        "since": 75.0,
    }
    program.tick(
        health=[check],
        reporters=[reporter],
        workers=[{"number": 0, "pid": 17, "up": True}, {"number": 1, "pid": None, "up": False}],
    )
    expect(page.locator("#health")).to_contain_text("failing")
    expect(page.locator("#health")).to_contain_text("refused")
    expect(page.locator("#reporters")).to_contain_text("12.3 k")
    expect(page.locator("#reporters")).to_contain_text(
        "connection refused, for 1\u00a0min 15\u00a0s"
    )
    expect(page.locator("#about")).to_contain_text("1 of 2 workers")
    expect(page.locator("#about")).to_have_attribute("title", "pid 17: running\npid null: stopped")
    program.tick(health=[{**check, "error": None}])
    expect(page.locator("#health")).to_contain_text("healthy")


def test_a_program_that_is_killed_is_unreachable_until_it_is_back(start, open_page):
    program = start(**shop())
    page = open_page(program.url, meets_failures=True)
    page.evaluate("window.loaded = 'once'")
    tick_of_all(program)
    expect(value(page, "hits")).to_have_text("total105010 /s")
    program.kill()
    expect(page.locator("#connection")).to_have_text("unreachable, retrying")
    # The time of the outage goes on, that of the program does not.
    up, lasts = page.locator("#about").text_content(), page.locator("#outage").text_content()
    expect(page.locator("#outage")).not_to_have_text(lasts)
    expect(page.locator("#outage")).to_contain_text("since")
    expect(page.locator("#about")).to_have_text(up)
    expect(value(page, "hits")).to_have_text("total105010 /s")
    state = shop(values={"1": [5], "9": [1]})
    again = start(program.port, **state)
    expect(page.locator("#connection")).to_have_text("live")
    # Another process: the rates between its values and those of the one before are nonsense.
    expect(value(page, "hits")).to_have_text(f"total5{NONE}")
    again.tick({"1": [15]})
    expect(value(page, "hits")).to_have_text("total152 /s")
    assert page.evaluate("window.loaded") == "once"
    expect(page.locator("#outage")).to_be_empty()


def test_an_open_series_goes_on_after_a_restart(start, open_page):
    program = start(**shop())
    page = open_page(program.url, meets_failures=True)
    row(page, "depth").click()
    expect(page.locator("#detail-numbers")).to_contain_text("now7")
    program.kill()
    # Ids are those of a process.
    again = start(program.port, series=[series(1, "queue/depth", "IntGauge")], values={"1": [3]})
    expect(page.locator("#detail-numbers")).to_contain_text("now3")
    again.tick(removed=[1])
    expect(page.locator("#detail-about")).to_contain_text("no longer registered")


def test_a_program_that_stops_says_so(start, open_page):
    program = start(**shop())
    page = open_page(program.url, meets_failures=True)
    expect(page.locator("#connection")).to_have_text("live")
    program.stop("the container is stopping")
    program.kill()
    expect(page.locator("#connection")).to_have_text("stopped")
    expect(page.locator("#outage")).to_contain_text("the container is stopping")
    start(program.port, **shop())
    expect(page.locator("#connection")).to_have_text("live")


def test_the_end_of_a_stream_is_no_outage(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    expect(page.locator("#connection")).to_have_text("live")
    page.evaluate("""() => {
        window.seen = [];
        const badge = document.querySelector("#connection");
        const note = () => window.seen.push(badge.textContent);
        new MutationObserver(note).observe(badge, { childList: true, subtree: true });
    }""")
    program.end_streams()
    until(lambda: program.requests.count("/dashboard/events") == 2, "a second stream")
    until(lambda: program.requests.count("/dashboard/history.json") == 2, "the history of the gap")
    program.tick({"9": [8]})
    expect(value(page, "depth")).to_have_text("8")
    assert set(page.evaluate("window.seen")) <= {"live"}


def test_the_history_before_the_first_view_is_there(start, open_page):
    program = start(**shop())
    program.tick({"9": [8]})
    program.tick({"9": [12]})
    page = open_page(program.url)
    row(page, "depth").click()
    expect(page.locator("#detail-numbers")).to_have_text("now12lowest7highest12")


def test_a_program_that_refuses_a_stream_is_asked_again(start, open_page):
    program = start(**shop())
    program.refused += ["events", "events"]
    page = open_page(program.url, meets_failures=True)
    expect(value(page, "depth")).to_have_text("7")
    expect(page.locator("#connection")).to_have_text("live")
    assert program.requests.count("/dashboard/events") == 3


def test_without_its_history_the_page_shows_the_present(start, open_page):
    program = start(**shop())
    program.refused.append("history.json")
    page = open_page(program.url, meets_failures=True)
    expect(value(page, "depth")).to_have_text("7")
    for depth in (8, 9):
        program.tick({"9": [depth]})
    expect(value(page, "depth")).to_have_text("9")
    row(page, "depth").click()
    expect(page.locator("#detail-numbers")).to_have_text("now9lowest8highest9")


def test_two_viewers_see_the_same(start, open_page):
    program = start(**shop())
    pages = [open_page(program.url), open_page(program.url, color_scheme="dark")]
    for page in pages:
        expect(value(page, "depth")).to_have_text("7")
    program.tick({"9": [8]})
    for page in pages:
        expect(value(page, "depth")).to_have_text("8")
    pages[0].locator("#filter").fill("depth")
    expect(pages[1].locator("#count")).to_have_text("9 series")


def test_hostile_texts_are_text(start, open_page):
    error = {"type": MARKUP, "message": MARKUP, "stack": MARKUP}
    nodes = [resource(text, "FAILED", error=error, hook=MARKUP, needs=HOSTILE) for text in HOSTILE]
    reporter = dict.fromkeys(("sent", "failed", "dropped", "pending"), 0)
    program = start(
        title=MARKUP,
        program=MARKUP,
        series=[
            series(
                i, text, "Gauge", labels={text: text, MARKUP: MARKUP}, description=MARKUP, unit=text
            )
            for i, text in enumerate(HOSTILE)
        ]
        + [series(99, "info", "Info")],
        values={**{str(i): [1] for i in range(len(HOSTILE))}, "99": [MARKUP]},
        container={"name": MARKUP, "state": "FAILED", "resources": nodes, "events": []},
        health=[{"name": MARKUP, "error": MARKUP, "since": 1, "checked": 1, "description": MARKUP}],
        reporters=[
            {"name": MARKUP, "target": MARKUP, "oldest": 1, "since": 1, "error": MARKUP, **reporter}
        ],
    )
    page = open_page(program.url)
    expect(page.locator("h1")).to_have_text(MARKUP)
    expect(value(page, "info")).to_have_text(MARKUP)
    program.change(nodes[0], "STARTING", "FAILED")
    program.tick(late=[MARKUP])
    expect(page.locator("#late")).to_contain_text(MARKUP)
    for text in HOSTILE:
        page.locator("#filter").fill(text[:40])
        page.locator("#list").press("End")
        page.keyboard.press("Enter")
        expect(page.locator("#detail")).to_be_visible()
        page.keyboard.press("Escape")
    page.locator("#filter").fill(MARKUP)
    expect(page.locator("#count")).to_contain_text(" of ")
    assert page.locator("img, b b, script:not([src])").count() == 0


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 360)])
def test_axe_finds_nothing(start, open_page, scheme: str, width: int):
    state = shop()
    error = {"type": "OSError", "message": "no", "stack": STACK}
    state["container"]["resources"].append(resource("db", "FAILED", error=error))
    program = start(**state)
    page = open_page(program.url, width, color_scheme=scheme, reduced_motion="reduce")
    tick_of_all(program)
    program.change(resource("clock"), "STARTING")
    row(page, "calls").click()
    expect(row(page, "GET")).to_have_count(1)

    def verify(where: str) -> None:
        results = Axe().run(page)
        assert results.violations_count == 0, f"{where}: {results.generate_report()}"

    verify("values")
    page.keyboard.press("v")
    page.locator("summary").click()
    verify("program")
    page.keyboard.press("v")
    row(page, "latency").click()
    verify("detail")
    page.keyboard.press("Escape")
    page.locator("#connection").evaluate("(badge) => { badge.dataset.status = 'unreachable'; }")
    page.keyboard.press("?")
    verify("keys")


def test_nothing_is_wider_than_the_window(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    tick_of_all(program)
    expect(value(page, "depth")).to_have_text("7")
    wide = """[...document.querySelectorAll("html, #list, #values")]
        .some((element) => element.scrollWidth > element.clientWidth)"""
    for width in (360, 640, 1180, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 800})
        assert not page.evaluate(wide), width
        page.locator("#rows .row").last.click()
        assert not page.evaluate(wide), width
        page.keyboard.press("Escape")


def test_a_narrow_window_has_one_view_at_a_time(start, open_page):
    page = open_page(start(**shop()).url, 360)
    expect(page.locator("#values")).to_be_visible()
    expect(page.locator("#inside")).to_be_hidden()
    page.get_by_role("button", name="Program").click()
    expect(page.locator("#inside")).to_be_visible()
    expect(page.locator("#values")).to_be_hidden()
    page.set_viewport_size({"width": 1280, "height": 800})
    expect(page.locator("#values")).to_be_visible()
    expect(value(page, "depth")).to_have_text("7")


def test_nothing_moves_for_those_who_prefer_that(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    expect(value(page, "depth")).to_have_text("7")
    for motion, seconds in [("reduce", "0s"), ("no-preference", "0.6s")]:
        page.emulate_media(reduced_motion=motion)
        moving = "getComputedStyle(document.querySelector('#rows .value')).transitionDuration"
        assert page.evaluate(moving) == seconds


def test_a_change_of_the_colour_scheme_is_followed(start, open_page):
    program = start(**shop())
    page = open_page(program.url, color_scheme="light")
    expect(value(page, "depth")).to_have_text("7")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(background) != light


def test_late_values_name_the_instrument(start, open_page):
    program = start(**shop())
    page = open_page(program.url)
    expect(value(page, "depth")).to_have_text("7")
    program.tick(late=["queue/depth"])
    expect(page.locator("#late")).to_have_text("The values are late: queue/depth hangs.")
    program.tick({"9": [8]})
    expect(page.locator("#late")).to_be_hidden()


def test_the_page_is_small_and_has_no_markup_from_data():
    files = [path for path in Path(STATIC).iterdir() if path.is_file()]
    assert sum(len(path.read_bytes()) for path in files) < 60_000
    code = "".join(path.read_text() for path in files if path.suffix == ".js")
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert name not in code
    page = (STATIC / "index.html").read_text()
    assert " style=" not in page
    assert "<style" not in page
    assert " on" not in page.replace(" on ", " ").split("<body", 1)[1] or "onclick" not in page
