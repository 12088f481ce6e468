"""A line for each instrument, for a log and for people.

For example:

    rpc/requests{method="GET"} count=3 1m=0.2/s 5m=0.2/s 15m=0.2/s rate=0.31/s
    rpc/duration count=3 min=1.2ms mean=1.5ms max=2ms p50=1.4ms p75=2ms p95=2ms p99=2ms p999=2ms ...
    memory/used value=1.5GiB
"""

from collections.abc import Iterator

from metrics.exporters._encoding.framing import join_chunks, one_line, render_of
from metrics.exporters._encoding.json import finite_only, text_of
from metrics.exporters._encoding.units import Writer, round_text, writer_of
from metrics.exporters._series.fields import DistributionNames, info_text
from metrics.exporters._series.series import Series, key_of, read_series
from metrics.exporters._series.views import rates_of
from metrics.instruments import HealthcheckSnapshot, MeterSnapshot, Snapshot
from metrics.instruments._inner import QUANTILES, escape_label
from metrics.registry import Registry

CONTENT_TYPE = "text/plain; charset=utf-8"

NAMES = DistributionNames(
    {"min": "min", "mean": "mean", "max": "max"},
    dict(zip(("p50", "p75", "p95", "p99", "p999"), QUANTILES, strict=True)),
)

RATES = ("1m", "5m", "15m", "rate")


def stream(registry: Registry, *, reader: str = "log") -> Iterator[bytes]:
    """Yield the values of a registry as lines of text, one for each instrument or child.

    Each line has the name, the labels and `key=value` pairs. Numbers are rounded to four digits;
    ints are exact. Durations and sizes come in the unit that suits them (`1.2ms`, `3.4MiB`);
    another unit than these stands at the end of the line. Line ends and escape sequences for a
    terminal are escaped, so that no label makes a line of its own.

    Chunks have some tens of KB each, of whole lines.

    Args:
        registry: the registry to read.
        reader: the name of the reader; values that reset when read reset for this reader alone.
    """
    return join_chunks(f"{line(one)}\n" for one in read_series(registry, reader))


render = render_of(stream)


def line(one: Series) -> str:
    """Return the line of a series, without a line end."""
    return one_line(" ".join([key_of(one), *pairs(one)]))


def pairs(one: Series) -> list[str]:
    """Return the `key=value` pairs that follow the name of a series."""
    if one.is_info:
        return [f"value={info_text(one.snapshot)}"]
    if isinstance(one.snapshot, HealthcheckSnapshot):
        error = one.snapshot.error
        if error is None:
            return ["healthy=true"]
        return ["healthy=false", f'error="{escape_label(error)}"']
    write = writer_of(one.entry.unit)
    found = number_pairs(one.snapshot, write or round_text)
    return found if write else [*found, f"unit={one.entry.unit}"]


def number_pairs(snapshot: Snapshot, write: Writer) -> list[str]:
    """Return the pairs of the numbers of a snapshot."""
    sample, rates = snapshot.distribution, snapshot.rates
    if sample is not None:
        # An empty distribution has no statistics, for which 0 would be a lie.
        statistics = NAMES.read(sample) if sample.count else {}
        found = [f"{name}={write(value)}" for name, value in statistics.items()]
        # Rates of a timer are events, not seconds, a second.
        timed = averages(rates, round_text) if rates else []
        return [f"count={round_text(sample.count)}", *found, *timed]
    if rates is not None:
        return [f"count={write(rates.count)}", *averages(rates, write)]
    if snapshot.scalar is not None:
        return [f"{snapshot.fields[0]}={write(snapshot.scalar)}"]
    return [f"{key}={text_of(finite_only(value))}" for key, value in snapshot.to_dict().items()]


def averages(rates: MeterSnapshot, write: Writer) -> list[str]:
    """Return the pairs of the rates of a meter or a timer."""
    return [f"{name}={write(rate)}/s" for name, rate in zip(RATES, rates_of(rates), strict=True)]
