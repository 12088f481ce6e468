import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import ResettingReservoir


def test_two_readers_do_not_take_values_from_each_other():
    reservoir = ResettingReservoir()
    reservoir.update(1)
    assert reservoir.snapshot("scrape").values == (1.0,)
    reservoir.update(2)
    assert reservoir.snapshot("push").values == (1.0, 2.0)
    assert reservoir.snapshot("scrape").values == (2.0,)
    assert reservoir.snapshot("push").count == 0
    assert reservoir.snapshot().values == (1.0, 2.0)


def test_a_reader_that_comes_late_still_gets_the_exact_count_and_sum():
    reservoir = ResettingReservoir(size=4)
    for value in range(1, 101):
        reservoir.update(value)
    snapshot = reservoir.snapshot()
    assert (snapshot.count, snapshot.sum) == (100, 5050.0)
    assert 4 <= snapshot.size <= 8
    assert snapshot.values == tuple(range(101 - snapshot.size, 101))


def test_what_is_kept_is_bounded():
    reservoir = ResettingReservoir(size=10)
    sizes = set()
    for value in range(1000):
        reservoir.update(value)
        sizes.add(reservoir.snapshot(f"reader {value}").size)
    assert max(sizes) <= 20


def test_clear_forgets_everything_for_every_reader():
    reservoir = ResettingReservoir(size=2)
    for value in range(5):
        reservoir.update(value)
    reservoir.snapshot("a")
    reservoir.clear()
    reservoir.update(7)
    for reader in ("a", "b"):
        snapshot = reservoir.snapshot(reader)
        assert (snapshot.count, snapshot.sum, snapshot.values) == (1, 7.0, (7.0,))
        assert (snapshot.total_count, snapshot.total_sum) == (1, 7.0)


def test_a_tick_takes_nothing_away():
    reservoir = ResettingReservoir()
    reservoir.update(1)
    reservoir.tick()
    assert reservoir.snapshot().values == (1.0,)


def test_the_repr_shows_the_size():
    assert repr(ResettingReservoir(3)) == "ResettingReservoir(size=3)"


actions = st.one_of(
    st.integers(-1000, 1000),
    st.sampled_from(["scrape", "push", "log"]),
    st.just("clear everything"),
)


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@given(st.lists(actions, max_size=60))
def test_each_reader_gets_exactly_the_values_since_its_own_last_read(size, steps):
    reservoir = ResettingReservoir(size)
    stream: list[float] = []
    read: dict[str, int] = {}
    for step in steps:
        if isinstance(step, int):
            reservoir.update(step)
            stream.append(step)
        elif step == "clear everything":
            reservoir.clear()
            stream.clear()
            read.clear()
        else:
            snapshot = reservoir.snapshot(step)
            fresh = stream[read.get(step, 0) :]
            read[step] = len(stream)
            assert (snapshot.count, snapshot.sum) == (len(fresh), sum(fresh))
            assert (snapshot.total_count, snapshot.total_sum) == (len(stream), sum(stream))
            assert min(len(fresh), size) <= snapshot.size <= min(len(fresh), 2 * size)
            newest = fresh[len(fresh) - snapshot.size :]
            assert snapshot.values == tuple(sorted(newest))
        assert reservoir.count == len(stream)
