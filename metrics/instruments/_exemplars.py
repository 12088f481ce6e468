"""Exemplars: labels of single updates, such as the trace in which a counter was incremented.

They follow OpenMetrics 1.0, section "Exemplars": a total keeps the latest, a bucket the latest of
its values, and their labels are limited to 128 characters.
"""

import threading
from collections.abc import Callable, Mapping
from typing import TypeAlias, final

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._check_function import describe, name_of
from metrics.instruments._labels import checked_labelnames, text_of
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Exemplar

ExemplarLabels: TypeAlias = Mapping[str, str]
"""Labels of an exemplar, names to values; an empty mapping stands for no exemplar."""

ExemplarFunction: TypeAlias = Callable[[], ExemplarLabels | None]
"""Function that returns the labels of the update that is being made; None for no exemplar."""

LIMIT = 128
"""Most characters of the names and values of an exemplar together (OpenMetrics 1.0)."""

Exemplars: TypeAlias = tuple[Exemplar | None, ...]
"""Exemplar of each number of an instrument, or None; an empty tuple if there is none at all."""

inside = threading.local()
"""Its `function` is True while its thread is in the function of a registry."""


@final
class ExemplarSource(Shared):
    """Exemplar labels of the updates of a registry's instruments.

    Safe to use from any thread. Failures never reach the program: the first is logged.

    Args:
        function: called in the thread and the context of each update; None for explicit labels
            only.

    Raises:
        TypeError: `function` cannot be called.
    """

    __slots__ = ("_warned", "function")

    def __init__(self, function: ExemplarFunction | None) -> None:
        if function is not None and not callable(function):
            raise TypeError(
                f"invalid exemplars {function!r}: pass a function that returns labels or None"
            )
        self.function = function
        self._warned = False

    def present(self) -> tuple[tuple[str, str], ...]:
        """Return the labels of the present update, as pairs; none if there is no exemplar."""
        function = self.function
        # An update within the function would call it without end.
        if function is None or getattr(inside, "function", False):
            return ()
        inside.function = True
        try:
            labels = function()
            return () if labels is None else self.limited(checked_exemplar(labels))
        except Exception as error:  # noqa: BLE001 - an update never raises for its exemplar
            self._warn(f"{name_of(function)} failed: {type(error).__name__}: {describe(error)}")
            return ()
        finally:
            inside.function = False

    def limited(self, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        """Return labels, or none if they exceed the limit, which is logged once."""
        length = 0
        for name, value in pairs:
            length += len(name) + len(value)
        if length <= LIMIT:
            return pairs
        self._warn(
            f"{length} characters in labels {[name for name, _ in pairs]}, and OpenMetrics allows "
            f"{LIMIT}; pass fewer or shorter labels"
        )
        return ()

    def _warn(self, reason: str) -> None:
        """Log a reason why an exemplar is dropped, unless one was logged."""
        if self._warned:
            return
        self._warned = True
        # Loaded when needed: logging takes longer to import than this package.
        from logging import getLogger  # noqa: PLC0415

        getLogger("metrics.instruments").warning(
            "exemplar dropped, later ones are dropped silently: %s", reason
        )


EXPLICIT = ExemplarSource(None)
"""Source of the instruments of no registry that has a function: labels come with the update."""


@final
class ExemplarRecorder(Shared):
    """Latest exemplars of one instrument, and the source and the clock of the next.

    Safe to use from any thread, without a lock: an exemplar is replaced as a whole.
    """

    __slots__ = ("_latest", "clock", "source")

    def __init__(self) -> None:
        self._latest: dict[int, Exemplar] = {}
        self.clock: Clock = SYSTEM_CLOCK
        self.source = EXPLICIT

    def create(self, value: int | float, labels: ExemplarLabels | None) -> Exemplar | None:  # noqa: PYI041 - a float holds no large int
        """Return the exemplar of an update, with its own labels or the labels of the source.

        Raises:
            TypeError: `labels` is not a mapping of str to str.
            ValueError: the name of a label is malformed.
        """
        source = self.source
        pairs = source.present() if labels is None else source.limited(checked_exemplar(labels))
        return Exemplar(pairs, value, self.clock.time()) if pairs else None

    def keep(self, exemplar: Exemplar, index: int = 0) -> None:
        """Replace the exemplar of a bucket, or of the total at 0."""
        self._latest[index] = exemplar

    def latest(self, size: int = 1) -> Exemplars:
        """Return the exemplar of each of `size` numbers; an empty tuple if there is none."""
        latest = self._latest
        return tuple([latest.get(index) for index in range(size)]) if latest else ()

    def clear(self) -> None:
        """Drop all exemplars."""
        self._latest = {}


def with_exemplars(values: tuple[object, ...], exemplars: Exemplars) -> tuple[object, ...]:
    """Return the arguments of a snapshot's constructor: its values, and exemplars if it has any."""
    return (*values, exemplars) if exemplars else values


def checked_exemplar(labels: object) -> tuple[tuple[str, str], ...]:
    """Return the labels of an exemplar as pairs.

    Raises:
        TypeError: `labels` is not a mapping of str to str.
        ValueError: a name is malformed or reserved.
    """
    if type(labels) is not dict and not isinstance(labels, Mapping):
        raise TypeError(
            f"invalid exemplar {labels!r} ({type(labels).__name__}): pass a mapping of label names "
            "to values"
        )
    checked_labelnames(labels, dots=False)
    pairs: list[tuple[str, str]] = []
    for name, value in labels.items():
        if not isinstance(value, str):
            raise TypeError(f"invalid exemplar label {name}={value!r}: use a str as value")
        pairs.append((text_of(name), text_of(value)))
    return tuple(pairs)
