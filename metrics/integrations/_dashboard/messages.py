"""Messages of server-sent events: their bytes, and the newest ones for clients that come back.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import json
from collections import deque
from typing import Any, NamedTuple, final

RETRY = b"retry: 1000\n\n"
"""Milliseconds after which a client comes back."""

COMMENT = b":\n\n"
"""Message without content: it shows a proxy that the connection is alive."""

ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

KEPT_SECONDS = 60.0

MOST_KEPT = 1000


class Message(NamedTuple):
    """Encoded message, the same object for all clients.

    number: its position, which grows by one.
    time: seconds on the clock of the event loop.
    data: the bytes.
    """

    number: int
    time: float
    data: bytes


def event_bytes(
    event: str, identity: str, content: dict[str, Any], members: tuple[str, ...] = ()
) -> bytes:
    """Return a message. Its JSON is one line of ASCII, for all names and labels.

    Args:
        event: the name of the event.
        identity: the identity of the message.
        content: members of the object.
        members: further members as JSON; see `json_members`.
    """
    body = ",".join([*json_members(content), *members])
    return f"event: {event}\nid: {identity}\ndata: {{{body}}}\n\n".encode("ascii")


def json_members(content: dict[str, Any]) -> tuple[str, ...]:
    """Return the members of an object as JSON, each large one in many steps.

    The encoder of the standard library holds the GIL from its beginning to its end, and the event
    loop would wait for thousands of series.
    """
    return tuple([f"{to_json(name)}:{json_in_steps(value)}" for name, value in content.items()])


def json_in_steps(value: object) -> str:
    """Return a value as JSON, each item of a list or a dict by itself."""
    if isinstance(value, list):
        return f"[{','.join([to_json(item) for item in value])}]"
    if isinstance(value, dict):
        return f"{{{','.join([f'{to_json(key)}:{to_json(item)}' for key, item in value.items()])}}}"
    return to_json(value)


def to_json(value: object) -> str:
    """Return a value as JSON in ASCII.

    Raises:
        ValueError: a number is infinite or NaN.
    """
    return ENCODER.encode(value)


@final
class MessageLog:
    """Newest messages of a hub, oldest first. For one event loop.

    Args:
        boot: the identity of the hub.
    """

    __slots__ = ("_boot", "_kept", "last")

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._kept: deque[Message] = deque()
        # The number of the newest message.
        self.last = 0

    @property
    def identity(self) -> str:
        """The identity of the newest message, with which a client continues after it."""
        return f"{self._boot}-{self.last}"

    def add(
        self, event: str, content: dict[str, Any], now: float, members: tuple[str, ...] = ()
    ) -> bytes:
        """Add a message with the next number; return its bytes, as `event_bytes`."""
        self.last += 1
        data = event_bytes(event, self.identity, content, members)
        self._kept.append(Message(self.last, now, data))
        while len(self._kept) > MOST_KEPT or self._kept[0].time < now - KEPT_SECONDS:
            self._kept.popleft()
        return data

    def missed(self, identity: str) -> bytes | None:
        """Return the messages after one; None if they are not all here.

        Args:
            identity: the identity of the last message that a client has got.
        """
        boot, _, digits = identity.rpartition("-")
        if boot != self._boot or not (digits.isascii() and digits.isdecimal()):
            return None
        number = int(digits[:20])
        oldest = self._kept[0].number if self._kept else self.last + 1
        if not oldest - 1 <= number <= self.last:
            return None
        return b"".join([message.data for message in self._kept if message.number > number])
