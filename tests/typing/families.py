"""Types of families, by the shortcuts of a registry and by hooks."""

from typing import assert_type

from metrics import BucketHistogram, Counter, Family, Histogram, Registry, Ticker, Timer, resources

registry = Registry()
assert_type(registry.counters("b", labels=("method",), max_children=9), Family[Counter])
assert_type(registry.counters("b", labels=("method",)).labels("GET"), Counter)
assert_type(registry.counters("b", ("method",)).labels(method="GET"), Counter)
assert_type(registry.timers("t", ("method",), bounds=(1,), description="Calls."), Family[Timer])
assert_type(registry.histograms("h", ("method",)), Family[Histogram])
assert_type(registry.bucket_histograms("bh", ("method",), (1, 2.5)), Family[BucketHistogram])
assert_type(registry.family("f", Timer, ("method",)), Family[Timer])
assert_type(Family(Counter, ["status"]), Family[Counter])

with resources.counters(registry, "x", ("a",), max_children=5) as counters:
    assert_type(counters, Family[Counter])
with resources.timers(registry, "x", labels=("a",), sampled=True, ticker=Ticker()) as timers:
    assert_type(timers, Family[Timer])
with resources.family(registry, "y", BucketHistogram, ("a",)) as family:
    assert_type(family, Family[BucketHistogram])

registry.counters("d")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
registry.counters("d", ("a",), ticks=5)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
registry.counters("d", ("a",)).inc()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
registry.counters("d", ("a",)).labels("x").mark()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
registry.timers("d", ("a",), unit="seconds")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
registry.family("d", Timer)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
resources.counters(registry, "d")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
resources.timers(registry, "d", ("a",), unit="seconds")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
