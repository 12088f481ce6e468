import copy
import time

from metrics.clock import SYSTEM_CLOCK, SystemClock


def test_the_monotonic_times_never_go_back_and_agree():
    readings = [SYSTEM_CLOCK.monotonic() for _ in range(1000)]
    assert readings == sorted(readings)
    before = SYSTEM_CLOCK.monotonic_ns()
    seconds = SYSTEM_CLOCK.monotonic()
    after = SYSTEM_CLOCK.monotonic_ns()
    assert before - 1_000 <= seconds * 1e9 <= after + 1_000
    assert type(before) is int


def test_the_wall_clock_tells_seconds_and_nanoseconds_since_the_epoch():
    before = time.time_ns()
    nanoseconds = SYSTEM_CLOCK.time_ns()
    seconds = SYSTEM_CLOCK.time()
    after = time.time_ns()
    assert before <= nanoseconds <= after
    assert before - 1_000 <= seconds * 1e9 <= after + 1_000
    assert type(nanoseconds) is int


def test_the_monotonic_clock_moves():
    start = SYSTEM_CLOCK.monotonic_ns()
    assert any(SYSTEM_CLOCK.monotonic_ns() > start for _ in range(1_000_000))


def test_a_copy_of_the_system_clock_is_the_clock_itself():
    assert copy.deepcopy(SYSTEM_CLOCK) is SYSTEM_CLOCK
    assert copy.deepcopy({"clock": SYSTEM_CLOCK})["clock"] is SYSTEM_CLOCK


def test_the_system_clock_keeps_no_state_and_names_itself():
    assert isinstance(SYSTEM_CLOCK, SystemClock)
    assert not hasattr(SYSTEM_CLOCK, "__dict__")
    assert repr(SYSTEM_CLOCK) == "SYSTEM_CLOCK"
