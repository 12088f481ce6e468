"""Series of instruments of OpenTelemetry's API, by the attributes of their measurements."""

import json
import threading
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, final

from opentelemetry.metrics import CallbackOptions, CallbackT, Observation
from opentelemetry.util.types import Attributes

from metrics.instruments import (
    BucketHistogram,
    CounterSnapshot,
    Family,
    FamilySnapshot,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    GaugeSnapshot,
    Instrument,
    Snapshot,
    UpDownCounterSnapshot,
)
from metrics.instruments._inner import Cumulative, Shared, call, legacy_label
from metrics.registry import Registry
from metrics.registry._inner import exported_name, store_of

MAX_LABELS = 128
"""Most label names of an instrument, as many as the SDK allows for one measurement."""

MAX_LENGTH = 1024
"""Most characters of a label value; longer ones are truncated."""

RESERVED = frozenset({"le", "quantile", "window"})
"""Label names that formats use themselves."""

OVERFLOW = {"otel.metric.overflow": "true"}
"""Labels of the series of all attributes above the limit, as in OpenTelemetry's specification."""

Update = Callable[[float], object]

UPDATES: dict[type[Any], Callable[[Any], Update]] = {
    FloatCounter: lambda instrument: instrument.inc,
    FloatUpDownCounter: lambda instrument: instrument.inc,
    BucketHistogram: lambda instrument: instrument.update,
    Gauge: lambda instrument: instrument.set,
}
"""Kinds of instruments to the update of a measurement."""

SNAPSHOTS: dict[type[Any], Callable[[float], Snapshot]] = {
    FloatCounter: CounterSnapshot,
    FloatUpDownCounter: UpDownCounterSnapshot,
    Gauge: GaugeSnapshot,
}
"""Kinds of observable instruments to the snapshot of an observation."""

Labels = dict[str, str]

SCOPE = ("otel_scope_name", "otel_scope_version")
"""Label names of a meter."""

Scope = tuple[tuple[str, str], ...]
"""Labels of a meter."""

Callback = Callable[[CallbackOptions], Iterable[Observation]]


class Target(NamedTuple):
    """Registry that a provider records in, with the options of the hook."""

    registry: Registry
    scope: bool
    max_series: int
    attributes: Mapping[str, tuple[str, ...]]


@final
class LabelNames:
    """Label names that the series of an instrument have had, in the order of their first use.

    Args:
        target: the registry, whose constant labels no series can have, and options.
    """

    def __init__(self, target: Target) -> None:
        # By their legacy form, which no two of them share. An addition is one step for all threads.
        self._names: dict[str, str] = {}
        self._taken = {*RESERVED, *map(legacy_label, target.registry.labels)}
        self._scope = target.scope

    def name(self, key: str) -> str:
        """Return the label name of an attribute.

        A name that the registry or a format has becomes `exported_` and the name, as Prometheus
        does at a scrape.
        """
        name = label_name(key)
        return f"exported_{name}" if legacy_label(name) in self._taken else name

    def labels(self, scope: Scope, attributes: Mapping[str, Any] | None) -> Labels | None:
        """Return attributes as labels, of which empty ones are none; None for too many names.

        Keys that differ in dots and underscores alone have one name, that of the first.
        """
        values: dict[str, list[str]] = {}
        names: dict[str, str] = {}
        for key, value in sorted((attributes or {}).items()):
            name = self.name(key)
            names.setdefault(legacy_label(name), name)
            values.setdefault(legacy_label(name), []).append(label_value(value))
        texts = {legacy: ";".join(found)[:MAX_LENGTH] for legacy, found in values.items()}
        if self._scope:
            texts.update(scope)
        present = [legacy for legacy, text in texts.items() if text]
        if len(self._names) + len(set(present) - self._names.keys()) > MAX_LABELS:
            return None
        return {
            self._names.setdefault(legacy, names.get(legacy, legacy)): texts[legacy]
            for legacy in present
        }

    def overflow(self) -> Labels:
        """Return the labels of the series of all attributes above the limit."""
        return {
            self._names.setdefault(legacy_label(name), name): text
            for name, text in OVERFLOW.items()
        }

    def snapshot(
        self, children: Iterable[tuple[Labels, Snapshot]], overflowed: int
    ) -> FamilySnapshot:
        """Return children, whose labels this object has returned, as a family."""
        # Read after the children, so that it has all of their labels.
        names = tuple(self._names.values())
        values = {tuple([labels.get(name, "") for name in names]): one for labels, one in children}
        return FamilySnapshot(names, dict(sorted(values.items())), overflowed)


@final
class UpdateCache:
    """Updates of series by the attributes of measurements, in the order and types that they have.

    Args:
        limit: the largest number of updates.
    """

    def __init__(self, limit: int) -> None:
        self._updates: dict[object, Update] = {}
        self._limit = limit

    def get(
        self,
        key: object,
        find: Callable[[Scope, Attributes], Update],
        scope: Scope,
        attributes: Attributes,
    ) -> Update:
        """Return the update of a key, which `find` returns the first time.

        Raises:
            Exception: any exception of `find`.
        """
        try:
            update = self._updates.get(key)
        except TypeError:
            # The value of an attribute is a list.
            return find(scope, attributes)
        if update is None:
            update = find(scope, attributes)
            if len(self._updates) < self._limit:
                self._updates[key] = update
        return update


@final
class LimitedFamily:
    """Series of an instrument whose attributes are limited to some keys: an ordinary family.

    Args:
        kind: the kind of the series.
        new: creates a series.
        keys: the keys of the attributes that are recorded.
        target: the registry, and options.

    Raises:
        ValueError: two keys have the same label name.
    """

    def __init__(
        self,
        kind: type[Instrument],
        new: Callable[[], Instrument],
        keys: Sequence[str],
        target: Target,
    ) -> None:
        names = LabelNames(target)
        labelnames = [*[names.name(key) for key in keys], *(SCOPE if target.scope else ())]
        registry = target.registry
        self.instrument: Family[Any] = Family(
            kind, labelnames, new, target.max_series, clock=registry.clock
        )
        self._keys = tuple(keys)
        self._has_scope = target.scope
        self._updates = UpdateCache(target.max_series)

    def record(self, amount: float, attributes: Attributes, scope: Scope) -> None:
        """Record a measurement.

        Raises:
            Exception: the amount or an attribute is malformed.
        """
        values = tuple([attributes.get(key) for key in self._keys]) if attributes else ()
        key = (scope, values, tuple(map(type, values)))
        self._updates.get(key, self._update, scope, attributes)(amount)

    def _update(self, scope: Scope, attributes: Attributes) -> Update:
        """Return the update of the series with these attributes."""
        found = attributes or {}
        texts = [label_value(found[key]) if key in found else "" for key in self._keys]
        if self._has_scope:
            texts += [text for _, text in scope]
        return UPDATES[self.instrument.kind](self.instrument.labels(*texts))


@final
class RecordedFamily(Shared):
    """Series of an instrument by any attributes. Safe to update from any thread, without a lock.

    Args:
        kind: the kind of the series.
        new: creates a series.
        target: the registry, and options.
    """

    def __init__(
        self, kind: type[Instrument], new: Callable[[], Instrument], target: Target
    ) -> None:
        self.kind = kind
        self._new = new
        self._clock = target.registry.clock
        self._exemplars = store_of(target.registry).exemplars
        self._limit = target.max_series
        self._names = LabelNames(target)
        self._series: dict[frozenset[tuple[str, str]], tuple[Labels, Any]] = {}
        self._updates = UpdateCache(target.max_series)
        self._overflowed = 0

    def record(self, amount: float, attributes: Attributes, scope: Scope) -> None:
        """Record a measurement.

        Raises:
            Exception: the amount or an attribute is malformed.
        """
        items = tuple(attributes.items()) if attributes else ()
        # True and 1 are equal keys, and different labels.
        key = (scope, items, tuple([type(value) for _, value in items]))
        self._updates.get(key, self._update, scope, attributes)(amount)

    @property
    def instrument(self) -> Instrument:
        """The instrument to register: the object itself."""
        return self

    def snapshot(self, reader: str = "") -> FamilySnapshot:
        """Return the snapshot of every series."""
        children = [
            (labels, series.snapshot(reader)) for labels, series in list(self._series.values())
        ]
        return self._names.snapshot(children, self._overflowed)

    def _update(self, scope: Scope, attributes: Attributes) -> Update:
        """Return the update of the series with these attributes, which is created if needed."""
        labels = self._names.labels(scope, attributes)
        known = None if labels is None else self._series.get(frozenset(labels.items()))
        if known is None:
            if labels is None or len(self._series) >= self._limit:
                self._overflowed += 1
                labels = self._names.overflow()
            known = self._series.setdefault(frozenset(labels.items()), (labels, self._create()))
        return UPDATES[self.kind](known[1])

    def _create(self) -> Instrument:
        """Return a new series."""
        series = self._new()
        if isinstance(series, Cumulative):
            series._begin(self._clock.time(), self._clock)  # noqa: SLF001 - a method for owners
            if self._exemplars is not None:
                series._attach(self._exemplars)  # noqa: SLF001 - as above
        return series

    def _after_fork(self) -> None:
        for _, series in self._series.values():
            series._after_fork()  # noqa: SLF001 - the same method of another object


class FailureLog(Protocol):
    """Log of one instrument, which has a failure once, until there is none."""

    def report(self, error: Exception) -> None:
        """Log a failure, unless the last one was logged."""

    def succeed(self) -> None:
        """Log the next failure."""


@final
class ObservedFamily(Shared):
    """Observations of an instrument by attributes, made at each read.

    Args:
        kind: the kind of the series.
        callbacks: the callbacks, each with the labels of its meter; more may be appended.
        failures: logs failing callbacks.
        keys: the keys of the attributes that are recorded; None for all.
        target: the registry, and options.
    """

    def __init__(
        self,
        kind: type[Instrument],
        callbacks: list[tuple[Scope, Callback]],
        failures: FailureLog,
        keys: Sequence[str] | None,
        target: Target,
    ) -> None:
        self.kind = kind
        self._callbacks = callbacks
        self._failures = failures
        self._keys = keys
        self._limit = target.max_series
        self._names = LabelNames(target)
        self._thread = threading.local()
        # Newest observations of each callback.
        self._last: dict[int, list[tuple[float, Mapping[str, Any]]]] = {}

    def snapshot(self, reader: str = "") -> FamilySnapshot:  # noqa: ARG002 - as every instrument
        """Return the observations of all callbacks; none to a callback that reads the registry."""
        if getattr(self._thread, "is_observing", False):
            return self._names.snapshot([], 0)
        self._thread.is_observing = True
        try:
            return self._observe()
        finally:
            self._thread.is_observing = False

    def _observe(self) -> FamilySnapshot:
        values: dict[frozenset[tuple[str, str]], tuple[Labels, float]] = {}
        overflowed = 0
        failed = False
        for index, (scope, callback) in enumerate(list(self._callbacks)):
            try:
                found = self._last[index] = observations(callback)
            except Exception as error:  # noqa: BLE001 - one that fails must not hide the others
                failed = True
                self._failures.report(error)
                # A total that vanished would be reported again as a whole.
                found = self._last.get(index, []) if self.kind is FloatCounter else []
            for amount, attributes in found:
                labels = self._names.labels(scope, self._limited(attributes))
                is_over = labels is None or (
                    len(values) >= self._limit and frozenset(labels.items()) not in values
                )
                if labels is None or is_over:
                    overflowed += 1
                    labels = self._names.overflow()
                key = frozenset(labels.items())
                adds = (is_over or self._keys is not None) and self.kind is not Gauge
                values[key] = (labels, amount + (values.get(key, (labels, 0.0))[1] if adds else 0))
        if not failed:
            self._failures.succeed()
        new = SNAPSHOTS[self.kind]
        children = [(labels, new(amount)) for labels, amount in values.values()]
        return self._names.snapshot(children, overflowed)

    def _limited(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the attributes that are recorded."""
        if self._keys is None:
            return attributes
        return {key: attributes[key] for key in self._keys if key in attributes}


def observations(callback: Callback) -> list[tuple[float, Mapping[str, Any]]]:
    """Return the observations of a callback, each as its value and its attributes.

    Raises:
        Exception: the callback failed, or was cancelled, or an observation is malformed.
    """

    def observe() -> list[tuple[float, Mapping[str, Any]]]:
        found = callback(CallbackOptions())
        return [(float(each.value), dict(each.attributes or {})) for each in found]

    return call(observe)  # type: ignore[return-value]


def callback_of(callback: CallbackT) -> Callback:
    """Return a callback as a function.

    A generator takes the options from `yield`, and has advanced to its first one.
    """
    if not isinstance(callback, Generator):
        return callback
    next(callback)
    last: list[Iterable[Observation]] = [()]

    def send(options: CallbackOptions) -> Iterable[Observation]:
        # Another thread reads the same instrument.
        if not getattr(callback, "gi_running", False):
            last[0] = callback.send(options)
        return last[0]

    return send


def label_name(key: str) -> str:
    """Return the label name of an attribute: in ASCII letters, digits, underscores and dots."""
    name = ".".join([exported_name(word) or "_" for word in key.split(".")])
    # Two underscores in front are reserved for Prometheus itself.
    return f"_{name.lstrip('_')}" if name.startswith("__") else name


def label_value(value: object) -> str:
    """Return the value of an attribute as the text of a label."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(list(value)) if isinstance(value, Sequence) else str(value)
