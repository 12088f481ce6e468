"""How long a test waits for what has to happen."""

import threading
from collections.abc import Callable

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
