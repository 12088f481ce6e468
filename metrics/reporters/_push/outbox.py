"""Undelivered payloads: bounded in number and bytes, the oldest evicted first."""

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, final

from metrics.exporters._encoding.units import size_text
from metrics.reporters._push.payloads import Codec


class Offender(NamedTuple):
    """Series that a server refused, or the first of some series, one of which it refused."""

    series: str
    others: int
    reason: str

    def __str__(self) -> str:
        return f"{self.series} or one of the {self.others} after it" if self.others else self.series


@final
class Parcel:
    """Payload on its way: the bodies of the requests that are still to be made for it.

    There is one, the payload itself, until a server refuses it and it is split.

    Args:
        payload: the payload.
        added: the time of its report, on the reporter's clock.
    """

    __slots__ = (
        "added",
        "bodies",
        "failures",
        "fault",
        "offenders",
        "reason",
        "refusals",
        "size",
        "taken",
        "unanswered",
    )

    def __init__(self, payload: bytes, added: float = 0.0) -> None:
        self.size = len(payload)
        # The time of the report, on the reporter's clock.
        self.added = added
        self.bodies = [payload]
        # Answers that handling the first of the bodies failed.
        self.failures = 0
        # Refused requests, the reason of the last, and the series that they were narrowed down to.
        self.refusals = 0
        self.reason = ""
        self.fault: BaseException | None = None
        self.offenders: tuple[Offender, ...] = ()
        # Whether the server has taken one of the bodies, and whether it may have taken more.
        self.taken = False
        self.unanswered = False

    def advance(self) -> None:
        """Remove the first body: it is delivered, or lost."""
        del self.bodies[0]
        self.failures = 0

    def halve(self, series: Sequence[bytes], codec: Codec) -> None:
        """Replace the first body by two of half its series each, behind all other bodies.

        Large bodies are sent before small ones: most series are delivered early, and refusals are
        narrowed down evenly.
        """
        middle = len(series) // 2
        self.advance()
        self.bodies += [codec.encode(series[:middle]), codec.encode(series[middle:])]


@final
class Outbox:
    """Parcels in the order of their reports. For one thread.

    Args:
        payloads: the greatest number of parcels.
        size: the greatest number of bytes, all payloads together.
    """

    __slots__ = ("_held", "_limit", "_waiting", "size")

    def __init__(self, payloads: int, size: int) -> None:
        self._limit = payloads
        self.size = size
        self._held = 0
        self._waiting: deque[Parcel] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def limits(self) -> str:
        """The limits, in words."""
        if self.newest_only:
            return f"the newest payload alone, up to {size_text(self.size)}"
        return f"up to {self._limit} payloads or {size_text(self.size)}"

    @property
    def newest_only(self) -> bool:
        """Whether a payload replaces the one before it."""
        return self._limit == 1

    def has_room(self, size: int) -> bool:
        """Return whether a payload of `size` bytes evicts no other."""
        return len(self._waiting) < self._limit and self._held + size <= self.size

    def add(self, parcel: Parcel) -> list[Parcel]:
        """Add a parcel; return the evicted ones, or the parcel itself if it is too large."""
        if parcel.size > self.size:
            return [parcel]
        self._waiting.append(parcel)
        self._held += parcel.size
        evicted = []
        while len(self._waiting) > self._limit or self._held > self.size:
            evicted.append(self.remove())
        return evicted

    def oldest(self) -> Parcel | None:
        """Return the parcel to deliver next; None if there is none."""
        return self._waiting[0] if self._waiting else None

    def remove(self) -> Parcel:
        """Remove and return the oldest parcel.

        Raises:
            IndexError: there is none.
        """
        parcel = self._waiting.popleft()
        self._held -= parcel.size
        return parcel

    def clear(self) -> list[Parcel]:
        """Remove and return all parcels."""
        parcels = list(self._waiting)
        self._waiting.clear()
        self._held = 0
        return parcels
