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
        """Call `subscriber` with every event; return what ends that."""
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
    if event.phase is State.FAILED:
        kind, error = type(event.error).__name__, event.error
        logger.error("failed %s (%.1f ms): %s: %s", event.part, milliseconds, kind, error)
    elif event.seconds:
        word = "started" if event.phase is State.RUNNING else "stopped"
        logger.info("%s %s (%.1f ms)", word, event.part, milliseconds)
    else:
        logger.debug("%s %s", event.phase.lower(), event.part)
