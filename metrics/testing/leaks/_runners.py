"""Event loops that test runners close, which cancels the tasks that tests have left in them."""

import functools
import sys
from collections.abc import Callable
from typing import Any

from metrics.testing.leaks._origins import stack_above
from metrics.testing.leaks._places import STARTERS, is_tool

OnClose = Callable[[Any], None]

# The innermost run of pytest is notified: one may run another one within itself.
_listeners: list[OnClose] = []
_cancel: OnClose | None = None


def watch(on_close: OnClose) -> None:
    """Have a function called with each loop of a test that is about to be closed.

    A loop of `asyncio.run` in a test ends within the test, and is none of these.
    """
    global _cancel  # noqa: PLW0603 - a function is replaced for the whole process
    if on_close not in _listeners:
        _listeners.append(on_close)
    runners: Any = sys.modules.get("asyncio.runners")
    if runners is not None and _cancel is None:
        _cancel = runners._cancel_all_tasks
        runners._cancel_all_tasks = notifier_of(_cancel)


def unwatch(on_close: OnClose) -> None:
    """Call a function no more."""
    global _cancel  # noqa: PLW0603 - as above
    if on_close in _listeners:
        _listeners.remove(on_close)
    if not _listeners and _cancel is not None:
        sys.modules["asyncio.runners"]._cancel_all_tasks = _cancel  # type: ignore[attr-defined]
        _cancel = None


def notifier_of(cancel: OnClose) -> OnClose:
    """Return a function that reports a loop before its tasks are cancelled."""

    @functools.wraps(cancel)
    def cancel_all_tasks(loop: Any) -> None:
        callers = (frame for frame in stack_above(2) if frame.package not in STARTERS)
        if _listeners and (closing := next(callers, None)) is not None and is_tool(closing):
            _listeners[-1](loop)
        cancel(loop)

    return cancel_all_tasks
