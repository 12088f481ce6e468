"""The event loops that those who run tests close, which cancels what tests have left in them."""

import functools
import sys
from collections.abc import Callable
from typing import Any

from metrics.testing.naming import STARTERS, is_tool
from metrics.testing.origins import stack_above

OnClose = Callable[[Any], None]

_cancel: Callable[[Any], None] | None = None


def watch(on_close: OnClose | None) -> None:
    """Have a function called with each loop of a test that is about to be closed; None ends that.

    What a test runs with `asyncio.run` ends within the test, and is none of these.
    """
    global _cancel  # noqa: PLW0603 - a function is replaced for the whole process
    runners: Any = sys.modules.get("asyncio.runners")
    if runners is None or (on_close is None) == (_cancel is None):
        return
    if on_close is None:
        runners._cancel_all_tasks, _cancel = _cancel, None
    else:
        _cancel = runners._cancel_all_tasks
        runners._cancel_all_tasks = telling(_cancel, on_close)


def telling(cancel: OnClose, on_close: OnClose) -> OnClose:
    """Return a function that tells of a loop before its tasks are cancelled."""

    @functools.wraps(cancel)
    def cancel_all_tasks(loop: Any) -> None:
        callers = (frame for frame in stack_above(2) if frame.package not in STARTERS)
        if (closing := next(callers, None)) is not None and is_tool(closing):
            on_close(loop)
        cancel(loop)

    return cancel_all_tasks
