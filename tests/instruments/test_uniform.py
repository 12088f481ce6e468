from random import Random, getstate, seed

from hypothesis import given
from hypothesis import strategies as st

from metrics import UniformReservoir


@given(st.integers(1, 20), st.lists(st.integers(-1000, 1000), max_size=60), st.integers())
def test_it_keeps_part_of_the_stream_and_counts_all_of_it(size, stream, chance):
    reservoir = UniformReservoir(size, rng=Random(chance))
    for value in stream:
        reservoir.update(value)
    snapshot = reservoir.snapshot()
    assert snapshot.count == reservoir.count == len(stream)
    assert snapshot.sum == sum(stream)
    assert snapshot.size == min(size, len(stream))
    left = [*stream]
    for value in snapshot.values:
        left.remove(value)
    if len(stream) <= size:
        assert left == []


def test_every_value_has_the_same_chance_to_be_kept():
    size, length, runs = 8, 80, 2000
    rng = Random(20)
    kept = [0] * length
    for _ in range(runs):
        reservoir = UniformReservoir(size, rng=rng)
        for value in range(length):
            reservoir.update(float(value))
        for value in reservoir.snapshot().values:
            kept[int(value)] += 1
    expected = runs * size / length
    chi_squared = sum((count - expected) ** 2 for count in kept) / expected
    # With 79 degrees of freedom, 1 in 100,000 seeds would give more.
    assert chi_squared < 145


def test_the_same_chance_gives_the_same_sample():
    def sample():
        reservoir = UniformReservoir(10, rng=Random(7))
        for value in range(10_000):
            reservoir.update(value)
        return reservoir.snapshot()

    assert sample() == sample()


def test_chance_that_always_says_zero_does_no_harm():
    class Zero:
        def random(self):
            return 0.0

    reservoir = UniformReservoir(4, rng=Zero())
    for value in range(100):
        reservoir.update(value)
    assert (reservoir.count, reservoir.snapshot().size) == (100, 4)


def test_clear_begins_a_new_sample():
    reservoir = UniformReservoir(4, rng=Random(1))
    for value in range(1000):
        reservoir.update(value)
    before = reservoir.snapshot()
    reservoir.clear()
    assert reservoir.snapshot().size == reservoir.count == 0
    for value in range(4):
        reservoir.update(value)
    assert reservoir.snapshot().values == (0.0, 1.0, 2.0, 3.0)
    assert reservoir.snapshot().sum == 6.0
    assert before.count == 1000


def test_sampling_leaves_the_program_s_own_chance_alone():
    seed(5)
    before = getstate()
    reservoir = UniformReservoir(2)
    for value in range(100):
        reservoir.update(value)
    reservoir.tick()
    assert getstate() == before


def test_the_repr_shows_size_and_count():
    assert repr(UniformReservoir(3)) == "UniformReservoir(size=3, count=0)"
