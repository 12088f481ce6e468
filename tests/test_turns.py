"""Long work gives other threads their turns."""

import threading
from time import monotonic_ns

from metrics.turns import TURN, Turns


def test_other_threads_run_while_long_work_goes_on():
    ran = threading.Event()
    working, turns = threading.Event(), Turns()
    other = threading.Thread(target=lambda: (working.wait(10), ran.set()))
    other.start()
    working.set()
    ends = monotonic_ns() + 10_000_000_000
    while not ran.is_set() and monotonic_ns() < ends:
        turns.offer()
    other.join(10)
    assert ran.is_set()


def test_short_work_is_not_interrupted(monkeypatch):
    pauses = []
    monkeypatch.setattr("metrics.turns.sleep", pauses.append, raising=True)
    turns = Turns()
    turns.offer()
    assert TURN > 0
    assert pauses == []
