import socket
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from metrics import Registry
from metrics.reporters import opentsdb
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything
from tests.processes import LOOPBACK, until
from tests.reporters.real import Point, Victoria
from tests.reporters.recorded import NUMBERS

NEVER = 3600.0
"""An interval that does not end within a test: only the last report is made."""

AWKWARD = {
    "a b": "a_b",
    "c,d": "c_d",
    "e=f": "e_f",
    'g"h': "g_h",
    "'i": "_i",
    "j\\k": "j_k",
    "l\nm": "l_m",
    "n.o/p-q_r": "n.o/p-q_r",
    "éß": "éß",
}
"""Label values, and what the server's letters leave of them."""

Report = Callable[..., None]

numbers = count()


def by_telnet(registry: Registry, victoria: Victoria, **options: Any) -> None:
    port = victoria.opentsdb_port
    with opentsdb.tcp(registry, LOOPBACK, port, **{"interval": NEVER, **options}):
        pass


def over_http(registry: Registry, victoria: Victoria, **options: Any) -> None:
    with opentsdb.http(registry, victoria.opentsdb_url, **{"interval": NEVER, **options}):
        pass


both_ways = pytest.mark.parametrize("report", [by_telnet, over_http])


@both_ways
def test_what_is_recorded_is_read_back_for_every_instrument(victoria: Victoria, report: Report):
    test = f"opentsdb-{next(numbers)}"
    clock = ManualClock(epoch=NOW_NS / 1e9)
    report(everything(), victoria, namespace="geth", labels={"test": test}, clock=clock)
    expected = {f"geth.{name}": pytest.approx(value) for name, value in NUMBERS.items()}

    def read_back() -> list[Point]:
        points = victoria.points(test=test)
        found = {point.name: point.value for point in points}
        assert found.items() >= expected.items()
        return points

    points = until(read_back, "all is there")
    assert {point.seconds for point in points} == {int(clock.time())}
    assert {point.tags["host"] for point in points} == {socket.gethostname()}
    labelled = {point.tags.get("method"): point.value for point in points}
    assert (labelled["GET"], labelled["__"]) == (3, 1)
    (facts,) = [point.tags for point in points if point.name == "geth.build.value"]
    assert facts == {
        "commit": "a_b_",
        "host": socket.gethostname(),
        "test": test,
        "version": "1.2",
    }


@both_ways
def test_awkward_labels_are_stored_in_the_letters_there_are(victoria: Victoria, report: Report):
    test = f"awkward-{next(numbers)}"
    registry = Registry()
    family = registry.gauges("awk", labels=("l", "host"))
    for number, text in enumerate(AWKWARD):
        family.labels(text, "here").set(number)
    report(registry, victoria, labels={"test": test}, host_tag="elsewhere")
    points = victoria.has(len(AWKWARD), test=test, __name__="awk.value")
    found = {point.tags["l"]: point.value for point in points}
    assert found == {text: number for number, text in enumerate(AWKWARD.values())}
    assert {point.tags["host"] for point in points} == {"here"}


@both_ways
def test_a_large_registry_is_read_back_whole(victoria: Victoria, report: Report):
    test = f"large-{next(numbers)}"
    registry = Registry()
    family = registry.int_gauges("n", labels=("i",), max_children=2_000)
    for number in range(2_000):
        family.labels(f"{number}").set(number)
    report(registry, victoria, labels={"test": test}, duration_unit="seconds")
    points = victoria.has(2_000, test=test, __name__="n.value")
    assert sorted(point.value for point in points) == list(range(2_000))


def test_one_request_has_no_more_points_than_it_is_told(victoria: Victoria):
    registry = Registry()
    registry.counter("hits").inc()
    with opentsdb.http(registry, victoria.opentsdb_url, interval=NEVER, batch_size=2):
        sent = registry.counter("reporter/opentsdb/sent")
    # This counter, the reporter's three, and the count of its latencies.
    assert sent.count == 3


@both_ways
def test_what_a_configuration_leaves_out_is_the_default(victoria: Victoria, report: Report):
    test = f"left-out-{next(numbers)}"
    names = "namespace duration_unit host_tag name timeout connect_timeout buffered buffered_bytes"
    report(everything(), victoria, labels={"test": test}, **dict.fromkeys(names.split()))
    (point,) = victoria.has(1, test=test, __name__="call.max")
    assert (point.value, point.tags["host"]) == (250, socket.gethostname())
