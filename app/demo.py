"""Demonstration: a simulated shop, whose traffic shows every kind of instrument in motion."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from math import pi, sin
from random import Random
from typing import NamedTuple, final

from dependency_injector import providers

from container import Container
from metrics import (
    SYSTEM_CLOCK,
    BucketHistogram,
    Counter,
    Family,
    Healthcheck,
    IntGauge,
    Registry,
    Timer,
    resources,
)
from metrics.deadline import join, remaining
from metrics.errors import StopTimeoutError
from metrics.lifecycle import Resource

STEP_SECONDS = 0.1

DAY_SECONDS = 120.0
"""Length of a simulated day, from one rush hour to the next."""

REQUESTS_PER_SECOND = 60.0
ORDERS_PER_SECOND = 8.0
"""Orders that the warehouse packs; in a rush hour there are more."""

OUTAGE_SECONDS = (3.0, 6.0)
BETWEEN_OUTAGES_SECONDS = (15.0, 40.0)

MOST_TERMS = 25
"""Cap of the searches by term, which has to be seen to work: `TERMS` has more."""

ADJECTIVES = ("red", "small", "warm", "used", "cheap", "light", "wooden", "large")
NOUNS = ("shoes", "lamp", "coat", "chair", "tent", "book", "kettle", "bike")
TERMS = tuple(f"{adjective} {noun}" for adjective in ADJECTIVES for noun in NOUNS)


class Route(NamedTuple):
    """Route of the shop: its share of the requests, median duration in seconds and size in bytes.

    A request of a `cached` route takes a tenth of the time if the cache has the answer.
    """

    method: str
    path: str
    share: float
    duration: float
    size: float
    cached: bool = False


ROUTES = (
    Route("GET", "/", 0.3, 0.02, 30_000, cached=True),
    Route("GET", "/products/{id}", 0.35, 0.05, 80_000, cached=True),
    Route("GET", "/search", 0.2, 0.12, 15_000),
    Route("POST", "/cart", 0.1, 0.03, 800),
    Route("POST", "/checkout", 0.05, 0.25, 1_200),
)
CHECKOUT = ROUTES[-1]


class ShopInstruments(NamedTuple):
    """Instruments of the shop."""

    requests: Family[Timer]
    sizes: Family[BucketHistogram]
    lookups: Family[Counter]
    searches: Family[Counter]
    errors: Family[Counter]
    queue: IntGauge
    payments: Healthcheck


@final
class Shop:
    """Simulation of a shop, with traffic in waves, a cache, a queue of orders, and outages.

    Not safe to use from several threads.

    Args:
        instruments: the instruments to update.
        random: the source of all chance.
    """

    def __init__(self, instruments: ShopInstruments, random: Random) -> None:
        self._instruments = instruments
        self._random = random
        self._now = 0.0
        self._next_request = 0.0
        self._packed = 0.0
        self._outage = (10.0, 14.0)
        instruments.payments.healthy()

    @property
    def is_out(self) -> bool:
        """Whether there is an outage of the payments."""
        return self._outage[0] <= self._now < self._outage[1]

    def advance(self, seconds: float) -> None:
        """Simulate the next seconds."""
        ends = self._now + seconds
        while self._next_request < ends:
            self._now = self._next_request
            self._update_outage()
            self._request()
            # Waves of which the highest has nine times the traffic of the lowest.
            load = 1.0 + 0.8 * sin(2 * pi * self._now / DAY_SECONDS)
            self._next_request += self._random.expovariate(REQUESTS_PER_SECOND * load)
        self._now = ends
        self._update_outage()
        self._pack(seconds)

    def _update_outage(self) -> None:
        begins, ends = self._outage
        if self._now >= ends:
            begins = self._now + self._random.uniform(*BETWEEN_OUTAGES_SECONDS)
            self._outage = begins, begins + self._random.uniform(*OUTAGE_SECONDS)
            self._instruments.payments.healthy()
        elif self.is_out:
            self._instruments.payments.unhealthy("the payment provider does not answer")

    def _request(self) -> None:
        chance, to = self._random, self._instruments
        (route,) = chance.choices(ROUTES, [each.share for each in ROUTES])
        duration = route.duration * chance.lognormvariate(0.0, 0.5)
        if route.cached:
            hit = chance.random() < 0.85  # noqa: PLR2004 - the share of hits
            to.lookups.labels("hit" if hit else "miss").inc()
            duration *= 0.1 if hit else 1.0
        if route.path == "/search":
            # Few terms are popular, and most of the others are rare.
            rank = int(len(TERMS) * chance.random() ** 3)
            to.searches.labels(TERMS[rank]).inc()
        status = 200 if chance.random() < 0.98 else 404  # noqa: PLR2004 - the share of successes
        if route is CHECKOUT and self.is_out:
            status, duration = 503, duration + 1.0
            to.errors.labels("payment provider").inc()
        elif route is CHECKOUT:
            to.queue.inc()
        elif chance.random() < 0.002:  # noqa: PLR2004 - the share of faults
            status = 500
            to.errors.labels("database").inc()
        to.requests.labels(route.method, route.path, status).update(duration)
        to.sizes.labels(route.path).update(int(route.size * chance.lognormvariate(0.0, 0.4)))

    def _pack(self, seconds: float) -> None:
        queue = self._instruments.queue
        self._packed += seconds * ORDERS_PER_SECOND * self._random.uniform(0.2, 0.6)
        packed = min(int(self._packed), int(queue.snapshot().value))
        queue.dec(packed)
        self._packed = min(self._packed - packed, 1.0)


@contextmanager
def traffic(registry: Registry, instruments: ShopInstruments) -> Iterator[Shop]:
    """Simulate the shop in a thread of its own; a disabled registry's has none.

    Raises:
        StopTimeoutError: the thread did not end in the time of the stop.
    """
    shop = Shop(instruments, Random())  # noqa: S311 - no secret depends on it
    stopping = threading.Event()

    def simulate() -> None:
        before = SYSTEM_CLOCK.monotonic()
        while not stopping.wait(STEP_SECONDS):
            now = SYSTEM_CLOCK.monotonic()
            # A suspended machine does not catch up.
            shop.advance(min(now - before, 1.0))
            before = now

    thread = threading.Thread(target=simulate, name="demo-traffic", daemon=True)
    if registry.enabled:
        thread.start()
    try:
        yield shop
    finally:
        stopping.set()
        if thread.ident is not None and not join(thread, remaining()):
            raise StopTimeoutError("the simulated shop has not stopped in time")


class DemoContainer(Container):
    """Container of `python -m app --demo`: the agent's resources, and the shop's."""

    registry = Container.registry

    requests = Resource(
        resources.timers,
        registry,
        "shop/requests",
        ("method", "route", "status"),
        description="Durations of requests",
    )
    sizes = Resource(
        resources.bucket_histograms,
        registry,
        "shop/responses",
        ("route",),
        unit="bytes",
        description="Sizes of responses",
    )
    lookups = Resource(
        resources.counters,
        registry,
        "shop/cache/lookups",
        ("result",),
        description="Lookups in the cache of pages",
    )
    searches = Resource(
        resources.counters,
        registry,
        "shop/searches",
        ("term",),
        max_children=MOST_TERMS,
        description="Searches by term, of which there are more than this family may have",
    )
    errors = Resource(
        resources.counters,
        registry,
        "shop/errors",
        ("source",),
        description="Failures, which come in bursts",
    )
    queue = Resource(
        resources.int_gauge, registry, "shop/queue", description="Orders that wait to be packed"
    )
    payments = Resource(
        resources.healthcheck,
        registry,
        "shop/payments",
        description="Whether the payment provider answers",
    )
    instruments = providers.Factory(
        ShopInstruments, requests, sizes, lookups, searches, errors, queue, payments
    )
    shop = Resource(traffic, registry, instruments)
