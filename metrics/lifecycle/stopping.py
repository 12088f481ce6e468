"""One stop of several parts: whose turn it is, how long each may take, and what failed."""

import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any, final

from metrics.deadline import deadline
from metrics.errors import ShutdownError, StopTimeoutError
from metrics.lifecycle.part import Event, Leave, Part, State

# A part that hangs leaves this share of the time, and no more seconds than these, to the others.
RESERVED = 0.2
RESERVED_SECONDS = 1.0
# Every part gets so much, even if others have used the time up: most take a fraction of it.
LEAST_SECONDS = 0.05

HERE = str(Path(__file__).parent)


@final
class Stop:
    """The parts that are being stopped, one after another.

    The thread that works on it may get stuck in a part. Whoever watches it then gives the part up
    and has another thread take the next one; the first, should it come back, takes none.
    """

    def __init__(
        self,
        parts: Iterable[Part],
        ends: float,
        tell: Callable[[Event], None],
        error: BaseException | None = None,
    ) -> None:
        """Args: the parts in the order of their stop; when the time is up; whom to tell; why."""
        self.pending = deque(parts)
        self.ends = ends
        self.failures: list[tuple[str, BaseException]] = []
        # What the one who waits was interrupted with, KeyboardInterrupt for example.
        self.interrupts: list[BaseException] = []
        self._count = len(self.pending)
        self._tell = tell
        self._exit: tuple[Any, Any, Any] = (
            (None, None, None) if error is None else (type(error), error, error.__traceback__)
        )
        self._waiting = threading.get_ident()
        # Guards whose turn it is.
        self._lock = threading.Lock()
        self._current: Part | None = None
        self._began = 0.0
        # Before the first turn it is the least that the first turn may get.
        self._turn_ends = ends - min(RESERVED * (ends - monotonic()), RESERVED_SECONDS)

    def turns(self) -> Iterator[Part]:
        """Yield one part after another, for the caller to stop and to say `done`."""
        while True:
            with self._lock:
                if not self.pending:
                    return
                part = self._current = self.pending.popleft()
                self._began = monotonic()
                left = self.ends - self._began
                reserved = min(RESERVED * left, RESERVED_SECONDS) if self.pending else 0.0
                self._turn_ends = self._began + max(left - reserved, LEAST_SECONDS)
            part.state = State.STOPPING
            self._tell(Event(part.name, State.STOPPING, 0.0, None))
            yield part

    def turn(self) -> AbstractContextManager[None]:
        """Return the context in which a part is stopped: it can ask what time remains."""
        return deadline(self._turn_ends, self._waiting)

    def leave(self, part: Part) -> object:
        """Call what stops a part; an async part returns something to await."""
        return part.leave(*self._exit) if part.leave is not None else None

    @property
    def turn_left(self) -> float:
        """Seconds until the part whose turn it is has to be down."""
        return min(max(self._turn_ends - monotonic(), 0.0), threading.TIMEOUT_MAX)

    def done(self, part: Part, error: BaseException | None) -> bool:
        """Say that a part is down, or why it is not; False if it has been given up meanwhile."""
        with self._lock:
            if self._current is not part:
                return False
            self._current = None
        if error is None:
            part.reset(State.STOPPED)
        else:
            error.add_note(f"while stopping {part.name!r}")
            self.failures.append((part.name, error))
            part.state = State.FAILED
        self._tell(Event(part.name, part.state, monotonic() - self._began, error))
        return True

    def give_up(self, frames: Iterable[FrameType], instead: Leave) -> bool:
        """Give up the part whose turn it is, if its time is over; return whether it was.

        Args:
            frames: where it hangs, outermost first.
            instead: stops the part when it is stopped again, by waiting for what hangs.
        """
        part = self._current
        if part is None or self.turn_left > 0:
            return False
        seconds = monotonic() - self._began
        error = StopTimeoutError(
            f"{part.name!r} did not stop in {seconds:.2g} s and was given up; it hangs at\n"
            f"{stack_of(frames)}"
        )
        if not self.done(part, error):
            return False
        part.leave = instead
        return True

    def conclude(self) -> None:
        """Raise what there is to raise, now that everything else is down.

        Raises:
            ShutdownError: parts failed with an `Exception`.
            BaseException: a part failed with something else, such as KeyboardInterrupt.
        """
        failed = [(name, error) for name, error in self.failures if isinstance(error, Exception)]
        group = None
        if failed:
            named = ", ".join(repr(name) for name, _ in failed)
            group = ShutdownError(
                f"{len(failed)} of {self._count} parts failed to stop: {named}",
                [error for _, error in failed],
            )
        severe = [error for _, error in self.failures if not isinstance(error, Exception)]
        for error in [*severe, *self.interrupts]:
            raise error from group
        if group is not None:
            raise group


def stack_of(frames: Iterable[FrameType]) -> str:
    """Return where a hook is, as a traceback shows it, from where this package calls it."""
    hook: list[FrameType] = []
    for frame in frames:
        hook = [] if frame.f_code.co_filename.startswith(HERE) else [*hook, frame]
    lines = [traceback.extract_stack(frame, limit=1) for frame in hook]
    return "".join("".join(line.format()) for line in lines)


def frames_of(thread: threading.Thread) -> list[FrameType]:
    """Return where a thread is, outermost frame first."""
    frames = []
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames[::-1]
