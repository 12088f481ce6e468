"""Types of instruments, of the shortcuts of a registry, and of the hooks of single instruments."""

from typing import assert_type

from metrics import (
    BucketHistogram,
    Clock,
    Counter,
    FloatCounter,
    Gauge,
    GaugeSnapshot,
    Histogram,
    Meter,
    Registry,
    RegistrySnapshot,
    Ticker,
    Timer,
    resources,
)


class Disk:
    """Instrument of a program."""

    def snapshot(self, reader: str = "") -> GaugeSnapshot:
        return GaugeSnapshot(1.0)


registry = Registry()
assert_type(registry.counter("a", unit="bytes"), Counter)
assert_type(registry.float_counter("a"), FloatCounter)
assert_type(registry.gauge("a"), Gauge)
assert_type(registry.meter("a"), Meter)
assert_type(registry.histogram("a"), Histogram)
assert_type(registry.bucket_histogram("a", (1, 2.5)), BucketHistogram)
assert_type(registry.register("r", Meter(), ticker=registry.ticker), Meter)
assert_type(registry.register("disk", Disk()), Disk)
assert_type(registry.clock, Clock)
assert_type(registry.snapshot(), RegistrySnapshot)

counter = registry.counter("c")
assert_type(counter.count, int)
assert_type(registry.float_counter("c").count, float)
counter.inc()
counter.inc(2)
registry.gauge("g").set(2.5)

with resources.meter(registry, "m", ticker=Ticker()) as meter:
    assert_type(meter, Meter)
with resources.registered(registry, "z", Disk()) as disk:
    assert_type(disk, Disk)

timer = registry.timer("t")
assert_type(timer, Timer)


@timer.timed
def add(a: int, b: int = 0) -> int:
    return a + b


@registry.gauge("g").track_inprogress()
@registry.counter("e").count_exceptions((KeyError, OSError))
async def fetch(_url: str) -> bytes:
    return b""


assert_type(add(1, b=2), int)


async def use() -> bytes:
    with timer.time() as stopwatch, registry.gauge("g").track_inprogress():
        assert_type(stopwatch.seconds, float)
        return await fetch("url")


counter.inc("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
counter.inc(1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
counter.add(1)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
registry.gauge("g").set("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
registry.counter("d", max_children=9)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
registry.counter("d", labels=("a",))  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
registry.timer("d", histogram=BucketHistogram)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
registry.register("d", 5)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]
resources.meter(registry, Ticker(), "d")  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
resources.meter(registry, "d", clock=None)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
resources.counter(registry, "d", ("a",))  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportCallIssue]
resources.host(registry, Ticker())  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
add("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
fetch(5)  # type: ignore[arg-type, unused-coroutine]  # pyright: ignore[reportArgumentType, reportUnusedCoroutine]
