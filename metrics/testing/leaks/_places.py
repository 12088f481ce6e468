"""Lines of a stack for its reader: without functions that only pass a call on."""

import linecache
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from metrics.testing.leaks._origins import Frame, Origin, Stack

RUNNERS = {"_pytest", "pluggy", "pytest", "pytest_asyncio", "runpy", "unittest", "xdist"}
"""Packages that run tests: a stack is shown from what they call."""

STARTERS = {"asyncio", "concurrent", "multiprocessing", "selectors", "socket", "subprocess"}
"""Packages that start objects for their callers, as `threading` does."""

TOOLS = {
    "_pydev_bundle",
    "_pydevd_bundle",
    "_pytest",
    "coverage",
    "debugpy",
    "execnet",
    "hypothesis",
    "pydevd",
    "pytest_asyncio",
    "pytest_cov",
    "pytest_rerunfailures",
    "pytest_timeout",
    "unittest",
    "xdist",
}
"""Packages that start objects for themselves, and are not tested."""

QUIET = STARTERS | {"contextlib", "dependency_injector", "metrics", "threading"}
"""Packages between a caller and the object that it starts, which say nothing of either."""

STANDARD_LIBRARY = str(Path(os.__file__).parent)
INSTALLED = {"site-packages", "dist-packages"}

FOREIGN_FRAMES = 3
"""Number of installed functions that are shown, the innermost."""


class Place(NamedTuple):
    """Line that a function had reached when an object was started."""

    file: str
    line: int
    function: str
    source: str
    """The line itself, if it can be read."""

    def __str__(self) -> str:
        text = f'File "{self.file}", line {self.line}, in {self.function}'
        return f"{text}\n  {self.source}" if self.source else text


def places(stack: Stack) -> Iterator[Place]:
    """Yield the lines of a stack that say where an object was started."""
    shown = relevant(stack)
    shown = tuple(frame for frame in shown if frame.package not in QUIET) or shown
    foreign = [is_foreign(frame.code.co_filename) for frame in shown]
    for depth, (_, code, line) in enumerate(shown):
        last = all(foreign[: depth + 1]) and depth < FOREIGN_FRAMES
        if not foreign[depth] or last or all(foreign):
            source = linecache.getline(code.co_filename, line).strip()
            yield Place(code.co_filename, line, code.co_name, source)


def is_foreign(file: str) -> bool:
    """Return whether a file is of Python's library, or of one that is installed."""
    parts = set(Path(file).parts)
    return not parts.isdisjoint(INSTALLED) or file.startswith((STANDARD_LIBRARY, "<frozen "))


def relevant(stack: Stack) -> Stack:
    """Return a stack without the functions that only run the test, the thread or the task."""
    runners = (depth for depth, frame in enumerate(stack) if runs_tests(frame, RUNNERS))
    run = next(runners, len(stack))
    while run and stack[run - 1].package in STARTERS | {"threading"}:
        run -= 1
    return stack[:run] or stack


def is_a_tools(origin: Origin) -> bool:
    """Return whether an object was started by a tool that runs the tests, for itself."""
    for frame in origin.stack:
        if frame.package not in STARTERS | {"threading"}:
            return is_tool(frame)
    return False


def is_tool(frame: Frame) -> bool:
    """Return whether a function belongs to what runs the tests."""
    return runs_tests(frame, TOOLS)


def runs_tests(frame: Frame, packages: set[str]) -> bool:
    """Return whether a function is one of these packages' that runs tests, not of their rest."""
    # What is tested may use anyio, and tests use unittest.mock.
    if frame.package == "anyio":
        return frame.code.co_qualname.startswith("TestRunner.")
    return frame.package in packages and frame.module != "unittest.mock"
