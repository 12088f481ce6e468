"""A reporter of numbers, and the threads that reporters have."""

import threading
from collections.abc import Iterator

from metrics.reporters._push.reporter import Reporter
from tests.reporters.standins import new_statistics
from tests.reporters.waiting import FOREVER

OFTEN = 0.002


class Numbers:
    """Gives one number after another; `action` is done first."""

    def __init__(self, action=None) -> None:
        self.action = action
        self.count = 0
        self.asked = threading.Semaphore(0)

    def __call__(self) -> Iterator[bytes]:
        self.count += 1
        number = self.count
        self.asked.release()
        if self.action is not None:
            self.action()
        yield b"%d" % number


def reporter_of(collect, transport, **options) -> Reporter:
    options = {"interval": FOREVER, "timeout": FOREVER, **options}
    return Reporter("db", collect, transport, new_statistics(), **options)


def workers() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("metrics-reporter")]
