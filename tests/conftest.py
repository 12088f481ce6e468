"""What holds for every test: it leaves no thread and no file descriptor behind."""

import os
import threading
from collections.abc import Iterator
from time import monotonic

import pytest

GRACE = 5.0


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else set()


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    threads = set(threading.enumerate())
    files = len(descriptors())
    yield
    deadline = monotonic() + GRACE
    for thread in set(threading.enumerate()) - threads:
        thread.join(max(deadline - monotonic(), 0.0))
    left = [thread.name for thread in set(threading.enumerate()) - threads]
    assert not left, f"threads left behind: {left}"
    assert len(descriptors()) <= files, "file descriptors left behind"
