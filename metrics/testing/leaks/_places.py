"""Lines of a stack for its reader: without functions that only pass a call on."""

import functools
import linecache
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from metrics.testing.leaks._origins import Frame, Origin, Stack

RUNNERS = {"_pytest", "pluggy", "pytest", "pytest_asyncio", "runpy", "unittest", "xdist"}
"""Packages that run tests: a stack is shown from the functions that they call."""

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

BOOTSTRAP = {"_bootstrap", "_bootstrap_inner", "run"}
"""Functions of `threading` that run a thread's target."""

FOREIGN_FRAMES = 3
"""Number of installed functions that are shown, the innermost."""


class Place(NamedTuple):
    """Line that a function had reached when an object was started, or has reached now."""

    file: str
    line: int
    function: str
    source: str
    """The line itself, if it can be read."""

    def __str__(self) -> str:
        text = f'File "{self.file}", line {self.line}, in {self.function}'
        return f"{text}\n  {self.source}" if self.source else text

    @property
    def position(self) -> str:
        """The file and the line, as editors open them."""
        return f"{self.file}:{self.line}"


def places(stack: Stack) -> Iterator[Place]:
    """Yield the lines of a stack that say where an object was started."""
    shown = relevant(stack)
    shown = tuple(frame for frame in shown if frame.package not in QUIET) or shown
    foreign = [is_foreign(frame.code.co_filename) for frame in shown]
    for depth, frame in enumerate(shown):
        last = all(foreign[: depth + 1]) and depth < FOREIGN_FRAMES
        if not foreign[depth] or last or all(foreign):
            code, line = frame.code, frame.line
            source = linecache.getline(code.co_filename, line).strip()
            yield Place(code.co_filename, line, code.co_name, source)


def current_places(stack: Stack) -> Iterator[Place]:
    """Yield the lines of a thread or task that say where it is now."""
    within = without_bootstrap(stack)
    # Where a library waits for its own work, its innermost functions say enough.
    quiet = all(frame.package in QUIET for frame in within)
    yield from places(within[:FOREIGN_FRAMES] if quiet else within)


def without_bootstrap(stack: Stack) -> Stack:
    """Return a stack without the functions with which `threading` begins each thread."""
    outermost = len(stack)
    while outermost and is_bootstrap(stack[outermost - 1]):
        outermost -= 1
    return stack[:outermost]


def is_bootstrap(frame: Frame) -> bool:
    """Return whether a function is one with which `threading` begins each thread."""
    return frame.module == "threading" and frame.code.co_name in BOOTSTRAP


def position_of(shown: Iterable[Place]) -> str:
    """Return the line of the tested code, or of the test; empty if no line is known."""
    shown = tuple(shown)
    own = (place for place in shown if not is_foreign(place.file))
    place = next(own, shown[0] if shown else None)
    return place.position if place else ""


@functools.cache
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
    return stack[:run] or without_bootstrap(stack) or stack


def is_a_tools(origin: Origin) -> bool:
    """Return whether an object was started by a tool that runs the tests, for itself."""
    return is_tools_stack(origin.stack)


def is_tools_stack(stack: Stack) -> bool:
    """Return whether a stack is one of a tool that runs the tests, working for itself."""
    for frame in stack:
        if frame.package not in STARTERS | {"threading"}:
            return is_tool(frame)
    return False


def is_tool(frame: Frame) -> bool:
    """Return whether a function belongs to a tool that runs the tests."""
    return runs_tests(frame, TOOLS)


def runs_tests(frame: Frame, packages: set[str]) -> bool:
    """Return whether a function of one of these packages runs tests."""
    # Tested code may use anyio, and tests use unittest.mock.
    if frame.package == "anyio":
        return frame.code.co_qualname.startswith("TestRunner.")
    return frame.package in packages and frame.module != "unittest.mock"
