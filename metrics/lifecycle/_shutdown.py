"""One stop of several resources: their order, the time of each, and the failures."""

import sys
import threading
import traceback
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from math import ceil, inf
from pathlib import Path
from types import FrameType
from typing import final

from metrics.clock import SYSTEM_CLOCK
from metrics.errors import ShutdownError, StopTimeoutError
from metrics.lifecycle._hooks import Scope
from metrics.lifecycle._record import ResourceRecord, add_note, name_and_hook
from metrics.lifecycle._threads import Delivery
from metrics.lifecycle._transition import State, Transition

# A resource that hangs leaves this share of the time, and no more than these seconds, to others.
RESERVED = 0.2
RESERVED_SECONDS = 1.0
# Minimum of every resource, even if others have used the time up: most take a fraction of it.
LEAST_SECONDS = 0.02
# Time for all that remain when the time is up; they stop concurrently then.
EXTRA_SECONDS = 0.5
# If each uses its minimum, they need only this fraction, 1 / SLACK, of the extra time.
SLACK = 4
# `remaining()` returns less than the time of a hook, by this share or these seconds, so that the
# hook can raise an error of its own that says more.
MARGIN = 0.1
MARGIN_SECONDS = 0.05

HERE = str(Path(__file__).parent)


@final
class Slot:
    """Time in which one resource is stopped.

    Args:
        record: the resource.
        ends: end of its time, on `SYSTEM_CLOCK`.
    """

    __slots__ = ("abandoned", "began", "ends", "record", "scope", "settled", "thread")

    def __init__(self, record: ResourceRecord, began: float, ends: float, scope: Scope) -> None:
        self.record = record
        self.began = began
        self.ends = ends
        # Circumstances in which its hook is exited.
        self.scope = scope
        # Whether its outcome is known: it stopped, failed or was abandoned.
        self.settled = False
        self.abandoned = False
        # The thread that exits its hook.
        self.thread = threading.current_thread()

    @property
    def left(self) -> float:
        """Seconds until its end, never below 0."""
        return min(max(self.ends - SYSTEM_CLOCK.monotonic(), 0.0), threading.TIMEOUT_MAX)


@final
class Shutdown:
    """Resources that are being stopped, one after another, and concurrently when the time is up.

    A thread that works on it may hang in a hook. The watching thread then abandons the resource and
    lets another thread take the next one; the first, should it come back, takes no more.

    Args:
        container: name of the container, for messages.
        records: the resources, in the order of their stop.
        ends: end of the time, on `SYSTEM_CLOCK`.
        delivery: delivers the events.
        error: the exception that ends the program, for context managers.
        transitions: the transitions that the hooks run in.
        waiting: identifiers of the threads that wait for the end of the stop.
    """

    def __init__(
        self,
        container: str,
        records: Iterable[ResourceRecord],
        ends: float,
        delivery: Delivery,
        error: BaseException | None = None,
        transitions: tuple[Transition, ...] = (),
        waiting: Collection[int] = (),
    ) -> None:
        self.container = container
        self.pending = deque(records)
        self.count = len(self.pending)
        self.ends = ends
        self.failures: list[tuple[str, BaseException]] = []
        # Exceptions that interrupted the waiting thread: KeyboardInterrupt, CancelledError.
        self.interrupts: list[BaseException] = []
        # A signal or sys.exit() is the normal end of a service.
        self.error = error if isinstance(error, Exception) else None
        self._delivery = delivery
        self._transitions = transitions
        self._waiting = waiting
        # Guards the slots. Reentrant: a signal handler may interrupt its holder.
        self._lock = threading.RLock()
        self.open: list[Slot] = []
        self._announced: set[ResourceRecord] = set()
        self._began = SYSTEM_CLOCK.monotonic()
        self.late = ends <= self._began

    @property
    def workers(self) -> int:
        """Number of hooks to run at a time, so that each gets its minimum in the extra time."""
        return max(ceil(SLACK * len(self.pending) * LEAST_SECONDS / EXTRA_SECONDS), 1)

    def slots(self) -> Iterator[Slot]:
        """Yield one resource after another, until none is left or the time is up."""
        while (slot := self.take(late=False)) is not None:
            yield slot

    def late_slots(self) -> Iterator[Slot]:
        """Yield the resources that are left when the time is up, as `slots`."""
        while (slot := self.take(late=True)) is not None:
            yield slot

    def take(self, *, late: bool) -> Slot | None:
        """Return the next resource and its time; None if there is none, or no time for it."""
        with self._lock:
            began = SYSTEM_CLOCK.monotonic()
            left = self.ends - began
            if left <= 0.0 and not late and self.pending:
                self.late = True
            if not self.pending or (self.late and not late):
                return None
            record = self.pending[0]
            reserved = min(RESERVED * left, RESERVED_SECONDS) if len(self.pending) > 1 else 0.0
            seconds = max(left - reserved, LEAST_SECONDS)
            margin = min(MARGIN * seconds, MARGIN_SECONDS)
            scope = Scope(self._transitions, began + seconds - margin, self._waiting)
            slot = Slot(record, began, began + seconds, scope)
            self.open.append(slot)
            # After it is among the open ones: an interruption in between loses nothing.
            self.pending.popleft()
        if record not in self._announced:
            # Before the event: an interruption in it must not repeat it.
            self._announced.add(record)
            self._delivery.emit(record, State.RUNNING)
        return slot

    def done(self, slot: Slot, error: BaseException | None) -> bool:
        """Note that a resource has stopped, or why not; False if it was abandoned meanwhile."""
        with self._lock:
            if slot.settled:
                return False
            slot.settled = True
            self.open.remove(slot)
        record = slot.record
        if error is None:
            record.stopped()
        else:
            add_note(error, f"while stopping {name_and_hook(record)} of {self.container}")
            record.failed()
            self.failures.append((record.name, error))
        seconds = SYSTEM_CLOCK.monotonic() - slot.began
        self._delivery.emit(record, State.STOPPING, seconds, error)
        return True

    def put_back(self, slot: Slot) -> None:
        """Stop a resource later, because its hook was interrupted before it was exited."""
        with self._lock:
            if not slot.settled:
                slot.settled = True
                self.open.remove(slot)
                if slot.record not in list(self.pending)[:1]:
                    self.pending.appendleft(slot.record)

    def abandon(self, slot: Slot, frames: Iterable[FrameType]) -> bool:
        """Abandon a resource whose time is over; False if it has stopped meanwhile.

        Args:
            slot: the resource.
            frames: where it hangs, outermost first.
        """
        seconds = SYSTEM_CLOCK.monotonic() - slot.began
        stack = stack_of(frames)
        where = f"it hangs at\n{stack}" if stack else "its thread has not begun to run it"
        slot.abandoned = self.done(
            slot,
            StopTimeoutError(
                f"{slot.record.name!r} did not stop in {seconds:.2g} s and was abandoned; {where}"
            ),
        )
        return slot.abandoned

    def abandon_pending(self) -> None:
        """Fail the resources for whose hooks there was no time at all."""
        while (slot := self.take(late=True)) is not None:
            self.done(
                slot,
                StopTimeoutError(
                    f"{slot.record.name!r} was not stopped: others have used the time up; stop "
                    "again"
                ),
            )

    def break_off(self) -> list[ResourceRecord]:
        """Let no thread take another resource; return the resources that have not stopped."""
        with self._lock:
            left = [*(slot.record for slot in self.open), *self.pending]
            for slot in self.open:
                slot.settled = slot.abandoned = True
            self.open.clear()
            self.pending.clear()
        return left

    def conclude(self) -> None:
        """Raise the failures, now that everything else is stopped.

        Raises:
            ShutdownError: resources failed with an `Exception`.
            BaseException: a resource failed with another exception, such as KeyboardInterrupt.
        """
        failed = [(name, error) for name, error in self.failures if isinstance(error, Exception)]
        group = None
        if failed:
            named = ", ".join(repr(name) for name, _ in failed)
            group = ShutdownError(
                f"{len(failed)} of {self.count} resources of {self.container} failed to stop: "
                f"{named}",
                [error for _, error in failed],
            )
        severe = [error for _, error in self.failures if not isinstance(error, Exception)]
        severe += self.interrupts
        for other in severe[1:]:
            add_note(severe[0], f"and so did, while others stopped: {other!r}")
        if severe and group is not None:
            raise severe[0] from group
        if severe:
            raise severe[0]
        if group is not None:
            raise group


def ends_in(seconds: float | None) -> float:
    """Return the end of a number of seconds, on `SYSTEM_CLOCK`; None is no limit."""
    return inf if seconds is None else SYSTEM_CLOCK.monotonic() + seconds


def seconds_to(ends: float) -> float | None:
    """Return the seconds until a time on `SYSTEM_CLOCK`; None without a limit."""
    return None if ends == inf else max(ends - SYSTEM_CLOCK.monotonic(), 0.0)


def stack_of(frames: Iterable[FrameType]) -> str:
    """Return the stack of a hook as a traceback shows it, without the frames of this package."""
    hook: list[FrameType] = []
    for frame in frames:
        hook = [] if frame.f_code.co_filename.startswith(HERE) else [*hook, frame]
    lines = [traceback.extract_stack(frame, limit=1) for frame in hook]
    return "".join("".join(line.format()) for line in lines)


def frames_of(thread: threading.Thread) -> list[FrameType]:
    """Return the frames of a thread, outermost first."""
    frames = []
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]
