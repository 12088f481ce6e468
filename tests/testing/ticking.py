"""A manual ticker, and a member that writes down its ticks."""

import threading

from metrics.testing import ManualClock, ManualTicker


class Member:
    """Writes down when it is ticked, and does then what the test wants."""

    def __init__(self, clock, action=lambda: None) -> None:
        self.clock = clock
        self.action = action
        self.times = []
        self.threads = set()

    def tick(self) -> None:
        self.times.append(self.clock.monotonic())
        self.threads.add(threading.current_thread())
        self.action()


def started(interval=5.0, action=lambda: None):
    ticker = ManualTicker(interval, ManualClock(0))
    ticker.start()
    member = Member(ticker.clock, action)
    ticker.add(member)
    return ticker, member
