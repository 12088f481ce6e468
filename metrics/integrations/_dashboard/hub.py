"""Hub of a live page: one read of the registry for each beat, shared by all viewers.

Everything here runs in one event loop, but for reads and encodings, which a thread makes, one at a
time. Nothing runs and nothing is kept before the first viewer, and a minute after the last one.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from itertools import count
from logging import getLogger
from secrets import token_hex
from typing import Any, final
from weakref import finalize

from metrics.clock import SYSTEM_CLOCK
from metrics.integrations._dashboard.beats import Beat, beat_of, interval_of
from metrics.integrations._dashboard.exits import is_server_exiting
from metrics.integrations._dashboard.feed import ContainerFeed
from metrics.integrations._dashboard.messages import (
    COMMENT,
    MessageLog,
    event_bytes,
    json_members,
)
from metrics.integrations._dashboard.rows import RegistryReading, read
from metrics.integrations._dashboard.table import ShownTable
from metrics.integrations._dashboard.viewers import Viewer
from metrics.integrations._providers import Source, resolve
from metrics.integrations._serving.single_flight import Flight, SingleFlight
from metrics.registry import Registry
from metrics.registry._inner import store_of
from metrics.reporters._push.process import program_name

logger = getLogger("metrics.integrations")

THREADS = SingleFlight("metrics-dashboard", 8)
"""Reads and encodings of all hubs."""

MOST_VIEWERS = 100

CHECK_SECONDS = 1.0
"""Seconds between two looks at the server and the registry, while there is a viewer."""

COMMENT_SECONDS = 10.0
"""Silence after which a comment shows that the connection is alive."""

STREAM_SECONDS = 30.0
"""Longest stream, so that no server waits long for its end; its client comes back."""

LINGER_SECONDS = 60.0
"""Seconds without a viewer after which the hub ends."""

Members = tuple[str, ...]
"""Members of an object as JSON."""

EMPTY = json_members(ShownTable(1.0).state())
"""State without any series."""

STARTED = SYSTEM_CLOCK.monotonic()

numbers = count()
free_numbers: deque[int] = deque()
"""Numbers of readers that no hub has any more: two hubs must not take values of a resetting timer
from each other, and there are few names of readers, because instruments remember them."""


@final
class Hub:
    """Viewers of one page in one event loop.

    Args:
        source: provides the registry, and is or knows its container.
        title: the title of the page.
        on_end: called with the hub when it ends; a new viewer needs another one.
    """

    def __init__(self, source: Source, title: str, on_end: Callable[["Hub"], object]) -> None:
        self.loop = asyncio.get_running_loop()
        self.boot = token_hex(8)
        self._source = source
        self._title = title
        self._on_end = on_end
        self._log = MessageLog(self.boot)
        self._viewers: dict[Viewer, None] = {}
        # Viewers that have not got the state yet.
        self._arriving: list[Viewer] = []
        self._left_at = self.loop.time()
        self._is_ended = False
        self._registry: Registry | None = None
        self._beat: Beat | None = None
        self._beat_due = 0.0
        self._table = ShownTable(interval_of(None))
        self._reading: Flight | None = None
        # Whether the first read has ended, or takes too long to wait for.
        self._is_readable = False
        self._is_failing = False
        self._fresh: RegistryReading | None = None
        self._encoding = False
        try:
            self._number = free_numbers.pop()
        except IndexError:
            self._number = next(numbers)
        self._release_number = finalize(self, free_numbers.append, self._number)
        self._release_number.atexit = False
        self._is_notified = False
        self._feed = ContainerFeed(source, self._notify)
        self._follow_registry()
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check)

    @property
    def is_full(self) -> bool:
        """Whether there are as many viewers as there may be."""
        return len(self._viewers) >= MOST_VIEWERS

    def join(self, last_identity: str) -> Viewer:
        """Return a new viewer, which gets the state, or the messages after the last one it has.

        Args:
            last_identity: the identity of that message; empty for a client that comes first.
        """
        now = self.loop.time()
        viewer = Viewer(now)
        self._viewers[viewer] = None
        missed = self._log.missed(last_identity)
        if missed is None:
            self._arriving.append(viewer)
        else:
            head = {"time": self._now(), "boot": self.boot}
            viewer.put(event_bytes("continued", self._log.identity, head) + missed, now)
        reason = self._reason_to_stop()
        if reason:
            self.stop(reason)
        else:
            self._encode()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Send nothing more to a viewer, which has gone."""
        viewer.complete()
        self._viewers.pop(viewer, None)
        if viewer in self._arriving:
            self._arriving.remove(viewer)
        self._left_at = self.loop.time()

    def history(self) -> dict[str, object]:
        """Return the history of all series. Safe to call from any thread."""
        return {"boot": self.boot, **self._table.history()}

    def stop(self, reason: str) -> None:
        """End all streams, because the values or the server are about to go, and then the hub."""
        if self._is_ended:
            return
        for viewer in self._arriving:
            # The state would come too late; the client comes back for it.
            viewer.put(self._encoded_state(), self.loop.time())
        self._arriving.clear()
        self._publish("stopped", {"time": self._now(), "reason": reason})
        for viewer in self._viewers:
            viewer.complete()
        self._end()

    def _now(self) -> float:
        """Return seconds since the Unix epoch, on the clock of the registry."""
        clock = SYSTEM_CLOCK if self._registry is None else self._registry.clock
        return clock.time()

    def _publish(self, event: str, content: dict[str, Any], members: Members = ()) -> None:
        self._put(self._log.add(event, content, self.loop.time(), members))

    def _put(self, data: bytes) -> None:
        """Give all viewers that have the state the same bytes."""
        now = self.loop.time()
        for viewer in self._viewers:
            if viewer not in self._arriving:
                viewer.put(data, now)

    def _end(self) -> None:
        """Stop reading, and drop everything that is kept."""
        if self._is_ended:
            return
        self._is_ended = True
        self._timer.cancel()
        self._feed.end()
        self._follow(None)
        self._release_number()
        self._on_end(self)

    # The registry, its beats and its reads.

    def _check(self) -> None:
        """Check the server, the registry and the streams, once a second."""
        now = self.loop.time()
        reason = self._reason_to_stop()
        if reason:
            self.stop(reason)
        elif not self._viewers and now - self._left_at >= LINGER_SECONDS:
            self._end()
        self._send_events()
        if self._is_ended:
            return
        self._follow_registry()
        if self._beat is None and self._registry is not None and now >= self._beat_due:
            self._beat_due = now + interval_of(self._registry)
            self._tick()
        for viewer in self._viewers:
            if now - viewer.since >= STREAM_SECONDS:
                self._complete(viewer)
            elif now - viewer.last_sent >= COMMENT_SECONDS:
                viewer.put(COMMENT, now)
        if self._arriving and now - self._arriving[0].since >= CHECK_SECONDS:
            self._is_readable = True
            self._encode()
        self._timer = self.loop.call_later(CHECK_SECONDS, self._check)

    def _reason_to_stop(self) -> str:
        """Return why streams have to end now; empty if they do not."""
        if is_server_exiting():
            return "the server is stopping"
        # A registry without a container that is known cannot come back.
        is_closed = not self._feed.has_container and self._resolved() is None
        return "the registry is closed" if is_closed else ""

    def _resolved(self) -> Registry | None:
        try:
            return resolve(self._source)
        except Exception:  # noqa: BLE001 - the other pages show the reason
            return None

    def _follow_registry(self) -> None:
        """Read the running registry, which is another one after each start of a container."""
        registry = self._resolved()
        if registry is not self._registry:
            self._follow(registry)
            self._read()
        if registry is None:
            # There is nothing to wait for.
            self._is_readable = True

    def _follow(self, registry: Registry | None) -> None:
        if self._beat is not None:
            self._beat.end()
            self._beat = None
        self._registry = registry
        # It may hang for ever, and has the values of another registry.
        self._reading = self._fresh = None
        if self._is_ended:
            return
        interval = interval_of(registry)
        if registry is not None and interval != self._table.interval:
            # Points of a history have one distance, and ids of series one table.
            if self._log.last:
                self._renew()
                return
            self._table = ShownTable(interval)
        self._beat = beat_of(registry, self.loop, self._tick, self._end)
        self._beat_due = self.loop.time() + interval

    def _renew(self) -> None:
        """Have all viewers come back, to another hub."""
        for viewer in self._viewers:
            self._complete(viewer)
        self._end()

    def _complete(self, viewer: Viewer) -> None:
        """End a stream, whose client comes back."""
        content = {"time": self._now()}
        viewer.put(event_bytes("renewal", self._log.identity, content), self.loop.time())
        viewer.complete()

    def _tick(self) -> None:
        """Read the registry; skip the beat, and say so, if it still is being read."""
        if self._is_ended or self._registry is None:
            return
        if self._reading is None:
            self._read()
            return
        thread = self._reading.thread
        entry = None if thread is None else store_of(self._registry).entry_in_read(thread)
        late = [] if entry is None else [entry.name]
        self._publish("tick", {"time": self._now(), "values": {}, "late": late})

    def _read(self) -> None:
        if self._reading is not None or self._registry is None or self._is_ended:
            return
        registry, reader = self._registry, f"dashboard {self._number}"
        redact = self._feed.redact
        self._reading = self._call(registry, lambda: read(registry, reader, redact), self._take)

    def _take(self, flight: Flight) -> None:
        """Take the values of a read that has ended."""
        if flight is not self._reading:
            return
        self._reading = None
        self._is_readable = True
        if isinstance(flight.result, RegistryReading):
            self._fresh = flight.result
            self._is_failing = False
        elif not self._is_failing:
            self._is_failing = True
            logger.error("the live page cannot read the registry", exc_info=flight.error)
        self._encode()

    def _encode(self) -> None:
        """Publish the differences of a read, and send the state to arriving viewers."""
        if self._encoding or not self._is_readable or self._is_ended:
            return
        reading, self._fresh = self._fresh, None
        if reading is None and not self._arriving:
            return
        self._encoding = True
        table, has_arriving = self._table, bool(self._arriving)

        def compute() -> tuple[Members, Members]:
            changes = {} if reading is None else table.advance(reading)
            return json_members(changes), json_members(table.state() if has_arriving else {})

        self._call(table, compute, self._send)

    def _send(self, flight: Flight) -> None:
        """Send the result of an encoding."""
        self._encoding = False
        if flight.error is not None:
            logger.error("the live page could not be encoded", exc_info=flight.error)
        if self._is_ended or not isinstance(flight.result, tuple):
            return
        if flight.key != (self, self._table):
            # The ids of another table mean other series.
            self._encode()
            return
        changes, state = flight.result
        if changes:
            self._publish("tick", self._feed.reporter_changes(), changes)
        if state:
            self._send_events()
        if state and not self._is_ended:
            data = self._encoded_state(state)
            now = self.loop.time()
            arrived, self._arriving = self._arriving, []
            for viewer in arrived:
                viewer.put(data, now)
        self._encode()

    def _encoded_state(self, members: Members = EMPTY) -> bytes:
        """Return the message of the state.

        Args:
            members: the state of the series; by default none are known.
        """
        content: dict[str, Any] = {
            "version": 1,
            "boot": self.boot,
            "time": self._now(),
            "interval": interval_of(self._registry),
            "title": self._title,
            "program": program_name(),
            "pid": os.getpid(),
            "uptime": SYSTEM_CLOCK.monotonic() - STARTED,
            **self._feed.describe(),
        }
        return event_bytes("state", self._log.identity, content, members)

    # The events of the container.

    def _notify(self, _event: object) -> None:
        """Have new events sent soon. Called in any thread, for each event."""
        if self._is_notified:
            return
        self._is_notified = True
        try:
            self.loop.call_soon_threadsafe(self._send_events)
        except RuntimeError:
            # The loop was closed without a word to the hub.
            self._end()

    def _send_events(self) -> None:
        """Publish the events since the last one; end the streams if the container has stopped."""
        # First: an event that comes meanwhile is read now, or calls this again.
        self._is_notified = False
        if self._is_ended:
            return
        events, state, ending = self._feed.changes()
        if events:
            # As one: no viewer is too slow for the start of a hundred resources.
            now = self.loop.time()
            self._put(b"".join([self._log.add("lifecycle", event, now) for event in events]))
        if ending:
            self.stop(ending)
            return
        if state:
            self._publish("tick", {"time": self._now(), "values": {}, "state": state})
        self._follow_registry()

    def _call(
        self, subject: object, function: Callable[[], object], done: Callable[[Flight], object]
    ) -> Flight:
        """Call a function in a thread, and another one with the outcome in the event loop.

        Args:
            subject: the registry or the table, of which there is one call at a time.
            function: called in the thread.
            done: called in the event loop.
        """
        stack = ExitStack()

        def finish() -> None:
            stack.close()
            done(flight)

        def wake() -> None:
            # The loop may be closed.
            with suppress(RuntimeError):
                self.loop.call_soon_threadsafe(finish)

        flight = stack.enter_context(THREADS.join((self, subject), function, wake))
        return flight
