from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters._series.staleness import Staleness

series = st.sets(st.tuples(st.tuples(st.just("__name__"), st.sampled_from("abcd"))))


@given(st.lists(series, max_size=6))
def test_what_was_there_before_and_is_no_more_has_ended(passes):
    staleness = Staleness()
    before = set()
    for present in passes:
        staleness.begin()
        for labels in present:
            staleness.add(labels)
        assert staleness.ended() == sorted(before - present)
        before = present


@given(series, series, series)
def test_a_pass_that_was_broken_off_counts(before, broken, after):
    staleness = Staleness()
    staleness.begin()
    for labels in before:
        staleness.add(labels)
    staleness.ended()
    staleness.begin()
    for labels in broken:
        staleness.add(labels)
    staleness.begin()
    for labels in after:
        staleness.add(labels)
    assert staleness.ended() == sorted((before | broken) - after)
