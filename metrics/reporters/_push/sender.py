"""Delivery of payloads in order: retried, narrowed down to refused series, and logged."""

from logging import INFO, WARNING, getLogger
from math import inf
from typing import NamedTuple, final

from metrics.clock import Clock
from metrics.exporters._encoding.units import several, size_text
from metrics.reporters._push.backoff import Backoff
from metrics.reporters._push.outbox import Offender, Outbox, Parcel
from metrics.reporters._push.payloads import Codec
from metrics.reporters._push.statistics import Statistics
from metrics.reporters._transports.transport import (
    Malformed,
    PartlyTaken,
    Rejected,
    TooLarge,
    Transport,
    Unavailable,
)

TRIES = 3
"""Answers that handling a payload failed (500, 507) after which it is dropped."""

HALVINGS = 16
"""Refused requests of one payload up to which its refused series are halved, enough to find one
among 65,536."""

REFUSALS = 2 * HALVINGS
"""Refused requests after which the rest of a payload is dropped."""

MOST_LOGGED = 1000
"""Refused series that one reporter logs."""

logger = getLogger(__name__)


class Outage(NamedTuple):
    """Present state of the deliveries of a reporter.

    pending: undelivered payloads.
    oldest: seconds since the report of the oldest of them; None without any.
    error: the reason of the present outage; None without one.
    since: seconds since its beginning; None without one.
    """

    pending: int
    oldest: float | None
    error: str | None
    since: float | None


@final
class Sender:
    """Sender of payloads, one after another, oldest first. For one thread, except for `ends`.

    A payload that cannot be delivered is kept, with the payloads behind it, and tried again later.
    Payloads beyond the limits of the outbox are dropped, oldest first. A payload is also dropped
    when the server refuses it, or has answered several times that handling it failed: it holds up
    no other for longer.

    A payload with a codec is split before that: in halves when it is too large, for which the size
    is remembered until the sender is recreated, and down to the refused series when the server
    refuses its content; both within `REFUSALS` refused requests. A server that takes nothing of a
    payload gets the next ones undivided, until it takes one.

    Increments of dropped payloads are kept for the next report, see `merge`.

    Each outage is logged once, at its beginning and its end; so is each series of refusals, and
    each refused series.

    Args:
        name: the name of the reporter, for the log.
        transport: delivers payloads; belongs to the sender.
        statistics: counts payloads by their fate.
        outbox: keeps undelivered payloads.
        timeout: seconds one request may take.
        clock: the source of time.
        backoff: the waiting times between two tries.
        codec: the encoding of the payloads; None for payloads that cannot be split.
        undelivered: series of which no payload was delivered, for formats whose codec merges;
            belongs to the sender, and outlives it.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        statistics: Statistics,
        outbox: Outbox,
        *,
        timeout: float,
        clock: Clock,
        backoff: Backoff,
        codec: Codec | None = None,
        undelivered: list[bytes] | None = None,
    ) -> None:
        self._name = name
        self._transport = transport
        self._statistics = statistics
        self._outbox = outbox
        self._timeout = timeout
        self._clock = clock
        self._backoff = backoff
        self._codec = codec
        self._undelivered = [] if undelivered is None else undelivered
        # The end of the last delivery, on the clock, with one try for each payload; None: no end.
        self.ends: float | None = None
        self._retry_at = -inf
        # Payloads that were refused since one was taken.
        self._refusals = 0
        # The current outage: its beginning, the payloads dropped since, and its reason.
        self._away_since: float | None = None
        self._lost = 0
        self._reason = ""
        # The smallest refused size, and whether the server refuses single series, not everything.
        self._too_large = inf
        self._narrows = True
        self._logged: set[str] = set()

    @property
    def due(self) -> float:
        """The time of the next delivery, on the clock; infinity with nothing to deliver."""
        return self._retry_at if len(self._outbox) else inf

    @property
    def target(self) -> str:
        """The destination as the log names it, without secrets."""
        return self._transport.target

    def outage(self) -> Outage:
        """Return the present state of the deliveries. Safe to call from any thread."""
        now = self._clock.monotonic()
        try:
            oldest = self._outbox.oldest()
        except IndexError:
            oldest = None  # it was delivered between two steps of this method
        away_since, reason = self._away_since, self._reason
        return Outage(
            len(self._outbox),
            None if oldest is None else max(now - oldest.added, 0.0),
            None if away_since is None else reason,
            None if away_since is None else max(now - away_since, 0.0),
        )

    def add(self, payload: bytes) -> None:
        """Add a payload to deliver; evict the oldest ones if there is no room."""
        # A report may be larger than the outbox, whose limits are meant for outages.
        if not self._outbox.has_room(len(payload)) and self._clock.monotonic() >= self._retry_at:
            self.deliver()
        evicted = self._outbox.add(Parcel(payload, self._clock.monotonic()))
        if self._merges:
            for parcel in evicted:
                self._restore(parcel)
        elif evicted and not (self._outbox.newest_only and len(self._outbox)):
            # A reader of the newest values alone does not miss the ones that they replace.
            self._drop(len(evicted), size_text(len(payload)))

    def merge(self) -> None:
        """Replace undelivered payloads of earlier reports by sums of their increments.

        Only formats whose codec merges have increments. Called before a report is added, it keeps
        the memory of an outage to one report, however long it takes, and the order of the times of
        each series. A payload that the server may have taken without an answer stays as it is: it
        is repeated as it was, so that a server that recognises repetitions can ignore it.
        """
        codec = self._codec
        if codec is None or codec.merge is None:
            return
        for parcel in self._outbox.clear():
            if parcel.unanswered:
                self._outbox.add(parcel)
            else:
                self._restore(parcel)
        payloads = [codec.encode(series) for series in codec.merge(self._undelivered)]
        self._undelivered.clear()
        # Refused series that have ended are merged with no later ones.
        while sum(map(len, payloads)) > self._outbox.size:
            self._drop(1, size_text(len(payloads.pop(0))))
        for payload in payloads:
            self.add(payload)

    def deliver(self, until: float = inf) -> None:
        """Deliver payloads, with one request at least, until the server fails.

        Args:
            until: the time of the next task of the calling thread, on the clock.
        """
        while (parcel := self._outbox.oldest()) is not None:
            now, ends = self._clock.monotonic(), self.ends
            if ends is None and now < self._retry_at:
                return
            seconds = self._timeout if ends is None else min(self._timeout, ends - now)
            if seconds <= 0.0 or not self._send(parcel, seconds):
                return
            if not parcel.bodies:
                self._outbox.remove()
                self._conclude(parcel)
            if ends is None and self._clock.monotonic() >= until:
                return

    def abort(self) -> None:
        """Make a delivery in another thread fail at once."""
        self._transport.abort()

    def finish(self) -> None:
        """Drop all undelivered payloads, and close the connection."""
        left = self._outbox.clear()
        for parcel in left:
            self._restore(parcel)
        if left:
            self._statistics.dropped.inc(len(left))
            logger.error(
                "%s ends and has lost %s that it could not deliver: %s%s",
                self._name,
                several(len(left) + self._lost, "payload", "payloads"),
                self._reason or "the time for its end was over",
                "; their increments are sent if it is started again" if self._merges else "",
            )
        self._reset()
        self._transport.close()

    def abandon(self) -> None:
        """Drop, in a forked process, the payloads of the parent, which delivers them itself."""
        self.ends = None
        self._outbox.clear()
        self._undelivered.clear()
        self._refusals = 0
        self._reset()
        self._transport.abandon()

    @property
    def _merges(self) -> bool:
        return self._codec is not None and self._codec.merge is not None

    def _send(self, parcel: Parcel, seconds: float) -> bool:
        """Make one request for a parcel; return whether to go on with the next request."""
        self._fit(parcel)
        started = self._clock.monotonic()
        try:
            self._transport.send(parcel.bodies[0], seconds)
        except Unavailable as error:
            return self._handle_failure(parcel, error)
        except Rejected as error:
            self._log_return()
            self._handle_refusal(parcel, error)
        except BaseException as error:  # noqa: BLE001 - there is no caller to raise to
            self._statistics.failed.inc()
            parcel.fault = error
            self._lose(parcel, f"{type(error).__name__}, a fault of this library", rest=True)
        else:
            self._statistics.latency.update(max(self._clock.monotonic() - started, 0.0))
            self._log_return()
            parcel.taken = True
            parcel.advance()
        return True

    def _fit(self, parcel: Parcel) -> None:
        """Halve the first body of a parcel until it is smaller than the refused ones."""
        while self._codec is not None and len(parcel.bodies[0]) >= self._too_large:
            series = self._codec.decode(parcel.bodies[0])
            if len(series) == 1:
                return
            parcel.halve(series, self._codec)

    def _handle_failure(self, parcel: Parcel, error: Unavailable) -> bool:
        """Wait before the next try; return whether to go on without this payload."""
        now = self._clock.monotonic()
        wait = self._backoff.wait_after_failure(error.retry_after)
        self._retry_at = now + wait
        self._statistics.failed.inc()
        self._reason = str(error)
        parcel.unanswered = parcel.unanswered or error.unanswered
        if self._away_since is None:
            self._away_since = now
            if self.ends is None:
                logger.warning(
                    "%s cannot deliver: %s; it keeps %s, tries again in %.1f s, then less and less "
                    "often, and logs when it works again",
                    self._name,
                    error,
                    self._outbox.limits,
                    wait,
                )
        if not error.blames_payload:
            return False
        parcel.failures += 1
        # In the end there is time for one try, and no use in trying everything on a broken server.
        enough = parcel.failures >= TRIES if self.ends is None else self._refusals < TRIES
        if enough:
            self._lose(parcel, f"{error} ({several(parcel.failures, 'time', 'times')})")
        return enough

    def _handle_refusal(self, parcel: Parcel, error: Rejected) -> None:
        """Split the refused body of a parcel, or drop it."""
        self._statistics.failed.inc()
        parcel.refusals += 1
        if isinstance(error, PartlyTaken):
            parcel.taken = True
            parcel.reason = str(error)
            parcel.advance()
            return
        if isinstance(error, TooLarge):
            self._too_large = min(self._too_large, len(parcel.bodies[0]))
        splits = isinstance(error, TooLarge) or (isinstance(error, Malformed) and self._narrows)
        if self._codec is None or not splits:
            self._lose(parcel, str(error), rest=True)
            return
        series = self._codec.decode(parcel.bodies[0])
        if len(series) > 1 and parcel.refusals <= HALVINGS:
            parcel.halve(series, self._codec)
            return
        description = self._codec.describe(series[0])
        parcel.offenders += (Offender(description, len(series) - 1, str(error)),)
        self._lose(parcel, str(error), rest=parcel.refusals >= REFUSALS)

    def _lose(self, parcel: Parcel, reason: str, *, rest: bool = False) -> None:
        """Drop the first body of a parcel, or the whole rest; keep its increments."""
        parcel.reason = reason
        lost = parcel.bodies[:] if rest else parcel.bodies[:1]
        for body in lost:
            self._restore_body(body)
            parcel.advance()

    def _restore(self, parcel: Parcel) -> None:
        """Keep the increments of a parcel for the next report."""
        for body in parcel.bodies:
            self._restore_body(body)

    def _restore_body(self, body: bytes) -> None:
        if self._codec is not None and self._codec.merge is not None:
            self._undelivered += self._codec.decode(body)

    def _drop(self, count: int, newest: str) -> None:
        """Count and log payloads that found no room; `newest` is the size of the newest one."""
        self._statistics.dropped.inc(count)
        if not self._lost:
            logger.error(
                "%s drops payloads, the oldest first: it keeps %s, and the newest has %s; the "
                "options `buffered` and `buffered_bytes` let it keep more",
                self._name,
                self._outbox.limits,
                newest,
            )
        self._lost += count

    def _conclude(self, parcel: Parcel) -> None:
        """Count a parcel of which nothing is left to send, and log refused series."""
        if not parcel.reason:
            self._statistics.sent.inc()
        else:
            self._statistics.dropped.inc()
        if parcel.taken:
            self._narrows = True
        if not parcel.reason or (parcel.taken and parcel.offenders):
            for offender in parcel.offenders:
                self._log_offender(offender)
            self._log_acceptance()
            return
        self._narrows = self._narrows and not parcel.offenders
        series = f"; series: {parcel.offenders[0]}" if parcel.offenders else ""
        self._log_refusal(f"{parcel.reason}{series}", parcel.fault)

    def _log_offender(self, offender: Offender) -> None:
        if offender.series in self._logged or len(self._logged) >= MOST_LOGGED:
            return
        self._logged.add(offender.series)
        logger.error(
            "%s: the server refused a series, which is dropped at this report and the next ones, "
            "without a further message: %s: %s",
            self._name,
            offender,
            offender.reason,
        )

    def _log_return(self) -> None:
        """Log that the server answers, if it was away."""
        if self._away_since is not None:
            logger.log(
                WARNING if self._lost else INFO,
                "%s reaches its server again, after %.0f s and %s; it dropped %s",
                self._name,
                self._clock.monotonic() - self._away_since,
                several(self._backoff.failures, "try", "tries"),
                several(self._lost, "payload", "payloads"),
            )
            self._reset()

    def _reset(self) -> None:
        """Return to the state without an outage."""
        self._away_since = None
        self._lost = 0
        self._reason = ""
        self._retry_at = -inf
        self._backoff.reset()

    def _log_refusal(self, reason: str, fault: BaseException | None) -> None:
        self._refusals += 1
        if self._refusals == 1:
            logger.error(
                "%s: a payload was refused and is dropped, like the following ones until one is "
                "taken, which are not logged: %s",
                self._name,
                reason,
                exc_info=fault,
            )

    def _log_acceptance(self) -> None:
        """Log that a payload was taken, if the ones before it were refused."""
        if self._refusals:
            logger.info(
                "%s: payloads are taken again, after %s",
                self._name,
                several(self._refusals, "refusal", "refusals"),
            )
            self._refusals = 0
