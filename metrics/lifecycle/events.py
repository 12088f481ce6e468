"""Who is told that parts have changed their states: the log, and whoever subscribed."""

import logging
from collections.abc import Callable

from metrics.lifecycle.part import Event, State

logger = logging.getLogger("metrics.lifecycle")

Subscriber = Callable[[Event], object]


class Events:
    """Passes events on."""

    def __init__(self) -> None:
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` with every event; return what ends that.

        Raises:
            TypeError: `subscriber` cannot be called.
        """
        if not callable(subscriber):
            raise TypeError(f"subscribe() takes a function of one event, got {subscriber!r}")
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    def tell(self, event: Event) -> None:
        """Log an event and pass it on; what a subscriber raises is logged."""
        log(event)
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(event)
            except Exception:
                logger.exception("%r failed to take %r", subscriber, event)


def log(event: Event) -> None:
    """Write what has happened to the log."""
    milliseconds = event.seconds * 1e3
    if event.phase is State.RUNNING:
        logger.info("started %s (%.1f ms)", event.part, milliseconds)
    elif event.phase is State.STOPPED:
        logger.info("stopped %s (%.1f ms)", event.part, milliseconds)
    elif event.phase is State.FAILED:
        verb = "start" if event.before is State.STARTING else "stop"
        kind, error = type(event.error).__name__, event.error
        logger.error(
            "failed to %s %s (%.1f ms): %s: %s", verb, event.part, milliseconds, kind, error
        )
    else:
        logger.debug("%s %s", event.phase.lower(), event.part)
