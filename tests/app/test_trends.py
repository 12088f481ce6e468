"""Trends have rates of change, survive restarts, and are bounded."""

from math import isnan

import pytest

from app.endpoint import ScrapedPage
from app.series import parse
from app.trends import MOST_READINGS, MOST_SERIES, Board, Trend


def board(*pages: str, seconds: float = 2.0) -> Board:
    found = Board()
    for number, text in enumerate(pages):
        found.add(parse(ScrapedPage(text)), number * seconds)
    return found


def only(found: Board) -> Trend:
    (trend,) = found.trends.values()
    return trend


def counter(value: float) -> str:
    return f"# TYPE c_total counter\nc_total {value}\n"


def histogram(low: int, high: int) -> str:
    return (
        f'# TYPE h histogram\nh_bucket{{le="1"}} {low}\nh_bucket{{le="2"}} {low + high}\n'
        f'h_bucket{{le="+Inf"}} {low + high}\nh_count {low + high}\nh_sum 1\n'
    )


def test_the_first_reading_has_no_rate():
    trend = only(board(counter(5)))
    assert isnan(trend.rate)
    assert not trend.points


def test_a_counter_has_its_rate_as_points():
    trend = only(board(counter(5), counter(9), counter(9)))
    assert trend.rate == 0
    assert [*trend.points] == [2.0, 0.0]


def test_a_gauge_has_its_values_as_points_and_a_signed_rate():
    trend = only(board("# TYPE g gauge\ng 7\n", "# TYPE g gauge\ng 3\n"))
    assert trend.rate == -2
    assert [*trend.points] == [7.0, 3.0]


def test_a_restarted_counter_has_no_negative_rate():
    assert only(board(counter(100), counter(6))).rate == 3
    assert only(board(counter(100), counter(0))).rate == 0


def test_a_restarted_histogram_has_neither_negative_rate_nor_old_observations():
    trend = only(board(histogram(50, 50), histogram(0, 4)))
    assert trend.rate == 2
    assert trend.quantiles[0] == pytest.approx(1.5)


def test_quantiles_are_of_recent_observations():
    trend = only(board(histogram(90, 0), histogram(90, 10)))
    assert trend.quantiles[0] == pytest.approx(1.5)
    assert trend.latest.quantiles()[0] < 1


def test_a_summary_is_shown_with_the_quantiles_of_its_program():
    text = '# TYPE s summary\ns{{quantile="0.5"}} 2\ns_count {}\ns_sum 12\n'
    trend = only(board(text.format(4), text.format(8)))
    assert trend.rate == 2
    assert trend.quantiles[0] == 2


def test_a_gap_between_readings_counts_in_the_rate():
    found = board(counter(0))
    found.add(parse(ScrapedPage(counter(60))), 30.0)
    assert only(found).rate == 2


def test_two_readings_at_one_time_have_no_rate():
    assert isnan(only(board(counter(1), counter(2), seconds=0.0)).rate)


def test_integers_too_large_for_floats_are_infinite():
    trend = only(board(counter(10**400), counter(10**400)))
    assert isnan(trend.rate)


def test_the_history_is_bounded():
    trend = only(board(*map(counter, range(MOST_READINGS + 10))))
    assert len(trend.points) == MOST_READINGS


def test_series_beyond_the_bound_are_only_counted():
    page = parse(ScrapedPage("".join(f'g{{a="{n}"}} 1\n' for n in range(MOST_SERIES + 7))))
    found = Board()
    for at in (0.0, 1.0):
        found.add(page, at)
        assert (len(found.trends), found.surplus) == (MOST_SERIES, 7)


def test_a_series_that_the_page_has_no_more_is_dropped():
    found = board("a 1\nb 1\n", "b 2\n")
    assert [name for name, _ in found.trends] == ["b"]


def test_a_series_of_another_type_begins_again():
    assert isnan(only(board("# TYPE g gauge\ng 7\n", "# TYPE g untyped\ng 7\n")).rate)


def test_a_series_that_is_there_twice_is_the_first_of_them():
    assert only(board("a 1\na 2\n", "a 1\na 2\n")).rate == 0


def names(found: Board, sort: str, text: str = "") -> list[str]:
    return [trend.latest.name for trend in found.sorted_trends(sort, text)]


def test_trends_are_sorted_by_name_or_with_the_largest_first():
    found = board("a 1\nb 9\nc 5\nd NaN\n", "a 1\nb 5\nc 6\nd NaN\n")
    assert names(found, "name") == ["a", "b", "c", "d"]
    assert names(found, "rate") == ["b", "c", "a", "d"]
    assert names(found, "value") == ["c", "b", "a", "d"]
    assert names(found, "name", "c") == ["c"]


def test_a_gauge_histogram_has_the_quantiles_of_now():
    text = '# TYPE g gaugehistogram\ng_bucket{{le="1"}} {0}\ng_bucket{{le="+Inf"}} {0}\n'
    text += "g_gcount {0}\ng_gsum 1\n# EOF\n"
    found = Board()
    for at, number in enumerate((9, 4)):
        found.add(parse(ScrapedPage(text.format(number), openmetrics=True)), float(at))
    assert only(found).rate == -5
    assert only(found).quantiles[0] == 0.5
