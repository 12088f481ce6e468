"""Prometheus' text format, version 0.0.4.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Iterator
from logging import getLogger
from math import inf, isnan
from typing import NamedTuple

from metrics.entries import Entry, exported_name, kind_of
from metrics.exporters.units import base_unit
from metrics.instruments.buckets import BucketHistogramSnapshot
from metrics.instruments.counter import CounterSnapshot, UpDownCounterSnapshot
from metrics.instruments.family import FamilySnapshot, label_text
from metrics.instruments.gauge import GaugeSnapshot
from metrics.instruments.healthcheck import HealthcheckSnapshot
from metrics.instruments.info import InfoSnapshot
from metrics.instruments.meter import MeterSnapshot
from metrics.instruments.sample import HistogramSnapshot
from metrics.instruments.snapshot import Snapshot
from metrics.instruments.timer import TimerSnapshot
from metrics.registry import Registry

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

QUANTILES = (0.5, 0.75, 0.95, 0.99, 0.999, 0.9999)

logger = getLogger(__name__)

Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """One line: what follows the family's name, the labels and the value."""

    suffix: str
    labels: Labels
    value: float


class Block(NamedTuple):
    """A metric family as Prometheus has them: a name, a type and samples."""

    name: str
    kind: str
    samples: list[Sample]


def render(registry: Registry, *, reader: str = "prometheus") -> bytes:
    """Return the values of a registry as a page that Prometheus scrapes.

    Counters end in `_total`; a meter is a counter and a gauge of rates, `_per_second`, by `window`;
    timers and histograms are summaries, or histograms when they have buckets; values come in base
    units (`percent` becomes a ratio, `milliseconds` become seconds). Of two instruments that would
    end up under one name the first is kept, and a warning is logged.

    Args:
        registry: what to read.
        reader: who reads; what resets when it is read resets for this reader alone.
    """
    snapshot = registry.snapshot(reader)
    lines: list[str] = []
    taken: dict[str, str] = {}
    for name, value in snapshot.items():
        entry = snapshot.entry(name)
        for block in blocks(entry, value):
            names = reserved(block)
            clash = next((taken[other] for other in names if other in taken), None)
            if clash is not None:
                logger.warning(
                    "%r is left out: %r is the name of %r already", name, block.name, clash
                )
                continue
            taken.update(dict.fromkeys(names, name))
            lines += written(block, entry)
    return "\n".join([*lines, ""]).encode() if lines else b""


def reserved(block: Block) -> list[str]:
    """Return every sample name a block may use; no other block may use them."""
    suffixes = {"summary": ("_sum", "_count"), "histogram": ("_sum", "_count", "_bucket")}
    return [block.name, *[block.name + suffix for suffix in suffixes.get(block.kind, ())]]


def written(block: Block, entry: Entry) -> Iterator[str]:
    """Yield the lines of a block."""
    help_text = entry.description or f"{entry.name} ({kind_of(entry.instrument)})"
    yield f"# HELP {block.name} {escaped_help(help_text)}"
    yield f"# TYPE {block.name} {block.kind}"
    for suffix, labels, value in block.samples:
        text = label_text([k for k, _ in labels], [v for _, v in labels]) if labels else ""
        yield f"{block.name}{suffix}{text} {number(value)}"


def blocks(entry: Entry, value: Snapshot) -> list[Block]:
    """Return the metric families that an instrument, or all children of a family, become."""
    unit, scale = base_unit(entry.unit)
    merged: dict[tuple[str, str], list[Sample]] = {}
    for labels, child in children(value):
        for block in instrument_blocks(exported_name(entry.name), unit, scale, child, labels):
            merged.setdefault((block.name, block.kind), []).extend(block.samples)
    return [Block(name, kind, samples) for (name, kind), samples in merged.items()]


def children(value: Snapshot) -> Iterator[tuple[Labels, Snapshot]]:
    """Yield the labels and the value of each child; of an instrument without labels, itself."""
    if not isinstance(value, FamilySnapshot):
        yield (), value
        return
    for values, child in value.children.items():
        yield tuple(zip(value.labelnames, values, strict=True)), child


def instrument_blocks(
    name: str, unit: str, scale: float, value: Snapshot, labels: Labels
) -> Iterator[Block]:
    """Yield what one instrument becomes."""
    measured = with_unit(name, unit)
    match value:
        case CounterSnapshot():
            yield counted(name, unit, scaled(value.count, scale), labels)
        case UpDownCounterSnapshot():
            yield Block(measured, "gauge", [Sample("", labels, scaled(value.count, scale))])
        case GaugeSnapshot():
            yield Block(measured, "gauge", [Sample("", labels, scaled(value.value, scale))])
        case InfoSnapshot():
            facts = sorted((exported_name(key), text) for key, text in value.value.items())
            yield Block(with_unit(name, "info"), "gauge", [Sample("", (*labels, *facts), 1)])
        case HealthcheckSnapshot():
            healthy = int(value.error is None)
            yield Block(f"{name}_healthy", "gauge", [Sample("", labels, healthy)])
        case MeterSnapshot():
            yield counted(name, unit, scaled(value.count, scale), labels)
            yield rates(measured, value, scale, labels)
        case HistogramSnapshot() | BucketHistogramSnapshot():
            yield distribution(measured, value, scale, labels)
        case TimerSnapshot():
            yield distribution(with_unit(name, "seconds"), value.durations, 1, labels)
            yield rates(name, value.rates, 1, labels)


def counted(name: str, unit: str, count: float, labels: Labels) -> Block:
    """Return a counter."""
    # A name may say that it is a total, but the unit comes before that.
    measured = with_unit(name.removesuffix("_total"), unit)
    return Block(f"{measured}_total", "counter", [Sample("", labels, count)])


def rates(name: str, value: MeterSnapshot, scale: float, labels: Labels) -> Block:
    """Return the rates of a meter as one gauge by window."""
    windows = {
        "1m": value.rate1,
        "5m": value.rate5,
        "15m": value.rate15,
        "mean": value.rate_mean,
    }
    samples = [
        Sample("", (*labels, ("window", window)), rate * scale) for window, rate in windows.items()
    ]
    return Block(f"{name}_per_second", "gauge", samples)


def distribution(
    name: str, value: HistogramSnapshot | BucketHistogramSnapshot, scale: float, labels: Labels
) -> Block:
    """Return a sample as a summary, buckets as a histogram."""
    if isinstance(value, BucketHistogramSnapshot):
        bounds = [number(bound * scale) for bound in value.bounds] + ["+Inf"]
        samples = [
            Sample("_bucket", (*labels, ("le", bound)), count)
            for bound, count in zip(bounds, value.buckets, strict=True)
        ]
        total, count, kind = value.sum, value.count, "histogram"
    else:
        # An empty sample has no quantiles, and 0 would be a lie.
        quantiles = QUANTILES if value.size else ()
        samples = [
            Sample("", (*labels, ("quantile", str(q))), value.percentile(q) * scale)
            for q in quantiles
        ]
        total, count, kind = value.total_sum, value.total_count, "summary"
    samples += [Sample("_sum", labels, total * scale), Sample("_count", labels, count)]
    return Block(name, kind, samples)


def with_unit(name: str, unit: str) -> str:
    """Return a name that ends in its unit."""
    return name if not unit or name.endswith(unit) else f"{name}_{exported_name(unit)}"


def scaled(value: float, scale: float) -> float:
    """Return a value in base units; an int stays exact when it is in them already."""
    return value if scale == 1.0 else value * scale


def number(value: float) -> str:
    """Return a number as the format writes it."""
    if isinstance(value, int):
        return str(value)
    if isnan(value):
        return "NaN"
    if value in {inf, -inf}:
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def escaped_help(text: str) -> str:
    r"""Return a help text with `\` and line feeds escaped."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")
