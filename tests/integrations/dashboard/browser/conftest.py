"""Chromium, and pages whose errors, requests and policy violations fail their test."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.integrations.dashboard.browser.fake import FakeProgram
from tests.processes import free_port

PATIENCE = 10_000
"""Milliseconds that a test waits for the page."""

WATCH = """
window.faults = [];
document.addEventListener("securitypolicyviolation", (event) =>
    window.faults.push(`${event.violatedDirective}: ${event.blockedURI}`));
"""

# Of Debian, of Ubuntu, and of Google.
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str:
    """Return where the browser is; skip the test when there is none, but fail it in CI."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        reason = "chromium is not installed: `apt-get install chromium`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


# Not of the session: the event loop of Playwright's synchronous interface runs in this thread, in
# which tests of other modules run theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = chromium()
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])) as browser,
    ):
        yield browser


class Viewer:
    """Page of a browser with all that it must not have."""

    def __init__(self, page: Page, url: str, *, meets_failures: bool) -> None:
        self.page = page
        self.url = url
        self.faults: list[str] = []
        self.meets_failures = meets_failures
        page.set_default_timeout(PATIENCE)
        page.add_init_script(WATCH)
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"{error}\n{error.stack}"))
        page.on("dialog", self._dismiss)
        page.on("request", self._check)

    def _note(self, kind: str, text: str) -> None:
        # The browser itself logs each request that a server refuses, or that is gone.
        is_logged_by_browser = self.meets_failures and text.startswith("Failed to load resource")
        if kind in {"error", "warning"} and not is_logged_by_browser:
            self.faults.append(text)

    def _dismiss(self, dialog: Any) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _check(self, request: Any) -> None:
        if not request.url.startswith((self.url, "data:")):
            self.faults.append(f"request: {request.url}")

    def verify(self) -> None:
        assert [*self.faults, *self.page.evaluate("window.faults")] == []


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Open]:
    """Return a function that opens a page in a context of its own.

    A page that `meets_failures` may have requests that fail, which the browser logs as errors.
    """
    viewers: list[Viewer] = []
    with ExitStack() as contexts:

        def open_page(
            url: str, width: int = 1280, *, meets_failures: bool = False, **options: Any
        ) -> Page:
            viewport = {"width": width, "height": 800}
            context = browser.new_context(viewport=viewport, **options)
            page = contexts.enter_context(closing(context)).new_page()
            viewers.append(Viewer(page, url, meets_failures=meets_failures))
            page.goto(url)
            return page

        yield open_page
        for viewer in viewers:
            viewer.verify()


Start = Callable[..., FakeProgram]


@pytest.fixture
def start() -> Iterator[Start]:
    """Return a function that starts a program; its arguments are the parts of its state."""
    with ExitStack() as programs:

        def start(port: int = 0, **state: Any) -> FakeProgram:
            program = FakeProgram(port or free_port(), **state)
            return programs.enter_context(program.serving())

        yield start
