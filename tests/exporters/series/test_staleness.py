"""A series that a server has ends with the first report without it."""

from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters._series.staleness import Staleness

series = st.sets(st.tuples(st.tuples(st.just("__name__"), st.sampled_from("abcd"))))


@given(st.lists(series, max_size=6))
def test_series_of_the_report_before_that_are_not_in_this_one_have_ended(reports):
    staleness = Staleness()
    before = set()
    for present in reports:
        staleness.begin()
        for labels in present:
            staleness.add(labels)
        assert staleness.end() == sorted(before - present)
        before = present


@given(series, series, series)
def test_an_abandoned_report_counts(before, abandoned, after):
    staleness = Staleness()
    staleness.begin()
    for labels in before:
        staleness.add(labels)
    staleness.end()
    staleness.begin()
    for labels in abandoned:
        staleness.add(labels)
    staleness.begin()
    for labels in after:
        staleness.add(labels)
    assert staleness.end() == sorted((before | abandoned) - after)


@given(series)
def test_every_series_ends_with_an_empty_report(present):
    staleness = Staleness()
    staleness.begin()
    for labels in present:
        staleness.add(labels)
    staleness.end()
    for ended in (sorted(present), []):
        staleness.begin()
        assert staleness.end() == ended
