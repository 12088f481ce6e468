"""Cumulative instruments: totals with the time since which they count."""

from metrics.clock import SYSTEM_CLOCK, Clock
from metrics.instruments._exemplars import (
    EXPLICIT,
    ExemplarLabels,
    ExemplarRecorder,
    Exemplars,
    ExemplarSource,
)
from metrics.instruments._shared import Shared
from metrics.instruments._snapshot import Exemplar


class Cumulative(Shared):
    """Base of instruments whose total only grows: it knows the time of its creation.

    A rate is computed from a total and its beginning, which OpenMetrics writes as `_created` and
    OTLP as the start time. A total alone does not show a new beginning: a counter that is cleared
    and then counts further than before only seems to have grown.

    The family that creates a child, or the registry in which an instrument is registered, calls
    `_begin`.
    """

    __slots__ = ("_created",)

    def __init__(self) -> None:
        self._created = 0.0

    @property
    def created(self) -> float:
        """Time of creation or of the last `clear`, in seconds since the Unix epoch.

        0 for an instrument that is neither registered nor a child of a family. In a forked process,
        the time of the fork.
        """
        return self._created

    def _begin(self, now: float, clock: Clock) -> None:
        """Set the time of creation to `now`, read from the owner's clock."""
        self._created = now

    def _attach(self, source: ExemplarSource) -> None:
        """Take exemplars of further updates from a source; the default takes none."""

    def _detach(self, source: ExemplarSource) -> None:
        """Take exemplars from a source no longer."""


class Traceable(Cumulative):
    """Base of cumulative instruments whose updates take exemplars.

    Most have neither exemplars nor a clock other than the system's: `_exemplars` is None then, and
    all that an update pays is the comparison.
    """

    __slots__ = ("_exemplars",)

    def __init__(self) -> None:
        self._created = 0.0
        self._exemplars: ExemplarRecorder | None = None

    def _begin(self, now: float, clock: Clock) -> None:
        self._created = now
        if self._exemplars is not None or clock is not SYSTEM_CLOCK:
            self._recorder().clock = clock

    def _attach(self, source: ExemplarSource) -> None:
        self._recorder().source = source

    def _detach(self, source: ExemplarSource) -> None:
        recorder = self._exemplars
        # Another registry may have attached its own source since.
        if recorder is not None and recorder.source is source:
            recorder.source = EXPLICIT

    def _recorder(self) -> ExemplarRecorder:
        """Return the recorder of the instrument, created at the first need."""
        recorder = self._exemplars
        if recorder is None:
            recorder = self._exemplars = ExemplarRecorder()
        return recorder

    def _create_exemplar(
        self,
        value: int | float,  # noqa: PYI041 - a float holds no large int
        labels: ExemplarLabels | None,
    ) -> Exemplar | None:
        """Return the exemplar of an update, before the update counts.

        Raises:
            TypeError: `labels` is not a mapping of str to str.
            ValueError: the name of a label is malformed.
        """
        return self._recorder().create(value, labels)

    def _latest_exemplars(self, size: int = 1) -> Exemplars:
        """Return the exemplar of each of `size` numbers; an empty tuple if there is none.

        Read them before the totals: an update counts before its exemplar is kept.
        """
        recorder = self._exemplars
        return () if recorder is None else recorder.latest(size)

    def _drop_exemplars(self) -> None:
        """Drop the exemplars of updates that no longer count."""
        recorder = self._exemplars
        if recorder is not None:
            recorder.clear()

    def _time(self) -> float:
        """Return the time of the owner's clock, in seconds since the Unix epoch."""
        recorder = self._exemplars
        return (SYSTEM_CLOCK if recorder is None else recorder.clock).time()
