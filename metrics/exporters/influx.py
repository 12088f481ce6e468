"""InfluxDB's line protocol, as versions 1 and 2 and VictoriaMetrics read it.

The format: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

import re
from collections.abc import Iterator, Mapping
from math import isfinite
from typing import TypeGuard

from metrics.exporters._encoding.framing import join_chunks, render_of
from metrics.exporters._encoding.names import NO_TAGS, checked_prefix, checked_tags, merge_tags
from metrics.exporters._encoding.numbers import Number, decimal, finite
from metrics.exporters._encoding.units import checked_ns, per_second
from metrics.exporters._series.fields import DistributionNames, info_text
from metrics.exporters._series.series import Series, read_series
from metrics.exporters._series.views import rates_of
from metrics.instruments import BucketHistogramSnapshot, HistogramSnapshot
from metrics.registry import Registry

CONTENT_TYPE = "text/plain; charset=utf-8"

NAMES = DistributionNames(
    {"max": "max", "mean": "mean", "min": "min"},
    {"p50": 0.5, "p75": 0.75, "p95": 0.95, "p99": 0.99, "p999": 0.999, "p9999": 0.9999},
)

AVERAGES = ("m1", "m5", "m15")

MEASUREMENTS = {"counter": "count", "healthcheck": "gauge"}
"""Last words of measurements that differ from go-ethereum's word for the kind."""

RESERVED = frozenset({"time", "_field", "_measurement"})
"""Tags that the server keeps for itself."""

SPECIAL = re.compile(r"[\x00-\x1f\x7f,= ]|\\(?=[\\\x00-\x1f\x7f,= ]|\Z)")

Fields = dict[str, Number | str]


def stream(
    registry: Registry,
    *,
    timestamp_ns: int | None = None,
    namespace: str = "",
    tags: Mapping[str, str] = NO_TAGS,
    duration_unit: str = "nanoseconds",
    reader: str = "influx",
) -> Iterator[bytes]:
    r"""Yield the values of a registry as lines, one for each series, in name order.

    Measurements are `<namespace><name>.<kind>`, and fields have the names of go-ethereum. NaN
    and infinities, which the server refuses, are left out, as are histograms and resetting timers
    without a value. Statistics of bucket histograms are estimates. In names and tags a control
    character is written as `\n` or `\x00`, and a backslash that would be read as an escape as `/`.

    Ints are written as such, floats as floats. A server refuses a field that changes its type, so
    an int that outgrows 64 bits, and then is written as a float, is refused from then on.

    Chunks have some tens of KB each, of whole lines.

    Args:
        registry: the registry to read.
        timestamp_ns: the time of the values, in nanoseconds since 1970; None leaves it to the
            server.
        namespace: the prefix of all measurements.
        tags: tags of every series that has no label of the same name.
        duration_unit: the unit of timers: `seconds`, `milliseconds`, `microseconds` or
            `nanoseconds`, of which the least and the greatest are written as ints.
        reader: the name of the reader; values that reset when read reset for this reader alone.

    Raises:
        TypeError: `timestamp_ns` is not an int, `namespace` not a str, or `tags` not str to str.
        ValueError: `timestamp_ns`, a tag's name or `duration_unit` is malformed.
    """
    end = "\n" if timestamp_ns is None else f" {checked_ns(timestamp_ns)}\n"
    namespace = checked_prefix("namespace", namespace)
    tags = checked_tags(tags)
    times = per_second(duration_unit)
    return join_chunks(
        line(one, namespace, tags, times, end) for one in read_series(registry, reader)
    )


render = render_of(stream)


def line(one: Series, namespace: str, tags: Mapping[str, str], times: int, end: str) -> str:
    """Return the line of a series; an empty text if it has no field."""
    kind, fields = kind_and_fields(one, times)
    texts = [
        f"{name}={text}" for name, value in sorted(fields.items()) if (text := field_text(value))
    ]
    if not texts:
        return ""
    pairs = merge_tags(tags, one.labels, escape, escape, RESERVED)
    labels = "".join([f",{name}={value}" for name, value in pairs])
    return f"{measurement(f'{namespace}{one.name}.{kind}')}{labels} {','.join(texts)}{end}"


def kind_and_fields(one: Series, times: int) -> tuple[str, Fields]:
    """Return the last word of the measurement of a series, and its fields."""
    kind = one.kind.geth if one.kind else ""
    snapshot = one.snapshot
    sample, rates = snapshot.distribution, snapshot.rates
    fields: Fields = {}
    if rates is not None and sample is not None:
        averages = zip((*AVERAGES, "meanrate"), rates_of(rates), strict=True)
        fields = {**spread(sample, times), **dict(averages)}
    elif rates is not None:
        averages = zip((*AVERAGES, "mean"), rates_of(rates), strict=True)
        fields = {"count": rates.count, **dict(averages)}
    elif sample is not None and one.is_timer:
        fields = distribution(sample, times) if sample.count else {}
    elif sample is not None:
        p25 = {"p25": sample.percentile(0.25)}
        fields = {**spread(sample, 1), **p25} if sample.count else {}
    elif one.is_info:
        fields = {"value": info_text(snapshot, (",", ":"))}
    elif snapshot.scalar is not None:
        fields = {"value": snapshot.scalar}
    else:
        values = snapshot.to_dict().items()
        fields = {escape(name) or "_": value for name, value in values if is_field(value)}
    return MEASUREMENTS.get(kind, kind), fields


def is_field(value: object) -> TypeGuard[Number | str]:
    """Return whether a field can have a value."""
    return isinstance(value, int | float | str)


def distribution(sample: HistogramSnapshot | BucketHistogramSnapshot, times: int) -> Fields:
    """Return the fields of every distribution, each but the count multiplied."""
    fields: Fields = {"count": sample.count, **NAMES.read(sample, times)}
    if times == per_second("nanoseconds"):
        # go-ethereum, whose durations are nanoseconds, writes these two as ints.
        for name in ("min", "max"):
            value = fields[name]
            if isinstance(value, float) and isfinite(value):
                fields[name] = round(value)
    return fields


def spread(sample: HistogramSnapshot | BucketHistogramSnapshot, times: int) -> Fields:
    """Return the fields of a distribution, with its standard deviation and variance."""
    return {
        **distribution(sample, times),
        "stddev": sample.stddev * times,
        "variance": sample.variance * times * times,
    }


def field_text(value: Number | str) -> str:
    """Return the text of a field's value; an empty text if the server refuses the value."""
    if isinstance(value, str):
        text = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'
    written = finite(value)
    if written is None:
        return ""
    return f"{written}i" if isinstance(written, int) else decimal(written)


def measurement(name: str) -> str:
    """Return the name of a measurement, escaped: `#` would begin a comment, `=` stays."""
    text = escape(name).replace("\\=", "=")
    return f"_{text[1:]}" if text.startswith("#") else text


def escape(text: str) -> str:
    """Return the name or the value of a tag, or the name of a field, escaped."""
    return SPECIAL.sub(escape_character, text)


def escape_character(found: re.Match[str]) -> str:
    """Return the escape sequence of a special character."""
    character = found[0]
    if character == "\\":
        return "/"
    return f"\\{character}" if character in ",= " else repr(character)[1:-1]
