"""Feed of a container: its events, its state and its reporters, as differences."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, final

from metrics.errors import LifecycleError
from metrics.integrations._dashboard.containers import (
    Record,
    describe_container,
    describe_event,
    describe_reporters,
    describe_resource,
    view_of,
)
from metrics.integrations._providers import Source

ENDINGS = {
    "STOPPING": "the container is stopping",
    "STOPPED": "the container has stopped",
    "FAILED": "the container has failed",
}
"""States of a container whose values are gone, and the reasons that viewers get."""


class ContainerChanges(NamedTuple):
    """Changes of a container.

    events: contents of the messages about its resources.
    state: its own state, if that has changed and no event says so.
    ending: the reason to end all streams; empty without one.
    """

    events: list[dict[str, Any]]
    state: str
    ending: str


@final
class ContainerFeed:
    """Container of a page, and the part of it that was sent. For one event loop.

    Args:
        source: is a container, knows one, or has none.
        notify: called for each event, in the thread that changes the container.
    """

    def __init__(self, source: Source, notify: Callable[[object], object]) -> None:
        self._view = view = view_of(source)
        self._reporters: list[dict[str, Any]] = []
        # The state, and the number of the last event, that were sent.
        self._state = ""
        self._event = 0
        self._unsubscribe: Callable[[], None] | None = None
        if view is not None:
            self._state = str(view.state)
            self._event = max((event.number for event in view.journal()), default=0)
            self._unsubscribe = view.subscribe(notify)

    @property
    def has_container(self) -> bool:
        """Whether there is a container."""
        return self._view is not None

    def end(self) -> None:
        """Be notified no longer."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def redact(self, text: str) -> str:
        """Return a text without values of the configuration. Safe to call from any thread."""
        return text if self._view is None else self._view.redact(text)

    def describe(self) -> dict[str, Any]:
        """Return all of the container, and the reporters."""
        if self._view is not None:
            # A container that was collected has nothing to show.
            with suppress(LifecycleError):
                return {
                    "container": describe_container(self._view),
                    "reporters": describe_reporters(self._view),
                }
        return {"container": None, "reporters": []}

    def reporter_changes(self) -> dict[str, Any]:
        """Return the reporters, if they have changed."""
        reporters = [] if self._view is None else describe_reporters(self._view)
        if reporters == self._reporters:
            return {}
        self._reporters = reporters
        return {"reporters": reporters}

    def changes(self) -> ContainerChanges:
        """Return the changes since the last ones."""
        if self._view is None:
            return ContainerChanges([], "", "")
        events: Sequence[Record] = ()
        nodes: dict[str, dict[str, Any]] = {}
        with suppress(LifecycleError):
            events = self._view.journal(self._event)
            if events:
                nodes = {each.name: describe_resource(each) for each in self._view.resources()}
        before, self._state = self._state, str(self._view.state)
        messages = [
            {
                "time": event.time,
                "event": describe_event(event),
                "node": nodes.get(event.resource),
                "state": self._state,
            }
            for event in events
        ]
        if events:
            self._event = events[-1].number
        # A container has no event for its own state, which follows that of its last resource.
        unsaid = self._state if self._state != before and not events else ""
        ending = "" if before in ENDINGS else ENDINGS.get(self._state, "")
        return ContainerChanges(messages, unsaid, ending)
