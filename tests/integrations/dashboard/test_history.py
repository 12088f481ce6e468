"""History: the last points of each series, bounded in number and bytes."""

import pytest

from metrics.integrations._dashboard.history import HEAT_BYTES, History


@pytest.mark.parametrize(("interval", "points"), [(5.0, 180), (1.0, 900), (0.5, 900), (3600.0, 1)])
def test_it_has_fifteen_minutes_and_at_most_900_points(interval: float, points: int):
    assert History(interval).points == points


def test_points_come_oldest_first_with_gaps():
    history = History(300.0)
    assert history.to_dict() == {"times": [], "series": {}, "heat": {}}
    for time in range(5):
        history.begin(float(time))
        if time != 3:
            history.add(1, (time * 10,), None)
        history.add(2, (time, None, 1.5, 2.5), [(0, time)] if time else [])
    assert history.to_dict() == {
        "times": [2.0, 3.0, 4.0],
        "series": {
            "1": [[20.0, None, 40.0]],
            "2": [[2.0, 3.0, 4.0], [None] * 3, [1.5] * 3, [2.5] * 3],
        },
        "heat": {"2": [[(0, 2)], [(0, 3)], [(0, 4)]]},
    }


def test_a_dropped_series_leaves_its_room_to_another():
    size = 3 * (8 * 2 + HEAT_BYTES)
    history = History(300.0, most_bytes=size)
    history.begin(0.0)
    history.add(1, (1, 2), [])
    history.add(2, (1, 2), [])
    assert list(history.to_dict()["series"]) == ["1"]
    history.drop(2)
    history.drop(1)
    history.add(2, (1, 2), [])
    assert list(history.to_dict()["series"]) == ["2"]


def test_more_observations_than_32_bits_hold_are_the_most():
    history = History(900.0)
    history.begin(0.0)
    history.add(1, (1,), [(-81, 1 << 40)])
    assert history.to_dict()["heat"] == {"1": [[(-81, (1 << 32) - 1)]]}
