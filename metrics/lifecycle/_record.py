"""Resources of containers: their states, which only their own methods change, and their events."""

import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple, Protocol, final

from metrics.clock import SYSTEM_CLOCK
from metrics.lifecycle._hooks import hook_name
from metrics.lifecycle._transition import State, Transition

logger = logging.getLogger("metrics.lifecycle")

_sequence = count(1)


class Event(NamedTuple):
    """Change of a resource's state."""

    resource: str
    """Dotted name of the resource, as it was declared."""
    state: State
    """State after the change."""
    seconds: float
    """Duration of the start or stop; 0 for STARTING and STOPPING."""
    error: BaseException | None
    """Reason of FAILED."""
    previous: State
    """State before the change: NEW, STARTING, RUNNING or STOPPING."""


Subscriber = Callable[[Event], object]

JOURNAL_LENGTH = 500
"""Events that a container remembers."""

STACK_LENGTH = 20_000
"""Most characters of a remembered stack, whose end is kept: it names the exception."""


class Failure(NamedTuple):
    """Text of an exception, which keeps no frame and so no local variable alive."""

    type: str
    message: str
    stack: str


class JournalEntry(NamedTuple):
    """Event as the journal of a container remembers it."""

    number: int
    """Position in the journal, which grows by one with every event."""
    time: float
    """Seconds since the Unix epoch."""
    resource: str
    state: State
    previous: State
    seconds: float
    failure: Failure | None


class Finalizer(Protocol):
    """Entered hook of a resource: it knows by itself whether it still has to be exited."""

    in_loop: bool
    """Whether it is exited in an event loop."""

    @property
    def entered(self) -> bool:
        """Whether the hook was entered and not exited since."""

    def forked(self) -> object:
        """Stay entered in a forked process, without the parent's tasks; return what was left."""


@final
class ResourceRecord:
    """State of one resource, on its way from NEW to STOPPED, and its value while it runs.

    A record does not know its provider: a container that is collected while it runs is stopped by
    its records, which must not keep it alive.

    Args:
        name: the dotted name that the resource was declared with.
    """

    __slots__ = (
        "_state",
        "asynchronous",
        "failure",
        "finalizer",
        "hook",
        "in_loop",
        "inherited",
        "keeper",
        "name",
        "sequence",
        "start_seconds",
        "started_at",
        "transition",
        "value",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        # The hook that it was started with; messages name it.
        self.hook: object = None
        self._state = State.NEW
        self.value: object = None
        # None when there is nothing to stop: it does not run, did not fail to stop, and its start
        # was not interrupted.
        self.finalizer: Finalizer | None = None
        # Whether a request gives an awaitable: its hook, or one of its dependencies, is async.
        self.asynchronous = False
        # Whether it has to be stopped in an event loop.
        self.in_loop = False
        # Start or stop of this resource alone, while it is under way.
        self.transition: Transition | None = None
        # The `Lifecycle` that starts and stops it.
        self.keeper: object = None
        # Grows with every start: resources stop in the reverse order.
        self.sequence: tuple[int, int] = (0, 0)
        # Whether it survived a fork, and was not requested in this process since.
        self.inherited = False
        # Beginning of the last start, in seconds since the Unix epoch, and its duration.
        self.started_at: float | None = None
        self.start_seconds: float | None = None
        # Reason of the last FAILED, until the next start.
        self.failure: Failure | None = None

    @property
    def state(self) -> State:
        """Its state; a start or stop that was interrupted in the middle is over."""
        transition = self.transition
        if transition is not None and transition.over and self.transition is transition:
            self.settle()
        return self._state

    @property
    def running(self) -> bool:
        """Whether it can be requested without being started."""
        return self._state is State.RUNNING

    def starting(self, transition: Transition) -> None:
        """Enter STARTING."""
        self.transition = transition
        self.sequence = (next(_sequence), 0)
        self._state = State.STARTING

    def holds(self, finalizer: Finalizer) -> None:
        """Take a hook over before it is entered, so that no interruption can lose it."""
        self.finalizer = finalizer

    def abandoned(self) -> None:
        """Leave a hook that hangs at its start to the thread that runs it."""
        self.finalizer = None

    def started(self, value: object) -> None:
        """Enter RUNNING with the value that the hook gave."""
        self.value = value
        self.sequence = (next(_sequence), 0)
        self._state = State.RUNNING
        self.transition = None

    def found_running(self, finalizer: Finalizer, sequence: tuple[int, int]) -> None:
        """Enter RUNNING, because the provider was started without its container."""
        self.finalizer = finalizer
        self.sequence = sequence
        self._state = State.RUNNING

    def failed(self) -> None:
        """Enter FAILED: the start or the stop raised. A hook that is still entered is kept."""
        entered = self._state is not State.STARTING or (
            self.finalizer is not None and self.finalizer.entered
        )
        self._state = State.FAILED
        self.transition = None
        if not entered:
            self.value = self.finalizer = None

    def stopping(self, transition: Transition | None = None) -> None:
        """Enter STOPPING: from now on requests wait, or are refused."""
        self.transition = transition
        self._state = State.STOPPING

    def stopped(self) -> None:
        """Enter STOPPED."""
        self.reset(State.STOPPED)

    def closed(self) -> None:
        """Refuse requests, because the container stops before it was started."""
        if self.state is State.NEW:
            self._state = State.STOPPED

    def revive(self) -> bool:
        """Enter NEW if STOPPED or FAILED, with nothing left to stop; return whether it was."""
        down = self.state in {State.STOPPED, State.FAILED} and self.finalizer is None
        if down:
            self._state = State.NEW
        return down

    def reset(self, state: State = State.NEW) -> None:
        """Drop value and hook."""
        self._state = state
        self.value = self.finalizer = self.transition = None
        self.inherited = False

    def note(self, entry: JournalEntry) -> None:
        """Remember the time and the outcome of the last start, and the last failure."""
        if entry.state is State.STARTING:
            self.started_at, self.start_seconds, self.failure = entry.time, None, None
        elif entry.previous is State.STARTING:
            self.started_at = entry.time - entry.seconds
            self.start_seconds = entry.seconds
        if entry.failure is not None:
            self.failure = entry.failure

    def disown_past(self) -> None:
        """Drop the times and the failure of another process, in a forked one."""
        self.started_at = self.start_seconds = self.failure = None

    def settle(self) -> None:
        """Conclude a start or a stop that was interrupted in the code of this package."""
        self.transition = None
        if self.finalizer is not None and self.finalizer.entered:
            self._state = State.FAILED
        elif self._state is State.STOPPING:
            self.stopped()
        elif self._state is State.STARTING:
            self.reset(State.FAILED)

    def __repr__(self) -> str:
        return f"<ResourceRecord {self.name!r} {self._state}>"


@final
class Events:
    """Log, subscribers and journal of a container.

    Args:
        container: returns the container's name, for the log.
    """

    def __init__(self, container: Callable[[], str]) -> None:
        self._container = container
        self._subscribers: list[Subscriber] = []
        self._numbers = count(1)
        self._journal: deque[JournalEntry] = deque(maxlen=JOURNAL_LENGTH)

    def journal(self, after: int = 0) -> list[JournalEntry]:
        """Return the last 500 events, oldest first; only later ones than a number if given."""
        # A copy is one step, and other threads may append meanwhile.
        return [entry for entry in self._journal.copy() if entry.number > after]

    def record(
        self,
        record: ResourceRecord,
        state: State,
        previous: State,
        seconds: float,
        error: BaseException | None,
    ) -> None:
        """Add an event to the journal. Takes no lock, and calls nothing of the program."""
        failure = None if error is None else failure_of(error)
        now = SYSTEM_CLOCK.time()
        entry = JournalEntry(
            next(self._numbers), now, record.name, state, previous, seconds, failure
        )
        self._journal.append(entry)
        record.note(entry)

    def clear_journal(self) -> None:
        """Drop the events of the parent process, in a forked one."""
        self._journal.clear()

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with every event; return a function that ends the subscription.

        Raises:
            TypeError: `subscriber` is not callable.
        """
        if not callable(subscriber):
            raise TypeError(f"subscribe() takes a function of one event, got {subscriber!r}")
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    def wants(self, state: State) -> bool:
        """Return whether an event of a state has a recipient."""
        return bool(self._subscribers) or logger.isEnabledFor(LEVELS[state])

    def emit(self, event: Event, record: ResourceRecord) -> None:
        """Log an event and notify the subscribers; exceptions that they raise are logged."""
        if logger.isEnabledFor(LEVELS[event.state]):
            log_safely(log, event, f"{name_and_hook(record)} of {self._container()}")
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(event)
            except BaseException as error:
                if is_interruption(error):
                    raise
                log_safely(logger.exception, "%r failed to take %r", subscriber, event)


LEVELS = {
    State.NEW: logging.DEBUG,
    State.STARTING: logging.DEBUG,
    State.STOPPING: logging.DEBUG,
    State.RUNNING: logging.INFO,
    State.STOPPED: logging.INFO,
    State.FAILED: logging.ERROR,
}


def log(event: Event, resource: str) -> None:
    """Write an event to the log; a failed start is raised, and not an error of the log as well."""
    milliseconds = event.seconds * 1e3
    if event.state is State.RUNNING:
        logger.info("started %s (%.1f ms)", resource, milliseconds)
    elif event.state is State.STOPPED:
        logger.info("stopped %s (%.1f ms)", resource, milliseconds)
    elif event.state is State.FAILED:
        start = event.previous is State.STARTING
        logger.log(
            logging.DEBUG if start else logging.ERROR,
            "failed to %s %s (%.1f ms): %s: %s",
            "start" if start else "stop",
            resource,
            milliseconds,
            type(event.error).__name__,
            event.error,
        )
    else:
        logger.debug("%s %s", event.state.lower(), resource)


def failure_of(error: BaseException) -> Failure:
    """Return the text of an exception; empty texts if its class refuses to be shown."""
    name = type(error).__qualname__
    try:
        stack = "".join(traceback.format_exception(error))[-STACK_LENGTH:]
        message = str(error)[:STACK_LENGTH]
    except Exception:  # noqa: BLE001 - the class is the program's
        return Failure(name, "", "")
    return Failure(name, message, stack)


def name_and_hook(record: ResourceRecord) -> str:
    """Return the name of a resource and its hook, for messages."""
    return f"{record.name!r} ({hook_name(record.hook)})" if record.hook else repr(record.name)


def log_safely(write: Callable[..., object], *args: Any) -> None:
    """Write to the log; a filter or handler that raises is reported on standard error alone."""
    try:
        write(*args)
    except BaseException as error:
        if is_interruption(error):
            raise
        # Standard error may be closed, too: then there is no place left to report to.
        with suppress(Exception):
            sys.__stderr__.write(  # type: ignore[union-attr] # None has no `write`, either
                f"metrics.lifecycle could not write to the log: {error!r}\n"
            )


def is_interruption(error: BaseException) -> bool:
    """Return whether an exception may be the user's; only the main thread receives that one."""
    here = threading.current_thread()
    return isinstance(error, KeyboardInterrupt) and here is threading.main_thread()


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception, unless its class refuses notes."""
    with suppress(Exception):
        error.add_note(note)
