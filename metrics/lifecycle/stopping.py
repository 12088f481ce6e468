"""One stop of several parts: whose turn it is, how long each may take, and what failed."""

import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from math import inf
from pathlib import Path
from types import FrameType
from typing import Any, final

from metrics.clock import SYSTEM_CLOCK
from metrics.deadline import deadline
from metrics.errors import ShutdownError, StopTimeoutError
from metrics.lifecycle.part import Event, Leave, Part, State

# A part that hangs leaves this share of the time, and no more seconds than these, to the others.
RESERVED = 0.2
RESERVED_SECONDS = 1.0
# Every part gets so much, even if others have used the time up: most take a fraction of it.
LEAST_SECONDS = 0.02
# A hook is told of less than it has, by this share or these seconds, to say itself what hangs.
MARGIN = 0.1
MARGIN_SECONDS = 0.05

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
        waiting: Collection[int] = (),
    ) -> None:
        """Prepare to stop parts.

        Args:
            parts: in the order of their stop.
            ends: when the time is up, on `SYSTEM_CLOCK`.
            tell: takes the events.
            error: what the program ends with, for the hooks to see.
            waiting: the threads that wait for the end of the stop.
        """
        self.pending = deque(parts)
        self.count = len(self.pending)
        self.ends = ends
        self.failures: list[tuple[str, BaseException]] = []
        # What the one who waits was interrupted with, KeyboardInterrupt for example.
        self.interrupts: list[BaseException] = []
        self._tell = tell
        self._exit: tuple[Any, Any, Any] = (
            (None, None, None) if error is None else (type(error), error, error.__traceback__)
        )
        self._waiting = waiting
        # Guards whose turn it is.
        self._lock = threading.Lock()
        self._current: Part | None = None
        # The part whose stop was told last; one that is resumed is not told again.
        self._told: Part | None = None
        self._began = 0.0
        # Before the first turn it is the least that the first turn may get.
        self._turn_ends = ends - min(RESERVED * (ends - SYSTEM_CLOCK.monotonic()), RESERVED_SECONDS)

    def turns(self) -> Iterator[Part]:
        """Yield one part after another, for the caller to stop and to say `done`."""
        while True:
            with self._lock:
                if not self.pending:
                    return
                part = self._current = self.pending.popleft()
                self._began = SYSTEM_CLOCK.monotonic()
                left = self.ends - self._began
                reserved = min(RESERVED * left, RESERVED_SECONDS) if self.pending else 0.0
                self._turn_ends = self._began + max(left - reserved, LEAST_SECONDS)
            part.state = State.STOPPING
            if part is not self._told:
                self._told = part
                self._tell(Event(part.name, State.STOPPING, 0.0, None, State.RUNNING))
            yield part

    def turn(self) -> AbstractContextManager[None]:
        """Return the context in which a part is stopped: it can ask what time remains."""
        margin = min(MARGIN * (self._turn_ends - self._began), MARGIN_SECONDS)
        return deadline(self._turn_ends - margin, self._waiting)

    def leave(self, part: Part) -> object:
        """Call what stops a part; an async part returns something to await."""
        return part.leave(*self._exit) if part.leave is not None else None

    @property
    def current(self) -> Part | None:
        """The part whose turn it is."""
        return self._current

    @property
    def turn_left(self) -> float:
        """Seconds until the part whose turn it is has to be down."""
        return min(max(self._turn_ends - SYSTEM_CLOCK.monotonic(), 0.0), threading.TIMEOUT_MAX)

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
        self._tell(
            Event(
                part.name, part.state, SYSTEM_CLOCK.monotonic() - self._began, error, State.STOPPING
            )
        )
        return True

    def resume(self, interrupt: BaseException) -> None:
        """Take note of what has interrupted who waits for the stop; what is to be done, remains."""
        self.interrupts.append(interrupt)
        with self._lock:
            if self._current is not None and self.ends == inf:
                # There is no other thread that goes on with it.
                self.pending.appendleft(self._current)
                self._current = None

    def give_up(self, frames: Iterable[FrameType], instead: Callable[[Leave], Leave]) -> bool:
        """Give up the part whose turn it is, if its time is over; return whether it was.

        Args:
            frames: where it hangs, outermost first.
            instead: given what stops the part, returns what stops it when it is stopped again.
        """
        part = self._current
        if part is None or self.turn_left > 0:
            return False
        seconds = SYSTEM_CLOCK.monotonic() - self._began
        error = StopTimeoutError(
            f"{part.name!r} did not stop in {seconds:.2g} s and was given up; it hangs at\n"
            f"{stack_of(part.leave.frames() if isinstance(part.leave, Hung) else frames)}"
        )
        leave = part.leave
        if leave is None or not self.done(part, error):
            return False
        part.leave = instead(leave)
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
                f"{len(failed)} of {self.count} parts failed to stop: {named}",
                [error for _, error in failed],
            )
        severe = [error for _, error in self.failures if not isinstance(error, Exception)]
        severe += self.interrupts
        for other in severe[1:]:
            severe[0].add_note(f"and so did, while others stopped: {other!r}")
        if severe and group is not None:
            raise severe[0] from group
        if severe:
            raise severe[0]
        if group is not None:
            raise group


@final
class Hung:
    """Stops a part that was given up: waits for its hook, and raises what that raised, once."""

    def __init__(
        self,
        call: Future[BaseException | None],
        frames: Callable[[], list[FrameType]],
        part: Part,
        leave: Leave,
    ) -> None:
        self._call = call
        self.frames = frames
        self._part = part
        self._leave = leave

    def __call__(self, *_exit: object) -> None:
        """Wait."""
        late = self._call.result()
        if late is not None:
            self._part.leave = self._leave
            raise late


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
