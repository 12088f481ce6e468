"""go-ethereum's plain text: a heading for each instrument, and a line for each of its numbers.

The format: go-ethereum, `metrics/writer.go`.
"""

from collections.abc import Iterator

from metrics.exporters._encoding.framing import join_chunks, one_line, render_of
from metrics.exporters._encoding.json import finite_only, text_of
from metrics.exporters._encoding.numbers import Number, clamp
from metrics.exporters._encoding.units import per_second
from metrics.exporters._series.fields import DistributionNames, info_text
from metrics.exporters._series.series import Series, key_of, read_series
from metrics.exporters._series.views import rates_of
from metrics.instruments import HealthcheckSnapshot, MeterSnapshot
from metrics.instruments._inner import QUANTILES
from metrics.registry import Registry

CONTENT_TYPE = "text/plain; charset=utf-8"

EXTREMES = {"min": "min", "max": "max"}

NAMES = DistributionNames(
    {**EXTREMES, "mean": "mean", "stddev": "stddev"},
    dict(zip(("median", "75%", "95%", "99%", "99.9%"), QUANTILES, strict=True)),
)

RATES = ("1-min rate", "5-min rate", "15-min rate", "mean rate")

Rows = list[tuple[str, str]]


def stream(
    registry: Registry, *, duration_unit: str = "nanoseconds", reader: str = "text"
) -> Iterator[bytes]:
    """Yield the values of a registry as text for people, as go-ethereum writes it.

    Each instrument or child is a heading of kind, name and labels, and below it an indented line
    for each number. Line ends and escape sequences are escaped: no label makes a line of its own.

    Chunks have some tens of KB each, of whole instruments.

    Args:
        registry: the registry to read.
        duration_unit: the unit of timers: `seconds`, `milliseconds`, `microseconds` or
            `nanoseconds`, the unit of go-ethereum.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        ValueError: `duration_unit` is none of these.
    """
    times = per_second(duration_unit)
    return join_chunks(paragraph(one, times) for one in read_series(registry, reader))


render = render_of(stream)


def paragraph(one: Series, times: int) -> str:
    """Return the heading and the lines of a series.

    Args:
        one: the series.
        times: the factor of durations.
    """
    kind = one.kind.geth if one.kind else "metric"
    heading = one_line(f"{kind} {key_of(one)}")
    rows = rows_of(one, times if one.is_timer else 1)
    lines = [f"  {one_line(f'{name}:'):<12} {one_line(text)}" for name, text in rows]
    return "\n".join([heading, *lines, ""])


def rows_of(one: Series, times: int) -> Rows:
    """Return the name and the text of each line."""
    snapshot = one.snapshot
    sample, rates = snapshot.distribution, snapshot.rates
    if sample is not None:
        statistics = [
            (name, extreme(value) if name in EXTREMES else statistic(value))
            for name, value in NAMES.read(sample, times).items()
        ]
        return [("count", number(sample.count)), *statistics, *(averages(rates) if rates else [])]
    if rates is not None:
        return [("count", number(rates.count)), *averages(rates)]
    if one.is_info:
        return [("value", info_text(snapshot))]
    if isinstance(snapshot, HealthcheckSnapshot):
        return [("error", snapshot.error or "<nil>")]
    if snapshot.scalar is not None:
        return [(snapshot.fields[0], number(snapshot.scalar))]
    return [(key, text_of(finite_only(value))) for key, value in snapshot.to_dict().items()]


def averages(rates: MeterSnapshot) -> Rows:
    """Return the lines of the rates of a meter or a timer."""
    return [(name, statistic(rate)) for name, rate in zip(RATES, rates_of(rates), strict=True)]


def number(value: Number) -> str:
    """Return the number of a counter or a gauge; go-ethereum pads ints only."""
    value = clamp(value)
    return f"{value:9d}" if isinstance(value, int) else f"{value:f}"


def extreme(value: float) -> str:
    """Return a number that is an int in go-ethereum; a fraction is kept."""
    return number(int(value)) if value.is_integer() else statistic(value)


def statistic(value: float) -> str:
    """Return a number that is computed from the values."""
    return f"{value:12.2f}"
