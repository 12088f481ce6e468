"""The sample that leans to the present: its distribution, against the plain method."""

import threading
from collections.abc import Callable, Iterable, Iterator
from heapq import heappush, heapreplace
from math import inf, isfinite, log, sqrt
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import ExpDecayReservoir
from metrics.instruments._expdecay import RankedSample
from metrics.testing import ManualClock

SIZE = 128
ALPHA = 0.015
INTERVAL = 5.0
RUNS = 60
CRITICAL = 1.949  # of the two-sample Kolmogorov-Smirnov statistic, at a level of 0.001

Stream = list[int]

# Updates in each interval of five seconds; the sample accepts about 10 of them once it is full.
STREAMS: dict[str, Stream] = {
    "steady": [250] * 100,
    "bursts and gaps": ([2000] + [0] * 11 + [40] * 4) * 6 + [0] * 3,
    "slower than the acceptance rate": [4] * 160,
}


def arrivals(stream: Stream) -> Iterator[tuple[float, list[float]]]:
    for k, updates in enumerate(stream):
        tick = k * INTERVAL
        yield tick, [tick + INTERVAL * i / updates for i in range(updates)]


def plain_ages(stream: Stream, seed: int) -> list[float]:
    """Rank every single update and keep the greatest ranks."""
    random = Random(seed).random
    kept: list[tuple[float, float]] = []
    for tick, times in arrivals(stream):
        for time in times:
            rank = ALPHA * tick - log(1.0 - random())
            if len(kept) < SIZE:
                heappush(kept, (rank, time))
            elif rank > kept[0][0]:
                heapreplace(kept, (rank, time))
    end = len(stream) * INTERVAL
    return [end - time for _, time in kept]


def reservoir_ages(stream: Stream, seed: int, *, ticked: bool = True) -> list[float]:
    clock = ManualClock()
    reservoir = ExpDecayReservoir(SIZE, ALPHA, clock, Random(seed))
    for _, times in arrivals(stream):
        if ticked:
            reservoir.tick()
        for time in times:
            reservoir.update(time)
        clock.advance(INTERVAL)
    end = len(stream) * INTERVAL
    return [end - time for time in reservoir.snapshot().values]


def uniform_ages(stream: Stream, seed: int) -> list[float]:
    end = len(stream) * INTERVAL
    times = [time for _, batch in arrivals(stream) for time in batch]
    return [end - time for time in Random(seed).sample(times, SIZE)]


def kolmogorov_smirnov(a: list[float], b: list[float]) -> float:
    """Return the statistic over its critical value: above 1, the two differ."""
    a, b = sorted(a), sorted(b)
    i = j = 0
    greatest = 0.0
    while i < len(a) and j < len(b):
        x = min(a[i], b[j])
        while i < len(a) and a[i] == x:
            i += 1
        while j < len(b) and b[j] == x:
            j += 1
        greatest = max(greatest, abs(i / len(a) - j / len(b)))
    return greatest / (CRITICAL * sqrt((len(a) + len(b)) / (len(a) * len(b))))


def z_of_means(a: list[list[float]], b: list[list[float]]) -> float:
    means_a, means_b = [fmean(run) for run in a], [fmean(run) for run in b]
    error = sqrt(stdev(means_a) ** 2 / len(a) + stdev(means_b) ** 2 / len(b))
    return abs(fmean(means_a) - fmean(means_b)) / error


def pooled(runs: Iterable[list[float]]) -> list[float]:
    return [age for run in runs for age in run]


def runs_of(sample: Callable[[Stream, int], list[float]], stream: Stream) -> list[list[float]]:
    return [sample(stream, seed) for seed in range(RUNS)]


@pytest.mark.slow(reason="draws hundreds of samples")
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_the_distribution_is_that_of_the_plain_method_and_uniform_without_a_ticker(
    stream: Stream,
):
    expected = [plain_ages(stream, 1_000_003 + seed) for seed in range(RUNS)]
    jumped = runs_of(reservoir_ages, stream)
    assert z_of_means(jumped, expected) < 4.0
    assert kolmogorov_smirnov(pooled(jumped), pooled(expected)) < 1.0
    # The comparison has power: a sample that does not lean to the present fails it.
    even = [reservoir_ages(stream, seed, ticked=False) for seed in range(RUNS)]
    assert z_of_means(even, expected) > 4.0
    assert kolmogorov_smirnov(pooled(even), pooled(expected)) > 1.0
    # Without a ticker the sample is uniform.
    uniform = [uniform_ages(stream, 2_000_003 + seed) for seed in range(RUNS)]
    assert z_of_means(even, uniform) < 4.0
    assert kolmogorov_smirnov(pooled(even), pooled(uniform)) < 1.0


def test_ticks_in_the_middle_of_a_wait_at_the_same_age_change_nothing():
    expected = [uniform_ages([2000], 3_000_017 + seed) for seed in range(RUNS)]
    often = []
    for seed in range(RUNS):
        reservoir = ExpDecayReservoir(SIZE, ALPHA, ManualClock(), Random(seed))
        for _, times in arrivals([2000]):
            for time in times:
                reservoir.update(time)
                reservoir.tick()
        often.append([INTERVAL - time for time in reservoir.snapshot().values])
    assert z_of_means(often, expected) < 4.0
    assert kolmogorov_smirnov(pooled(often), pooled(expected)) < 1.0


@pytest.mark.parametrize("updates", [3, 40])
def test_a_year_on_the_clock_overflows_nothing_and_keeps_the_newest(updates: int):
    size = 16
    clock = ManualClock()
    reservoir = ExpDecayReservoir(size, ALPHA, clock, Random(4))
    total = 0
    for step in [3600.0] * 24 * 90 + [86400.0] * 275:
        clock.advance(step)
        reservoir.tick()
        for _ in range(updates):
            total += 1
            reservoir.update(float(total))
    snapshot = reservoir.snapshot()
    assert snapshot.count == total
    # Of those a day apart, a newer one beats an older one with a chance of 1 - exp(-1296).
    newest = updates if updates > size else -(-size // updates) * updates
    assert snapshot.size == size
    assert snapshot.min > total - newest
    assert all(isfinite(rank) for rank in reservoir._sample._ranks)


def test_a_tick_after_years_of_silence_does_not_disturb_the_sample():
    clock = ManualClock()
    reservoir = ExpDecayReservoir(4, ALPHA, clock, Random(4))
    for value in (1.0, 2.0, 3.0, 4.0):
        reservoir.update(value)
    clock.advance(10 * 365 * 86400.0)
    reservoir.tick()
    assert reservoir.snapshot().values == (1.0, 2.0, 3.0, 4.0)
    reservoir.update(5.0)
    assert 5.0 in reservoir.snapshot().values


def test_every_value_is_kept_until_the_reservoir_is_full():
    reservoir = ExpDecayReservoir(100, ALPHA, ManualClock(), Random(5))
    for value in range(100):
        reservoir.update(value)
    assert reservoir.snapshot().values == tuple(map(float, range(100)))


def test_count_and_sum_speak_of_every_update():
    reservoir = ExpDecayReservoir(8, ALPHA, ManualClock(), Random(6))
    for value in range(1000):
        reservoir.update(value)
    snapshot = reservoir.snapshot()
    assert (reservoir.count, snapshot.count, snapshot.sum) == (1000, 1000, 499500.0)
    assert snapshot.size == 8


def test_clear_restarts_the_sample():
    clock = ManualClock()
    reservoir = ExpDecayReservoir(SIZE, ALPHA, clock, Random(7))
    for _ in range(50_000):
        reservoir.update(-1.0)
    reservoir.clear()
    assert (reservoir.count, reservoir.snapshot().size, reservoir.snapshot().sum) == (0, 0, 0.0)
    clock.advance(INTERVAL)
    reservoir.tick()
    for value in range(SIZE):
        reservoir.update(value)
    assert reservoir.snapshot().values == tuple(map(float, range(SIZE)))


def test_the_same_seed_gives_the_same_sample():
    stream = STREAMS["steady"][:20]
    assert reservoir_ages(stream, 8) == reservoir_ages(stream, 8)
    assert reservoir_ages(stream, 8) != reservoir_ages(stream, 9)


@pytest.mark.parametrize(
    ("size", "alpha", "error"),
    [
        (0, 0.015, ValueError),
        (-1, 0.015, ValueError),
        (1.5, 0.015, TypeError),
        ("8", 0.015, TypeError),
        (8, 0.0, ValueError),
        (8, -0.015, ValueError),
        (8, inf, ValueError),
        (8, float("nan"), ValueError),
        (8, "0.015", TypeError),
    ],
)
def test_a_bad_size_or_alpha_is_refused_by_name(size, alpha, error: type[Exception]):
    with pytest.raises(error, match=r"ExpDecayReservoir\((size|alpha)\) takes a"):
        ExpDecayReservoir(size, alpha)


@pytest.mark.parametrize(
    ("value", "error"),
    [(inf, ValueError), (-inf, ValueError), (float("nan"), ValueError), ("1", TypeError)],
)
def test_a_bad_value_is_refused_and_not_counted(value, error: type[Exception]):
    reservoir = ExpDecayReservoir()
    with pytest.raises(error, match=r"ExpDecayReservoir\.update\(\)"):
        reservoir.update(value)
    assert (reservoir.count, reservoir.snapshot().sum) == (0, 0.0)


class Hooked:
    """A source of chance that calls something before each number."""

    def __init__(self, hook: Callable[[int], object]) -> None:
        self._hook = hook
        self._random = Random(9)
        self.calls = 0

    def random(self) -> float:
        self.calls += 1
        self._hook(self.calls)
        return self._random.random()


def test_an_update_from_inside_an_update_is_counted():
    inner = 0

    def hook(call: int) -> None:
        nonlocal inner
        inner += 1
        reservoir.update(1.0)
        reservoir.tick()
        assert reservoir.snapshot().count == reservoir.count

    reservoir = ExpDecayReservoir(16, ALPHA, ManualClock(), Hooked(hook))
    for _ in range(1000):
        reservoir.update(1.0)
    assert inner > 16
    assert reservoir.count == 1000 + inner
    assert reservoir.snapshot().sum == 1000.0 + inner
    assert reservoir.snapshot().size == 16


def test_a_thread_stuck_in_the_slow_path_holds_up_nobody():
    inside, release = threading.Event(), threading.Event()

    def hook(call: int) -> None:
        if call == 1:
            inside.set()
            assert release.wait(10)

    reservoir = ExpDecayReservoir(4, ALPHA, ManualClock(), Hooked(hook))
    stuck = threading.Thread(target=reservoir.update, args=(1.0,), daemon=True)
    stuck.start()
    assert inside.wait(10)
    for _ in range(1000):
        reservoir.update(2.0)
    reservoir.tick()
    assert reservoir.snapshot().count == 1001
    release.set()
    stuck.join(10)
    assert not stuck.is_alive()
    assert reservoir.snapshot().values == (1.0,)
    reservoir.update(3.0)
    assert reservoir.snapshot().values == (1.0, 3.0)


@pytest.mark.parametrize("at", range(1, 12))
def test_a_clear_in_the_middle_of_an_update_leaves_nothing_to_wait_for(at: int):
    def hook(call: int) -> None:
        if call == at:
            reservoir.clear()

    rng = Hooked(hook)
    reservoir = ExpDecayReservoir(4, ALPHA, ManualClock(), rng)
    while rng.calls < at:
        reservoir.update(1.0)
    for value in (2.0, 3.0, 4.0, 5.0):
        reservoir.update(value)
    assert reservoir.count == 4
    assert reservoir.snapshot().values == (2.0, 3.0, 4.0, 5.0)


def test_once_full_nearly_no_update_draws_a_number():
    rng = Hooked(lambda call: None)
    reservoir = ExpDecayReservoir(SIZE, ALPHA, ManualClock(), rng)
    for _ in range(SIZE):
        reservoir.update(1.0)
    filled = rng.calls
    for _ in range(100_000):
        reservoir.update(1.0)
    # Two for each of about SIZE * ln(100128 / 128) = 853 entries.
    assert 1000 < rng.calls - filled < 3000


def test_no_update_is_lost_between_threads():
    reservoir = ExpDecayReservoir(SIZE, ALPHA, ManualClock(), Random(10))
    barrier = threading.Barrier(5)

    def work() -> None:
        barrier.wait(10)
        for _ in range(5000):
            reservoir.update(1.0)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    barrier.wait(10)
    for _ in range(200):
        reservoir.tick()
        assert reservoir.snapshot().size <= SIZE
    for thread in threads:
        thread.join(10)
    assert (reservoir.count, reservoir.snapshot().sum) == (20_000, 20_000.0)
    assert reservoir.snapshot().size == SIZE


RANKS = st.lists(
    st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60, unique=True
)


@given(ranks=RANKS, size=st.integers(1, 20))
def test_the_ranked_sample_keeps_what_a_sorted_list_would(ranks: list[float], size: int):
    sample = RankedSample()
    model: list[tuple[float, float]] = []
    for value, rank in enumerate(ranks):
        if len(model) < size:
            sample.add(rank, float(value))
        else:
            sample.replace_least(rank, float(value))
            model.pop(0)
        model.append((rank, float(value)))
        model.sort()
        assert sample.least == model[0][0]
        assert len(sample) == len(model)
        assert sorted(sample.values) == sorted(value for _, value in model)
        held = zip(sample._ranks, sample._slots, strict=True)
        assert sorted((rank, sample.values[slot]) for rank, slot in held) == model


def test_its_repr_shows_what_it_is():
    assert repr(ExpDecayReservoir(8, 0.5)) == "ExpDecayReservoir(size=8, alpha=0.5, count=0)"
