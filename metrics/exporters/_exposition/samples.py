"""What Prometheus would read from a registry's page, as numbers with names and labels."""

from collections.abc import Iterator
from typing import NamedTuple

from metrics._turns import Turns
from metrics.exporters._encoding.numbers import Number, canonical
from metrics.exporters._exposition.families import (
    SUMMARY_QUANTILES,
    WINDOWS,
    Form,
    Points,
    Rates,
    Single,
    Values,
    bound_texts,
    point_labels,
)
from metrics.exporters._exposition.layout import TextLayout, text_names
from metrics.exporters._exposition.renaming import number_of_entry, rename_clashes
from metrics.exporters._series.clashes import warn_once
from metrics.exporters._series.scalar import number_of
from metrics.exporters._series.series import OFTEN, Labels
from metrics.instruments import BucketHistogramSnapshot, FamilySnapshot, Snapshot
from metrics.registry import Registry
from metrics.registry._inner import Entry, store_of

DIALECT = "prometheus"

KEPT = "samples"
"""What layouts are kept under between two looks."""


class Sample(NamedTuple):
    """A number of a page, in base units."""

    name: str
    labels: Labels
    value: Number


def samples(registry: Registry, reader: str) -> Iterator[tuple[Form, Sample]]:
    """Yield the samples of a page of Prometheus' text format, each with its metric family.

    Other threads get their turns meanwhile.

    Args:
        registry: what to read.
        reader: who reads; what resets when it is read resets for this reader alone.
    """
    turns = Turns()
    read = 0
    taken: dict[str, tuple[Form, Entry]] = {}
    store = store_of(registry)
    rename_clashes(store, DIALECT, text_names)
    for entry, snapshot in store.read(lambda e: e.instrument.snapshot(reader), reader):
        for layout, values, child in children(entry, snapshot):
            read += 1
            if read % OFTEN == 0:
                turns.offer()
            for form in layout.forms(child):
                if is_free(entry, form, taken):
                    for sample in samples_of(form, form.labels(values), child):
                        yield form, sample


def children(entry: Entry, snapshot: Snapshot) -> Iterator[tuple[TextLayout, Values, Snapshot]]:
    """Yield the children of a family with their label values, or a single instrument with none."""
    labelnames = snapshot.labelnames if isinstance(snapshot, FamilySnapshot) else ()
    kept = entry.kept.get(KEPT)
    if not isinstance(kept, TextLayout) or kept.labelnames != labelnames:
        number = number_of_entry(entry, DIALECT)
        kept = entry.kept[KEPT] = TextLayout(entry, labelnames, number)
    if isinstance(snapshot, FamilySnapshot):
        for values, child in snapshot.children.items():
            yield kept, values, child
    else:
        yield kept, (), snapshot


def is_free(entry: Entry, form: Form, taken: dict[str, tuple[Form, Entry]]) -> bool:
    """Return whether nobody else has the names of a family, and take them."""
    for name in form.names:
        owner = taken.get(name)
        if owner is not None and owner[0] is not form:
            warn_once(entry.name, name, owner[1].name)
            return False
    taken.update(dict.fromkeys(form.names, (form, entry)))
    return True


def samples_of(form: Form, labels: Labels, snapshot: Snapshot) -> Iterator[Sample]:
    """Yield what one child of a family is in one of its forms."""
    scaled = form.scale.of
    sample = snapshot.distribution
    if isinstance(form, Points):
        for point in snapshot.points:
            own = point_labels(point, form.name, dict(labels))
            yield Sample(form.name, (*labels, *own), point.value)
    elif isinstance(form, Rates):
        rates = snapshot.rates
        assert rates is not None  # noqa: S101 - the view of this form
        values = (rates.rate1, rates.rate5, rates.rate15, rates.rate_mean)
        for window, rate in zip(WINDOWS, values, strict=True):
            yield Sample(form.name, (*labels, ("window", window)), scaled(rate))
    elif isinstance(form, Single) or sample is None:
        yield Sample(form.name, labels, scaled(number_of(snapshot)))
    elif isinstance(sample, BucketHistogramSnapshot):
        bounds = bound_texts(sample.bounds, form.scale)
        for bound, count in zip(bounds, sample.buckets, strict=True):
            yield Sample(f"{form.name}_bucket", (*labels, ("le", bound)), count)
        yield Sample(f"{form.name}_sum", labels, scaled(sample.sum))
        yield Sample(f"{form.name}_count", labels, sample.buckets[-1])
    else:
        # An empty sample has no quantiles, and 0 would be a lie.
        fractions = SUMMARY_QUANTILES if sample.size else ()
        percentiles = sample.percentiles(fractions)
        for fraction, value in zip(fractions, percentiles, strict=True):
            at = ("quantile", canonical(fraction))
            yield Sample(form.name, (*labels, at), scaled(value))
        yield Sample(f"{form.name}_sum", labels, scaled(sample.total_sum))
        yield Sample(f"{form.name}_count", labels, sample.total_count)
