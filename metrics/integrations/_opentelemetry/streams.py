"""Instruments of OpenTelemetry's API by name, recorded in a registry while attached."""

import re
from collections.abc import Callable, Sequence
from logging import getLogger
from typing import Any, final

from opentelemetry.util.types import Attributes

from metrics.errors import DuplicateMetricError
from metrics.exporters._encoding.units import CODES, singular
from metrics.instruments import BucketHistogram, Gauge, Instrument
from metrics.instruments._inner import default_bounds, describe
from metrics.integrations._opentelemetry.series import (
    Callback,
    LimitedFamily,
    ObservedFamily,
    RecordedFamily,
    Scope,
    Target,
)

logger = getLogger("metrics.integrations")

BOUNDS = (0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000)
"""OpenTelemetry's default bounds, for units other than seconds and bytes."""

WORDS = {code: unit for unit, code in CODES.items()}
"""Codes of units to the words of this library."""


@final
class InstrumentStream:
    """Instruments of one name, of all meters of a provider.

    Args:
        name: the name.
        kind: the kind of the series.
        unit: the unit, as a word.
        description: one line that says what is measured.
        bounds: the bounds of a histogram; None for the default.
    """

    def __init__(
        self,
        name: str,
        kind: type[Instrument],
        unit: str,
        description: str,
        bounds: Sequence[float] | None,
    ) -> None:
        self.kind = kind
        self.is_observed = False
        self.callbacks: list[tuple[Scope, Callback]] = []
        self._instrument: Instrument | None = None
        self._recorder: RecordedFamily | LimitedFamily | None = None
        self._name = name
        self.unit = unit
        self._description = description
        self._new: Callable[[], Any] = kind
        if kind is BucketHistogram:
            checked = BucketHistogram(default_bounds_of(unit) if bounds is None else bounds)
            edges = checked.snapshot().bounds
            self._new = lambda: BucketHistogram(edges)
        self._is_failing = False

    def refuse_other(self, other: "InstrumentStream") -> None:
        """Raise ValueError for a stream of the same name that is not the same instrument."""
        if (self.kind, self.unit, self.is_observed) != (
            other.kind,
            other.unit,
            other.is_observed,
        ):
            raise ValueError(
                f"the name is that of a {self.kind.__name__} with the unit {self.unit!r} already; "
                "use another name"
            )

    def attach(self, target: Target) -> None:
        """Register the instrument; log it if the registry refuses it, and record nothing then."""
        keys = target.attributes.get(self._name.lower())
        recorder: RecordedFamily | LimitedFamily | None = None
        try:
            if self.is_observed:
                instrument: Instrument = ObservedFamily(
                    self.kind, self.callbacks, self, keys, target
                )
            elif keys is None:
                recorder = RecordedFamily(self.kind, self._new, target)
                instrument = recorder.instrument
            else:
                recorder = LimitedFamily(self.kind, self._new, keys, target)
                instrument = recorder.instrument
            target.registry.register(
                self._name, instrument, description=self._description, unit=self.unit
            )
        except (DuplicateMetricError, TypeError, ValueError) as error:
            logger.error(
                "the instrument %r of OpenTelemetry is not recorded: %s",
                self._name,
                describe(error),
            )
        else:
            if target.registry.enabled:
                self._instrument, self._recorder = instrument, recorder

    def detach(self, target: Target | None) -> None:
        """Unregister the instrument, and record nothing any more."""
        instrument, self._instrument, self._recorder = self._instrument, None, None
        if instrument is not None and target is not None:
            target.registry.unregister(self._name, instrument)

    def record(self, amount: float, attributes: Attributes, scope: Scope) -> None:
        """Record a measurement. Never raises: one that is refused is logged, the first time."""
        recorder = self._recorder
        if recorder is None:
            return
        try:
            recorder.record(amount, attributes, scope)
        except Exception as error:  # noqa: BLE001 - no program fails because it is not measured
            self.report(error)

    def report(self, error: Exception) -> None:
        """Log a failed measurement or callback, unless that was logged."""
        if not self._is_failing:
            self._is_failing = True
            logger.error(
                "a measurement of %r is dropped: %s", self._name, describe(error), exc_info=error
            )

    def succeed(self) -> None:
        """Log the next failure: all callbacks have returned."""
        self._is_failing = False


def unit_of(code: str, kind: type[Instrument]) -> str:
    """Return the word for the code of a unit, such as `seconds`; an empty str for none.

    Source: "OpenTelemetry to Prometheus", compatibility specification, metadata transformation.
    """
    plain = re.sub(r"\{[^}]*\}", "", code).strip()
    if plain == "1":
        return "ratio" if kind is Gauge else ""
    unit, per, divisor = plain.partition("/")
    words = [WORDS.get(unit, unit)] if unit and unit != "1" else []
    if per and divisor:
        words += ["per", singular(WORDS.get(divisor, divisor))]
    return "_".join(words)


def default_bounds_of(unit: str) -> Sequence[float]:
    """Return the default bounds of a histogram."""
    return default_bounds(unit) if unit in {"seconds", "bytes"} else BOUNDS
