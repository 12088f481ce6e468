"""Bridges to prometheus_client, in both directions.

A container declares one of them or both; each ends at the stop:

    class Container(MetricsContainer):
        exported = Resource(prometheus_client.export, MetricsContainer.registry)
        included = Resource(prometheus_client.include, MetricsContainer.registry)

`export` is for programs whose pages prometheus_client serves, `include` for libraries that are
measured with it. Both may connect the same two registries: neither shows a family twice.

`export` keeps everything that a page of OpenMetrics has: families with their types, units and
descriptions, labels, values and exemplars. Integers above 2**53 are rounded by prometheus_client.

`include` shows families in all formats and reporters as the instruments below:

| prometheus_client | instrument |
| --- | --- |
| counter | `FloatCounter` |
| gauge; unknown, untyped | `Gauge` |
| summary | `Histogram` with count and sum; quantiles are left out |
| histogram | `BucketHistogram`; native histograms are left out |
| gaugehistogram | `BucketHistogram`: its `_gsum` and `_gcount` become `_sum` and `_count` |
| info | `Info`; several children have labels and no text |
| stateset, enum | `StateSet` |

Kept are the name, the description, the labels, the exemplars and `_created`, and the unit unless
it is one that this library would convert. Timestamps of samples are not kept. A label that is a
constant label of the registry becomes `exported_` and its name, as Prometheus does at a scrape.
A forked process has the counts of its parent, as it has in prometheus_client; and with
`integrations.processes.share`, included families have the values of one process alone.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from itertools import count
from logging import getLogger
from typing import NamedTuple, final

from metrics._extras import require_extra

with require_extra("prometheus-client"):
    from prometheus_client import REGISTRY, CollectorRegistry
    from prometheus_client.core import Exemplar as TheirExemplar
    from prometheus_client.core import InfoMetricFamily, Metric
    from prometheus_client.registry import Collector

from metrics import _fork
from metrics._units import SCALES
from metrics.errors import DuplicateMetricError
from metrics.exporters._encoding.numbers import clamp
from metrics.exporters._exposition.families import MetricFamily, Sample
from metrics.exporters._exposition.layouts import layouts_of
from metrics.exporters._exposition.reading import FamilyReader, samples_of
from metrics.exporters.openmetrics import OpenMetricsLayout, written_unit
from metrics.instruments import (
    BucketHistogram,
    FamilySnapshot,
    FloatCounter,
    Histogram,
    Snapshot,
)
from metrics.instruments._inner import describe, legacy_label
from metrics.integrations._prometheus_client.samples import KINDS, Labels, snapshots_of
from metrics.registry import Registry
from metrics.registry._inner import store_of

logger = getLogger("metrics.integrations")

READER = "prometheus_client"

exporting_into: ContextVar[CollectorRegistry | None] = ContextVar(
    "metrics-exporting-into", default=None
)
"""Registry of prometheus_client whose page begins to read a registry in this context."""

TOTALS = frozenset({FloatCounter, Histogram, BucketHistogram})
"""Instruments that keep their values while their collector fails: a total does not restart."""

Values = tuple[str, ...]


@_fork.survives_fork
@contextmanager
def export(registry: Registry, into: CollectorRegistry = REGISTRY) -> Iterator[Collector]:
    """Show all instruments of a registry in a registry of prometheus_client.

    A family whose name a collector of prometheus_client has registered is left out, which is logged
    once. Pages that are restricted to names (`?name[]=`) do not have the instruments.

    Args:
        registry: the exported registry.
        into: the registry of prometheus_client.

    Returns:
        A block in which its value, the collector, is registered.
    """
    collector = RegistryCollector(registry, into)
    into.register(collector)
    try:
        yield collector
    finally:
        # The program may have removed it.
        with suppress(KeyError):
            into.unregister(collector)


@_fork.survives_fork
@contextmanager
def include(registry: Registry, source: CollectorRegistry = REGISTRY) -> Iterator[None]:
    """Show all families of a registry of prometheus_client in a registry.

    They are collected before each read of the registry, and registered under their names, such as
    `http_requests` for `http_requests_total`, after the registry's prefix. New families are seen at
    the next read; families that are gone are unregistered then.

    A family whose name is taken is left out, and one whose name on a page is taken is numbered.
    While a collector raises, its counters, summaries and histograms keep their values and its other
    families are left out. Each of these is logged once.

    Args:
        registry: the registry that shows the families.
        source: the registry of prometheus_client.
    """
    if not registry.enabled:
        yield
        return
    inclusion = Inclusion(registry, source)
    try:
        with store_of(registry).refresh_by(inclusion.refresh):
            yield
        # A reporter that stops later reports the last updates.
        inclusion.refresh()
    finally:
        inclusion.close()


@final
class RegistryCollector:
    """Collector of prometheus_client that reads a registry of this library.

    Args:
        registry: the registry to read.
        into: the registry of prometheus_client that the collector is registered in.
    """

    def __init__(self, registry: Registry, into: CollectorRegistry) -> None:
        self.registry = registry
        self._into = into
        self._left_out: set[str] = set()

    def describe(self) -> Iterable[Metric]:
        """Return no family: instruments may be registered later, and names are checked then."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families of the registry."""
        store = store_of(self.registry)
        layouts = layouts_of(store, "openmetrics", OpenMetricsLayout)
        families = FamilyReader(self.registry, layouts, READER, samples_of, exemplars=True)
        with ExitStack() as stack:
            token = exporting_into.set(self._into)
            try:
                reading = stack.enter_context(families.begin())
            finally:
                exporting_into.reset(token)
            for entry in reading.entries:
                own = entry.instrument
                if isinstance(own, ForeignFamily) and own.source is self._into:
                    continue
                for family, samples in families.read(reading, entry):
                    if self._is_free(family):
                        yield their_metric(family, families.layout(entry).help, samples)
        families.end()

    def _is_free(self, family: MetricFamily) -> bool:
        """Return whether no other collector has the names of a family; log it if not."""
        # No public function returns the names.
        owners = getattr(self._into, "_names_to_collectors", {})
        for name in family.names():
            if owners.get(name, self) is not self:
                if name not in self._left_out:
                    self._left_out.add(name)
                    logger.warning(
                        "the family %r is left out of prometheus_client's pages: a collector has "
                        "registered %r there; rename the instrument, or unregister the collector",
                        family.stem,
                        name,
                    )
                return False
        return True


def their_metric(family: MetricFamily, text: str, samples: Iterable[Sample]) -> Metric:
    """Return a metric family as prometheus_client has it."""
    unit = written_unit(family.stem, family.kind, family.scale.base)
    metric = Metric(family.stem, text, family.kind, unit)
    for sample in samples:
        exemplar = None
        if sample.exemplar is not None:
            labels = dict(sample.exemplar.labels)
            exemplar = TheirExemplar(labels, sample.exemplar.value, sample.exemplar.timestamp)
        value = float(clamp(sample.value))
        metric.add_sample(sample.name, dict(sample.labels), value, None, exemplar)
    return metric


class CollectedChildren(NamedTuple):
    """CollectedChildren of a metric family at one collection.

    labelnames: the labels of all children; a child without one of them has an empty value.
    snapshots: label values to snapshot.
    created: label values to the time of the creation, in seconds since the Unix epoch.
    """

    labelnames: Values
    snapshots: dict[Values, Snapshot]
    created: dict[Values, float]


NO_CHILDREN = CollectedChildren((), {}, {})


@final
class ForeignFamily:
    """Family of instruments whose values prometheus_client has collected.

    Args:
        metric: the first collected metric family.
        collector: its collector.
        source: the registry of prometheus_client that has the collector.
    """

    def __init__(self, metric: Metric, collector: Collector, source: CollectorRegistry) -> None:
        self.source = source
        self.kind = KINDS[metric.type]
        self.type = metric.type
        self.collector = collector
        # Replaced as a whole, so that a reader sees one collection.
        self.children = NO_CHILDREN

    @property
    def created_times(self) -> Mapping[Values, float]:
        """Label values to the time of the creation of a child, in seconds since the Unix epoch."""
        return self.children.created

    def snapshot(self, reader: str = "") -> FamilySnapshot:  # noqa: ARG002 - as every instrument
        """Return the values of the last collection."""
        children = self.children
        return FamilySnapshot(children.labelnames, children.snapshots, 0)


class Found(NamedTuple):
    """A metric family that was collected, and its children by their labels."""

    collector: Collector
    metric: Metric
    snapshots: dict[Labels, tuple[Snapshot, float]]


@final
class Inclusion:
    """Families of a registry of prometheus_client, registered in a registry of this library.

    Safe to use from any thread.

    Args:
        registry: the registry that shows the families.
        source: the registry of prometheus_client.
    """

    def __init__(self, registry: Registry, source: CollectorRegistry) -> None:
        self._registry = registry
        self._source = source
        self._store = store_of(registry)
        self._owner = _fork.registering.get()
        self._families: dict[str, ForeignFamily] = {}
        # Subjects of warnings that are not repeated until the reason is gone.
        self._warned: set[object] = set()
        self._thread = threading.local()
        self._numbers = count(1)
        self._newest = 0

    def refresh(self) -> None:
        """Collect all families, and register and unregister them accordingly. Never raises.

        Does nothing while this thread collects already, because a collector reads the registry; nor
        for a page of the same registry of prometheus_client, which leaves these families out.
        """
        if getattr(self._thread, "is_collecting", False) or exporting_into.get() is self._source:
            return
        self._thread.is_collecting = True
        number = next(self._numbers)
        try:
            # Without a lock: collectors are the program's own code.
            found, failed = self._collect()
        finally:
            self._thread.is_collecting = False
        token = _fork.registering.set(self._owner)
        try:
            with self._store.table.lock:
                # Another thread may have collected later, and been faster.
                if number > self._newest:
                    self._newest = number
                    self._apply(found, failed)
        finally:
            _fork.registering.reset(token)

    def close(self) -> None:
        """Unregister all families."""
        for name, family in self._families.items():
            self._registry.unregister(name, family)
        self._families = {}

    def _collectors(self) -> list[Collector]:
        """Return the collectors, one by one if possible: one that raises hides no other."""
        known = getattr(self._source, "_collector_to_names", None)
        if known is None:
            return [self._source]
        target = self._source.get_target_info()
        own: list[Collector] = [] if not target else [TargetCollector(target)]
        return [*own, *known]

    def _collect(self) -> tuple[dict[str, Found], set[object]]:
        """Return the families by name, and failing collectors and names of malformed families."""
        found: dict[str, Found] = {}
        failed: set[object] = set()
        for collector in self._collectors():
            if self._is_own(collector):
                continue
            try:
                for metric in collector.collect():
                    if metric.samples and self._is_first(found, metric, collector):
                        self._read(found, failed, metric, collector)
            except Exception as error:  # noqa: BLE001 - one that fails must not hide the others
                failed.add(collector)
                self._warn(collector, f"{collector!r} cannot be read: {describe(error)}", error)
            else:
                self._warned.discard(collector)
        return found, failed

    def _read(
        self,
        found: dict[str, Found],
        failed: set[object],
        metric: Metric,
        collector: Collector,
    ) -> None:
        """Add a family to the found ones, or its name to the failed subjects."""
        subject = ("malformed", metric.name)
        try:
            found[metric.name] = Found(collector, metric, snapshots_of(metric))
        except Exception as error:  # noqa: BLE001 - one that is malformed must not hide the others
            failed.add(metric.name)
            self._warn(subject, f"the family {metric.name!r} is left out: {describe(error)}", error)
        else:
            self._warned.discard(subject)

    def _is_own(self, collector: Collector) -> bool:
        """Return whether a collector exports the registry itself, a parent or a child of it."""
        return (
            isinstance(collector, RegistryCollector)
            and store_of(collector.registry).table is self._store.table
        )

    def _is_first(self, found: Mapping[str, Found], metric: Metric, collector: Collector) -> bool:
        """Return whether no other collector has a family of this name."""
        known = found.get(metric.name)
        if known is None or known.collector is collector:
            return True
        text = f"the family {metric.name!r} of {collector!r} is that of {known.collector!r} already"
        self._warn((collector, metric.name), text)
        return False

    def _apply(self, found: Mapping[str, Found], failed: set[object]) -> None:
        """Register, update and unregister families."""
        for name, family in list(self._families.items()):
            new = found.get(name)
            if new is None and (family.collector in failed or name in failed):
                if family.kind not in TOTALS:
                    family.children = NO_CHILDREN
            elif new is None or new.metric.type != family.type:
                self._registry.unregister(name, family)
                del self._families[name]
        for name, new in found.items():
            known = self._families.get(name) or self._register(name, new)
            if known is not None:
                known.collector = new.collector
                known.children = self._children(new, known.children.labelnames)

    def _register(self, name: str, new: Found) -> ForeignFamily | None:
        """Register a family; return None if its name is taken, which is logged once."""
        metric = new.metric
        # Values of these units would be converted, under another name.
        unit = "" if metric.unit in SCALES else metric.unit
        family = ForeignFamily(metric, new.collector, self._source)
        try:
            self._registry.register(name, family, description=metric.documentation, unit=unit)
        except (DuplicateMetricError, ValueError) as error:
            self._warn(name, f"the family {name!r} is left out: {describe(error)}")
            return None
        self._warned.discard(name)
        self._families[name] = family
        return family

    def _children(self, found: Found, known: Values) -> CollectedChildren:
        """Return the children of a family, with labels that the registry does not have itself."""
        # Labels stay, so that a series has the same labels at each read.
        names = dict.fromkeys(known)
        constant = set(map(legacy_label, self._registry.labels))
        by_labels: list[tuple[dict[str, str], Snapshot, float]] = []
        for labels, (snapshot, created) in found.snapshots.items():
            own = {
                f"exported_{key}" if legacy_label(key) in constant else key: value
                for key, value in labels
            }
            names.update(dict.fromkeys(own))
            by_labels.append((own, snapshot, created))
        snapshots: dict[Values, Snapshot] = {}
        times: dict[Values, float] = {}
        for own, snapshot, created in by_labels:
            values = tuple([own.get(name, "") for name in names])
            snapshots[values] = snapshot
            if created:
                times[values] = created
        return CollectedChildren(tuple(names), snapshots, times)

    def _warn(self, subject: object, text: str, error: Exception | None = None) -> None:
        """Log a warning about a subject, unless it was logged."""
        if subject not in self._warned:
            self._warned.add(subject)
            logger.warning("prometheus_client: %s", text, exc_info=error)


@final
class TargetCollector:
    """Collector of the target info of a registry of prometheus_client.

    Args:
        labels: the labels of the target.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = dict(labels)

    def collect(self) -> Iterable[Metric]:
        """Return the family `target`."""
        return [InfoMetricFamily("target", "Target metadata", self._labels)]
