"""Prometheus' text format, version 0.0.4.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from collections.abc import Iterator
from functools import lru_cache
from logging import getLogger
from math import inf, isnan
from typing import NamedTuple

from metrics.entries import Entry, exported_name, kind_of
from metrics.exporters.units import Scale, scale_of
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

LARGEST = 1 << 1023

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
                warn_once(name, block.name, clash)
                continue
            taken.update(dict.fromkeys(names, name))
            lines += written(block, entry)
    # Half a surrogate pair has no place in UTF-8, and the page must not fail for it.
    return "\n".join([*lines, ""]).encode(errors="replace") if lines else b""


@lru_cache(maxsize=1024)
def warn_once(name: str, exposed: str, clash: str) -> None:
    """Log that an instrument is left out, the first time only."""
    logger.warning("%r is left out: %r is the name of %r already", name, exposed, clash)


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
    scale = scale_of(entry.unit)
    name = exported_name(entry.name)
    if scale.base != entry.unit:
        name = name.removesuffix(f"_{entry.unit}")
    merged: dict[tuple[str, str], list[Sample]] = {}
    for labels, child in children(value):
        for block in instrument_blocks(name, scale, child, labels):
            merged.setdefault((block.name, block.kind), []).extend(block.samples)
    return [Block(name, kind, samples) for (name, kind), samples in merged.items()]


def children(value: Snapshot) -> Iterator[tuple[Labels, Snapshot]]:
    """Yield the labels and the value of each child; of an instrument without labels, itself."""
    if not isinstance(value, FamilySnapshot):
        yield (), value
        return
    for values, child in value.children.items():
        yield tuple(zip(value.labelnames, values, strict=True)), child


def instrument_blocks(name: str, scale: Scale, value: Snapshot, labels: Labels) -> Iterator[Block]:
    """Yield what one instrument becomes."""
    measured = with_unit(name, scale.base)
    match value:
        case CounterSnapshot():
            yield counted(name, scale, value.count, labels)
        case UpDownCounterSnapshot():
            yield Block(measured, "gauge", [Sample("", labels, scale.of(value.count))])
        case GaugeSnapshot():
            yield Block(measured, "gauge", [Sample("", labels, scale.of(value.value))])
        case InfoSnapshot():
            facts = with_facts(labels, value)
            yield Block(with_suffix(name, "info"), "gauge", [Sample("", facts, 1)])
        case HealthcheckSnapshot():
            healthy = int(value.error is None)
            yield Block(f"{name}_healthy", "gauge", [Sample("", labels, healthy)])
        case MeterSnapshot():
            yield counted(name, scale, value.count, labels)
            yield rates(measured, value, scale, labels)
        case HistogramSnapshot() | BucketHistogramSnapshot():
            yield distribution(measured, value, scale, labels)
        case TimerSnapshot():
            seconds = scale_of("seconds")
            yield distribution(with_unit(name, "seconds"), value.durations, seconds, labels)
            yield rates(name.removesuffix("_seconds"), value.rates, scale_of(""), labels)


def counted(name: str, scale: Scale, count: float, labels: Labels) -> Block:
    """Return a counter."""
    # A name may say that it is a total, but the unit comes before that.
    measured = with_unit(name.removesuffix("_total"), scale.base)
    return Block(f"{measured}_total", "counter", [Sample("", labels, scale.of(count))])


def rates(name: str, value: MeterSnapshot, scale: Scale, labels: Labels) -> Block:
    """Return the rates of a meter as one gauge by window."""
    windows = {
        "1m": value.rate1,
        "5m": value.rate5,
        "15m": value.rate15,
        "mean": value.rate_mean,
    }
    samples = [
        Sample("", (*labels, ("window", window)), scale.of(rate))
        for window, rate in windows.items()
    ]
    return Block(f"{name}_per_second", "gauge", samples)


def distribution(
    name: str, value: HistogramSnapshot | BucketHistogramSnapshot, scale: Scale, labels: Labels
) -> Block:
    """Return a sample as a summary, buckets as a histogram."""
    if isinstance(value, BucketHistogramSnapshot):
        bounds = [number(scale.of(bound)) for bound in value.bounds] + ["+Inf"]
        samples = [
            Sample("_bucket", (*labels, ("le", bound)), count)
            for bound, count in zip(bounds, value.buckets, strict=True)
        ]
        total, count, kind = value.sum, value.count, "histogram"
    else:
        # An empty sample has no quantiles, and 0 would be a lie.
        quantiles = QUANTILES if value.size else ()
        samples = [
            Sample("", (*labels, ("quantile", str(q))), scale.of(value.percentile(q)))
            for q in quantiles
        ]
        total, count, kind = value.total_sum, value.total_count, "summary"
    samples += [Sample("_sum", labels, scale.of(total)), Sample("_count", labels, count)]
    return Block(name, kind, samples)


def with_facts(labels: Labels, value: InfoSnapshot) -> Labels:
    """Return labels and facts as labels, by name; no two of them have the same."""
    taken = dict(labels)
    for key, text in sorted(value.value.items()):
        # Two underscores in front are reserved for Prometheus itself.
        name = exported_name(key).lstrip("_") or "_"
        while name in taken:
            name += "_"
        taken[name] = text
    return (*labels, *sorted([fact for fact in taken.items() if fact not in labels]))


def with_unit(name: str, unit: str) -> str:
    """Return a name that ends in its unit, if there is one that can be written."""
    written = exported_name(unit).strip("_")
    # go-ethereum's `readbytes` says it too.
    return name if name.endswith(written) else f"{name}_{written}"


def with_suffix(name: str, suffix: str) -> str:
    """Return a name whose last word is `suffix`."""
    return name if name == suffix or name.endswith(f"_{suffix}") else f"{name}_{suffix}"


def number(value: float) -> str:
    """Return a number as the format writes it."""
    if isinstance(value, int):
        # Prometheus reads every number as a float.
        return str(value) if abs(value) < LARGEST else "+Inf" if value > 0 else "-Inf"
    if isnan(value):
        return "NaN"
    if value in {inf, -inf}:
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def escaped_help(text: str) -> str:
    r"""Return a help text with `\` and line feeds escaped."""
    return text.replace("\\", "\\\\").replace("\n", "\\n")
