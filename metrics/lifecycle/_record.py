"""Resources of containers: their states, which only their own methods change, and their events."""

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any, NamedTuple, Protocol, final

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
        "finalizer",
        "hook",
        "in_loop",
        "inherited",
        "keeper",
        "name",
        "sequence",
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
    """Log and subscribers of a container.

    Args:
        container: returns the container's name, for the log.
    """

    def __init__(self, container: Callable[[], str]) -> None:
        self._container = container
        self._subscribers: list[Subscriber] = []

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
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - the program's lifecycle does not depend on it
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


def name_and_hook(record: ResourceRecord) -> str:
    """Return the name of a resource and its hook, for messages."""
    return f"{record.name!r} ({hook_name(record.hook)})" if record.hook else repr(record.name)


def log_safely(write: Callable[..., object], *args: Any) -> None:
    """Write to the log; a filter or handler that raises is reported on standard error alone."""
    try:
        write(*args)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a log that fails must not stop a stop
        # Standard error may be closed, too: then there is no place left to report to.
        with suppress(Exception):
            sys.__stderr__.write(  # type: ignore[union-attr] # None has no `write`, either
                f"metrics.lifecycle could not write to the log: {error!r}\n"
            )


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an exception, unless its class refuses notes."""
    with suppress(Exception):
        error.add_note(note)
