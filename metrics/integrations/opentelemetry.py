"""Provider of OpenTelemetry's metrics API whose instruments are recorded by a registry.

For libraries that are measured with `opentelemetry.metrics` (the package `opentelemetry-api`, the
SDK is not needed):

    class Container(MetricsContainer):
        meters = Resource(
            opentelemetry.meter_provider, MetricsContainer.registry, set_global=True
        )

The names of the instruments keep their dots: `http.server.request.duration`.

| OpenTelemetry | instrument of the registry |
| --- | --- |
| Counter, ObservableCounter | `FloatCounter` |
| UpDownCounter, ObservableUpDownCounter | `FloatUpDownCounter` |
| Histogram | `BucketHistogram` |
| Gauge, ObservableGauge | `Gauge` |

Kept semantics:

- Attributes are labels of the same names, with dots, for which pages in the legacy alphabet have
  `_`; so have labels for all characters that they cannot have. A measurement may have any
  attributes: the label names of an instrument are all that it has had, and a series without one
  of them has an empty value, which Prometheus takes for no label. Booleans are `true` and `false`,
  sequences JSON, and attributes of one label name are joined by `;`.
- Above `max_series` combinations of attributes, all others share the series with the label
  `otel.metric.overflow="true"`.
- Units of the Unified Code for Units of Measure become words: `s` seconds, `By` bytes, `1` a ratio
  for gauges; annotations such as `{request}` are dropped.
- Histograms have the bounds of `explicit_bucket_boundaries_advisory`; without any, the
  registry's bounds for seconds and bytes, and OpenTelemetry's for all other units.
- Callbacks of observable instruments are called at each read. One that raises is logged once, until
  it has a result again; the observations of the others are kept.
- Exemplars come from the registry's function, see `Registry(exemplars=)`.

Lost semantics:

- Numbers are floats, exact for integers up to 2**53.
- Instruments of one name are one instrument, whatever their meters: their values add up. With
  `scope=True` the labels `otel_scope_name` and `otel_scope_version` distinguish the meters. If
  their kinds or units differ, the later ones record nothing, which is logged.
- An explicit `context`, schema URLs and attributes of meters are ignored. There are no views, but
  for `attributes`: temporality and aggregation are matters of the reporters.
- With `integrations.processes.share`, the values of instruments without `attributes` are of one
  process alone.

No call raises. Outside of the block of the hook, instruments may be created and used to no effect.
"""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from logging import getLogger

from metrics._extras import require_extra

with require_extra("opentelemetry"):
    from opentelemetry import metrics as api
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackT
    from opentelemetry.util.types import Attributes

from metrics import _fork
from metrics.errors import LifecycleError
from metrics.instruments import (
    BucketHistogram,
    FloatCounter,
    FloatUpDownCounter,
    Gauge,
    Instrument,
)
from metrics.instruments._inner import Whole, describe, size
from metrics.integrations._opentelemetry.series import SCOPE, Scope, Target, callback_of
from metrics.integrations._opentelemetry.streams import InstrumentStream, unit_of
from metrics.registry import Registry

logger = getLogger("metrics.integrations")

MAX_SERIES = 2000
"""Default limit for the combinations of attributes of an instrument, which the SDK has too."""


@_fork.survives_fork
@contextmanager
def meter_provider(
    registry: Registry,
    provider: "MeterProvider | None" = None,
    *,
    set_global: bool = False,
    scope: bool = False,
    max_series: Whole = MAX_SERIES,
    attributes: Mapping[str, Iterable[str]] | None = None,
) -> Iterator["MeterProvider"]:
    """Record the instruments of a meter provider in a registry.

    OpenTelemetry's global provider can be set once in a process, and stays. `set_global` sets one
    that is kept for the whole process: instruments created before the start record from then on,
    without effect after the stop, and record again when the container, or another one, starts. A
    program may do the same with a provider of its own, `MeterProvider()`, which it passes to the
    hook and to its libraries; without either, each start has a new provider.

    Args:
        registry: the registry of the instruments.
        provider: a provider that outlives the container.
        set_global: whether it is made OpenTelemetry's global provider.
        scope: whether series have the name and the version of their meter as labels.
        max_series: the largest number of combinations of attributes of an instrument.
        attributes: names of instruments to the keys of the attributes that are recorded, as views
            have them; all others are dropped. The synchronous ones of these instruments are
            ordinary families, whose values processes can share. Their overflow series is
            `_overflow`.

    Raises:
        LifecycleError: another provider is the global one, or the provider records in another
            registry at present.
        TypeError, ValueError: `max_series` is not a positive int, or the keys of `attributes` are
            a str.
    """
    if provider is None:
        provider = GLOBAL if set_global else MeterProvider()
    limits = checked_attributes(attributes)
    provider.attach(Target(registry, scope, size("max_series", max_series), limits))
    try:
        if set_global:
            make_global(provider)
        yield provider
    finally:
        provider.detach()


def checked_attributes(
    attributes: Mapping[str, Iterable[str]] | None,
) -> Mapping[str, tuple[str, ...]]:
    """Return the keys of the recorded attributes by the name of the instrument in lower case.

    Raises:
        TypeError: the keys of an instrument are a str.
    """
    limits: dict[str, tuple[str, ...]] = {}
    for name, keys in (attributes or {}).items():
        if isinstance(keys, str):
            raise TypeError(
                f"invalid attributes {keys!r} of {name!r}: use a sequence, as [{keys!r}]"
            )
        limits[name.lower()] = tuple(keys)
    return limits


def make_global(provider: "MeterProvider") -> None:
    """Make a provider OpenTelemetry's global one.

    Raises:
        LifecycleError: another one is.
    """
    if api.get_meter_provider() is not provider:
        api.set_meter_provider(provider)
    known = api.get_meter_provider()
    if known is not provider:
        raise LifecycleError(
            f"cannot set the global meter provider: {known!r} is set, and OpenTelemetry allows one "
            "for each process; leave out set_global, or the other provider"
        )


class MeterProvider(api.MeterProvider):
    """Meter provider whose instruments record while a hook attaches it to a registry.

    Safe to use from any thread. Memory is bounded by the names of the instruments, and callbacks.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._streams: dict[str, InstrumentStream] = {}
        self._target: Target | None = None
        self._generation = 0
        _fork.track(self)

    def get_meter(
        self,
        name: str,
        version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,  # noqa: ARG002 - the signature of the API
    ) -> api.Meter:
        """Return a meter; the schema URL and attributes are ignored."""
        return RecordingMeter(self, name, version, schema_url)

    def attach(self, target: Target) -> None:
        """Record all instruments in a registry from now on.

        Raises:
            LifecycleError: they are recorded in another registry.
        """
        with self._lock:
            # The target may be that of the parent of a forked process.
            if self._target is not None and self._generation == _fork.generation:
                raise LifecycleError(
                    f"cannot record in {target.registry!r}: the provider records in "
                    f"{self._target.registry!r}; stop that container first, or use another provider"
                )
            self._generation = _fork.generation
            self._target = target
            for stream in self._streams.values():
                stream.attach(target)

    def detach(self) -> None:
        """Record no instrument any more, and unregister all of them."""
        with self._lock:
            target, self._target = self._target, None
            for stream in self._streams.values():
                stream.detach(target)

    def stream(
        self,
        name: str,
        kind: type[Instrument],
        unit: str,
        description: str,
        scope: Scope,
        bounds: Sequence[float] | None = None,
        callbacks: Sequence[CallbackT] | None = None,
    ) -> "InstrumentStream":
        """Return the stream of an instrument. Never raises.

        An instrument that cannot be recorded, which is logged, gets a stream of its own.

        Args:
            name: the name of the instrument; case does not distinguish names.
            kind: the kind of its series.
            unit: the code of its unit.
            description: one line that says what is measured.
            scope: the labels of its meter.
            bounds: the bounds of a histogram; None for the default.
            callbacks: the callbacks of an observable instrument; None for another one.
        """
        try:
            new = InstrumentStream(name, kind, unit_of(unit or "", kind), description or "", bounds)
            new.is_observed = callbacks is not None
            with self._lock:
                known = self._streams.setdefault(name.lower(), new)
                known.refuse_other(new)
                known.callbacks += [(scope, callback_of(each)) for each in callbacks or ()]
                if known is new and self._target is not None:
                    known.attach(self._target)
                return known
        except Exception as error:  # noqa: BLE001 - no program fails because it is not measured
            logger.error(
                "the instrument %r of OpenTelemetry is not recorded: %s", name, describe(error)
            )
            return InstrumentStream("", kind, "", "", None)

    def _after_fork(self) -> None:
        """Renew the lock, which another thread of the parent may have held."""
        self._lock = threading.RLock()


GLOBAL = MeterProvider()
"""Provider that `set_global` makes the global one, and that outlives every container."""


class RecordingMeter(api.Meter):
    """Meter of a library.

    Args:
        provider: the provider, whose streams the instruments record to.
        name: the name of the library.
        version: its version.
        schema_url: not recorded.
    """

    def __init__(
        self, provider: MeterProvider, name: str, version: str | None, schema_url: str | None
    ) -> None:
        super().__init__(name, version, schema_url)
        self._provider = provider
        self._scope: Scope = tuple(zip(SCOPE, (str(name), str(version or "")), strict=True))

    def create_counter(self, name: str, unit: str = "", description: str = "") -> api.Counter:
        """Create a counter."""
        return RecordingCounter(self._stream(name, FloatCounter, unit, description), self._scope)

    def create_up_down_counter(
        self, name: str, unit: str = "", description: str = ""
    ) -> api.UpDownCounter:
        """Create an up-down counter."""
        return RecordingUpDownCounter(
            self._stream(name, FloatUpDownCounter, unit, description), self._scope
        )

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> api._Gauge:
        """Create a gauge."""
        return RecordingGauge(self._stream(name, Gauge, unit, description), self._scope)

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> api.Histogram:
        """Create a histogram."""
        bounds = explicit_bucket_boundaries_advisory
        stream = self._stream(name, BucketHistogram, unit, description, bounds)
        return RecordingHistogram(stream, self._scope)

    def create_observable_counter(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> api.ObservableCounter:
        """Create an observable counter."""
        self._stream(name, FloatCounter, unit, description, callbacks=callbacks or ())
        # The provider has the callbacks, and the object has no method.
        return api.NoOpObservableCounter(name)

    def create_observable_up_down_counter(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> api.ObservableUpDownCounter:
        """Create an observable up-down counter."""
        self._stream(name, FloatUpDownCounter, unit, description, callbacks=callbacks or ())
        return api.NoOpObservableUpDownCounter(name)

    def create_observable_gauge(
        self,
        name: str,
        callbacks: Sequence[CallbackT] | None = None,
        unit: str = "",
        description: str = "",
    ) -> api.ObservableGauge:
        """Create an observable gauge."""
        self._stream(name, Gauge, unit, description, callbacks=callbacks or ())
        return api.NoOpObservableGauge(name)

    def _stream(
        self,
        name: str,
        kind: type[Instrument],
        unit: str,
        description: str,
        bounds: Sequence[float] | None = None,
        callbacks: Sequence[CallbackT] | None = None,
    ) -> InstrumentStream:
        return self._provider.stream(name, kind, unit, description, self._scope, bounds, callbacks)


class Recorder:
    """Base of the instruments that record to a stream; their classes name the method as the API."""

    def __init__(self, stream: InstrumentStream, scope: Scope) -> None:
        self._stream = stream
        self._scope = scope

    def record(
        self,
        amount: float,
        attributes: Attributes = None,
        context: Context | None = None,  # noqa: ARG002 - the signature of the API
    ) -> None:
        """Record a value of a histogram or a gauge, or the amount of an increment."""
        self._stream.record(amount, attributes, self._scope)


class RecordingCounter(Recorder, api.Counter):
    """Counter that records to a stream."""

    add = Recorder.record


class RecordingUpDownCounter(Recorder, api.UpDownCounter):
    """Up-down counter that records to a stream."""

    add = Recorder.record


class RecordingHistogram(Recorder, api.Histogram):
    """Histogram that records to a stream."""


class RecordingGauge(Recorder, api._Gauge):  # noqa: SLF001 - the API has no other name for it
    """Gauge that records to a stream."""

    set = Recorder.record
