"""What holds for every test: it leaves no thread and no file descriptor behind."""

import signal
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

from tests.descriptors import descriptors

GRACE = 5.0


def pytest_configure() -> None:
    # A shell lets what it starts in the background ignore SIGINT, and so would all that is tested.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    threads = set(threading.enumerate())
    files = descriptors()
    yield
    deadline = monotonic() + GRACE
    for thread in set(threading.enumerate()) - threads:
        thread.join(max(deadline - monotonic(), 0.0))
    left = [thread.name for thread in set(threading.enumerate()) - threads]
    assert not left, f"threads left behind: {left}"
    assert descriptors() <= files, "file descriptors left behind"
