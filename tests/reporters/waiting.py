"""How long a test waits for what has to happen."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

DEADLINE = 10.0
"""Seconds after which something hangs, which takes milliseconds when it does not."""

FOREVER = 3600.0
"""Seconds of a limit that no test may wait for."""


def ended(action: Callable[[], object], name: str = "waiting") -> threading.Thread:
    """Run something that may hang in a thread of its own; fail if it does."""
    thread = threading.Thread(target=action, name=name)
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive(), f"{name} hangs"
    return thread


class Abortable(Protocol):
    """Transport, or a connector of one."""

    def abort(self) -> None: ...


@contextmanager
def aborted_when(reached: threading.Event, transport: Abortable) -> Iterator[None]:
    """Abort what a transport does in the block, from another thread, when an event is set."""

    def abort() -> None:
        assert reached.wait(DEADLINE)
        transport.abort()

    thread = threading.Thread(target=abort)
    thread.start()
    yield
    thread.join()
