"""The live page of real programs in a real browser."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.integrations.dashboard.browser.program import MARKUP, SECRET
from tests.processes import LOOPBACK, fetch, free_port, until

pytestmark = pytest.mark.slow(reason="runs in Chromium")

PROGRAM = Path(__file__).with_name("program.py")

Run = Callable[..., "subprocess.Popen[bytes]"]


@contextmanager
def process(*arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
    command = [sys.executable, str(PROGRAM), *arguments]
    root = PROGRAM.parents[4]
    with subprocess.Popen(command, cwd=root, env={"PYTHONPATH": str(root)}) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.fixture
def run() -> Iterator[Run]:
    """Return a function that runs the program until its page is there."""
    with ExitStack() as processes:

        def run(port: int, *arguments: str) -> "subprocess.Popen[bytes]":
            started = processes.enter_context(process(str(port), *arguments))

            def serves() -> bool:
                try:
                    return bool(fetch(f"http://{LOOPBACK}:{port}/watch/dashboard/dashboard.css"))
                except OSError:
                    assert started.poll() is None, "the program has ended"
                    return False

            until(serves, "the page is served")
            return started

        yield run


def row(page, name: str):
    return page.locator("#rows .row").filter(has=page.get_by_text(name, exact=True))


def test_values_of_a_program_move_until_it_is_killed_and_again_when_it_is_back(run, open_page):
    port = free_port()
    first = run(port)
    # Without a slash, as people type it: Starlette redirects to the one with it.
    page = open_page(f"http://{LOOPBACK}:{port}/watch", meets_failures=True)
    page.evaluate("window.loaded = 'once'")
    expect(page.locator("h1")).to_have_text("The shop")
    calls = row(page, "calls").locator(".value")
    # Ten a second.
    expect(calls).to_contain_text("/s")
    before = calls.text_content()
    expect(calls).not_to_have_text(before)
    expect(row(page, "requests").locator(".note")).to_have_text("3 series by route")
    expect(page.locator("#graph .node")).to_have_count(3)
    expect(page.locator("#state")).to_have_text("running")
    expect(page.locator("#events")).to_contain_text("traffic")
    first.kill()
    expect(page.locator("#connection")).to_have_text("unreachable, retrying")
    run(port)
    expect(page.locator("#connection")).to_have_text("live")
    expect(calls).to_contain_text("/s")
    before = calls.text_content()
    expect(calls).not_to_have_text(before)
    assert page.evaluate("window.loaded") == "once"


def test_a_program_that_stops_says_so(run, open_page):
    port = free_port()
    program = run(port)
    page = open_page(f"http://{LOOPBACK}:{port}/watch/", meets_failures=True)
    expect(page.locator("#connection")).to_have_text("live")
    program.terminate()
    expect(page.locator("#connection")).to_have_text("stopped")
    assert program.wait(20) is not None


def test_a_start_that_has_failed_is_shown_with_its_stack_and_no_secret(run, open_page):
    port = free_port()
    run(port, "fail")
    page = open_page(f"http://{LOOPBACK}:{port}/watch/")
    expect(page.locator("#graph .node[data-state=FAILED]")).to_have_text("✕database")
    page.locator("summary").click()
    expect(page.locator("pre")).to_contain_text("in fail")
    expect(page.locator("pre")).to_contain_text(f"ConnectionError: {MARKUP}")
    assert SECRET not in page.content()
    assert page.locator("img").count() == 0


def test_two_viewers_of_a_program_see_the_same(run, open_page):
    port = free_port()
    run(port)
    url = f"http://{LOOPBACK}:{port}/watch/"
    pages = [open_page(url), open_page(url)]
    for page in pages:
        row(page, "requests").click()
        expect(row(page, "/1").locator(".value")).to_contain_text("ms")
        # Its one child is seen at once, with its hostile label as a text.
        expect(row(page, f"page={MARKUP}")).to_have_count(1)
        assert page.locator("img").count() == 0
