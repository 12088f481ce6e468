"""Payloads to a server: in order, kept while it is away, and the operator told what happens."""

from logging import INFO, WARNING, getLogger
from math import inf
from typing import final

from metrics.clock import Clock
from metrics.exporters._encoding.units import several, size_text
from metrics.reporters._push.backoff import Backoff
from metrics.reporters._push.outbox import Outbox
from metrics.reporters._push.statistics import Statistics
from metrics.reporters._transports.transport import Rejected, Transport, Unavailable

logger = getLogger(__name__)


@final
class Sender:
    """Delivers payloads one after another, oldest first. For one thread, except for `ends`.

    A payload that cannot be delivered is kept, with those behind it, and tried again after a while.
    What the outbox does not hold is dropped, and so is what the server refuses. Each outage is
    logged once, when it begins and when it is over; so is each series of refusals.

    Args:
        name: what is sending, for the log.
        transport: delivers; belongs to the sender.
        statistics: counts what becomes of the payloads.
        outbox: keeps what is not delivered yet.
        timeout: seconds one delivery may take.
        clock: tells when to try again.
        backoff: tells how long to wait.
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
    ) -> None:
        self._name = name
        self._transport = transport
        self._statistics = statistics
        self._outbox = outbox
        self._timeout = timeout
        self._clock = clock
        self._backoff = backoff
        # When to be done, on the clock, with no try after one that failed; none: there is time.
        self.ends: float | None = None
        self._retry_at = -inf
        self._refusals = 0
        # Of the outage that there is: when it began, what was lost since, and why.
        self._away_since: float | None = None
        self._lost = 0
        self._reason = ""

    @property
    def due(self) -> float:
        """When to deliver next, on the clock; infinity with nothing to deliver."""
        return self._retry_at if len(self._outbox) else inf

    def add(self, payload: bytes) -> None:
        """Take a payload to deliver, and make room for it if need be."""
        # A report may be larger than the outbox, which is made for a server that is away.
        if not self._outbox.has_room(payload) and self._clock.monotonic() >= self._retry_at:
            self.deliver()
        lost = self._outbox.add(payload)
        if not lost:
            return
        if self._outbox.newest_only and self._outbox.oldest() is payload:
            # Whoever wants the newest alone does not miss what it replaces: that is no drop.
            return
        self._statistics.dropped.inc(lost)
        if not self._lost:
            logger.error(
                "%s drops payloads, the oldest first: it keeps %s, and the newest has "
                "%s; the options `buffered` and `buffered_bytes` let it keep more",
                self._name,
                self._outbox.limits,
                size_text(len(payload)),
            )
        self._lost += lost

    def deliver(self, until: float = inf) -> None:
        """Deliver what there is, one payload at least, until the server fails.

        Args:
            until: when to do something else, on the clock.
        """
        while (payload := self._outbox.oldest()) is not None:
            now, ends = self._clock.monotonic(), self.ends
            if ends is None and now < self._retry_at:
                return
            seconds = self._timeout if ends is None else min(self._timeout, ends - now)
            if seconds <= 0.0 or not self._done_with(payload, seconds):
                return
            self._outbox.remove()
            if ends is None and self._clock.monotonic() >= until:
                return

    def abort(self) -> None:
        """Make a delivery in another thread fail at once."""
        self._transport.abort()

    def finish(self) -> None:
        """Drop what is left, and let go of the connection."""
        left = self._outbox.clear()
        if left:
            self._statistics.dropped.inc(left)
            logger.error(
                "%s ends and has lost %s that it could not deliver: %s",
                self._name,
                several(left + self._lost, "payload", "payloads"),
                self._reason or "the time it had to stop was over",
            )
        self._forget()
        self._transport.close()

    def abandon(self) -> None:
        """Forget, in a forked process, all that the parent has to deliver; it does that itself."""
        self.ends = None
        self._outbox.clear()
        self._refusals = 0
        self._forget()
        self._transport.abandon()

    def _done_with(self, payload: bytes, seconds: float) -> bool:
        """Deliver a payload; return whether it is done with."""
        started = self._clock.monotonic()
        try:
            self._transport.send(payload, seconds)
        except Unavailable as error:
            self._away(error)
            return False
        except Rejected as error:
            self._back()
            self._refused(str(error))
        except BaseException as error:  # noqa: BLE001 - there is nobody to raise to
            self._refused(f"{type(error).__name__}, a fault of this library's", error)
        else:
            self._statistics.sent.inc()
            self._statistics.latency.update(max(self._clock.monotonic() - started, 0.0))
            self._back()
            self._taken_again()
        return True

    def _away(self, error: Unavailable) -> None:
        now = self._clock.monotonic()
        wait = self._backoff.failed(error.retry_after)
        self._retry_at = now + wait
        self._statistics.failed.inc()
        self._reason = str(error)
        if self._away_since is None:
            self._away_since = now
            if self.ends is None:
                logger.warning(
                    "%s cannot deliver: %s; it keeps %s, tries again in %.1f s, then less "
                    "and less often, and says when it works again",
                    self._name,
                    error,
                    self._outbox.limits,
                    wait,
                )

    def _back(self) -> None:
        """Say that the server answers, if it was away."""
        if self._away_since is not None:
            logger.log(
                WARNING if self._lost else INFO,
                "%s reaches its server again, after %.0f s and %s; it dropped %s",
                self._name,
                self._clock.monotonic() - self._away_since,
                several(self._backoff.failures, "try", "tries"),
                several(self._lost, "payload", "payloads"),
            )
            self._forget()

    def _forget(self) -> None:
        """Take the server for one that is there."""
        self._away_since = None
        self._lost = 0
        self._reason = ""
        self._retry_at = -inf
        self._backoff.succeeded()

    def _refused(self, reason: str, error: BaseException | None = None) -> None:
        self._statistics.failed.inc()
        self._statistics.dropped.inc()
        self._refusals += 1
        if self._refusals == 1:
            logger.error(
                "%s: a payload was refused and is dropped, as are those that follow until one is "
                "taken, which are not logged: %s",
                self._name,
                reason,
                exc_info=error,
            )

    def _taken_again(self) -> None:
        """Say that a payload was taken, if those before it were refused."""
        if self._refusals:
            logger.info(
                "%s: payloads are taken again, after %s",
                self._name,
                several(self._refusals, "refusal", "refusals"),
            )
            self._refusals = 0
