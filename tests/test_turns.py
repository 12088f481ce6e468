"""Long work gives other threads their turns."""

import threading
from time import monotonic_ns

from metrics._turns import TURN, Turns


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
    pauses, now = [], [0]
    monkeypatch.setattr("metrics._turns.sleep", pauses.append, raising=True)
    monkeypatch.setattr("metrics._turns.monotonic_ns", lambda: now[0], raising=True)
    turns = Turns()
    for elapsed, paused in ((TURN - 1, 0), (1, 1), (TURN - 1, 1), (1, 2)):
        now[0] += elapsed
        turns.offer()
        assert len(pauses) == paused
