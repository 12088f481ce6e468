"""Trends of the series of an endpoint: values and rates of the last readings."""

from collections import deque
from collections.abc import Iterable
from math import inf, nan
from typing import TypeAlias, final

from app.series import Labels, ScrapedSeries, matches
from app.text import real

MOST_READINGS = 120
MOST_SERIES = 5_000

RECENT = 30
"""Readings whose observations the quantiles of a histogram are of."""

Key: TypeAlias = tuple[str, Labels]

SORTS = ("rate", "name", "value")


@final
class Trend:
    """Readings of one series.

    `latest` is the last reading and `rate` its change per second since the one before, NaN after
    the first. `points` are the values of a gauge, and the rates of all else. As in PromQL, a
    counter that is lower than before has started again at zero.
    """

    __slots__ = ("_at", "_recent", "latest", "points", "rate")

    def __init__(self, series: ScrapedSeries, at: float) -> None:
        self.latest = series
        self.rate = nan
        self.points: deque[float] = deque(maxlen=MOST_READINGS)
        self._at = at
        # The oldest one is the baseline of quantiles; None is that of a start at zero.
        self._recent: deque[ScrapedSeries | None] = deque(
            maxlen=RECENT + 1 if series.buckets else 1
        )
        self._recent.append(series)
        if not series.is_cumulative:
            self.points.append(real(series.value))

    def add(self, series: ScrapedSeries, at: float) -> None:
        """Add a reading of the series, made at a monotonic time in seconds."""
        before, passed = self.latest, at - self._at
        increase = real(series.value) - real(before.value)
        if series.is_cumulative and increase < 0:
            increase = real(series.value)
            self._recent.clear()
            self._recent.append(None)
        self.rate = increase / passed if passed > 0 else nan
        self.points.append(self.rate if series.is_cumulative else real(series.value))
        self.latest, self._at = series, at
        self._recent.append(series)

    @property
    def key(self) -> Key:
        """Name and labels of the series."""
        return self.latest.name, self.latest.labels

    @property
    def floor(self) -> float:
        """Lowest end of a chart: rates are drawn above 0, values above the lowest of them."""
        return 0.0 if self.latest.is_cumulative else inf

    @property
    def quantiles(self) -> list[float]:
        """Quantiles of a summary or gauge histogram; of a histogram's recent observations."""
        return self.latest.quantiles(self._recent[0] if self.latest.is_cumulative else None)


@final
class Board:
    """Trends of all series of an endpoint, of which it keeps at most `MOST_SERIES`.

    `surplus` is the number of the other series in the last reading, `times` are the monotonic times
    of the last readings.
    """

    __slots__ = ("surplus", "times", "trends")

    def __init__(self) -> None:
        self.trends: dict[Key, Trend] = {}
        self.surplus = 0
        self.times: deque[float] = deque(maxlen=MOST_READINGS)

    def add(self, page: Iterable[ScrapedSeries], at: float) -> None:
        """Add a reading of the endpoint; series that it does not have any more are dropped."""
        before, trends, surplus = self.trends, dict[Key, Trend](), 0
        for series in page:
            key = series.name, series.labels
            trend = before.get(key)
            if key in trends:
                continue
            if len(trends) >= MOST_SERIES:
                surplus += 1
            elif trend is None or trend.latest.family.kind != series.family.kind:
                trends[key] = Trend(series, at)
            else:
                trend.add(series, at)
                trends[key] = trend
        self.trends, self.surplus = trends, surplus
        self.times.append(at)

    def sorted_trends(self, sort: str, text: str = "") -> list[Trend]:
        """Return the trends that match a text, by name, or with the largest rate or value first."""
        found = [trend for trend in self.trends.values() if matches(trend.latest, text)]
        found.sort(key=lambda trend: trend.key)
        if sort == "rate":
            found.sort(key=lambda trend: descending(abs(trend.rate)))
        elif sort == "value":
            found.sort(key=lambda trend: descending(real(trend.latest.value)))
        return found


def descending(value: float) -> tuple[bool, float]:
    """Return a sort key that has large values first and NaN last."""
    # NaN is unequal to itself, and in no order.
    unknown = value != value  # noqa: PLR0124
    return unknown, 0.0 if unknown else -value
