from itertools import count
from time import time

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from metrics import Registry
from metrics.reporters import graphite
from metrics.reporters._push.reporter import Reporter
from metrics.testing import ManualClock
from tests.exporters.examples import NOW_NS, everything
from tests.processes import LOOPBACK, until
from tests.reporters.real import Carbon, Point, Victoria
from tests.reporters.recorded import NUMBERS

pytestmark = pytest.mark.slow(reason="starts Carbon")

NEVER = 3600.0
"""An interval that does not end within a test: only the last report is made."""

AWKWARD = {
    "a b": "a_b",
    "a;c": "a_c",
    "a\nd": "a_d",
    "a,b": "a,b",
    "a=b": "a=b",
    'a"b': 'a"b',
    "'": "'",
    "a\\b": "a\\b",
    "a\\": "a\\",
    "a.b/c": "a.b/c",
    "é😀": "é😀",
    "~x": "_x",
    "#": "#",
}
"""Label values, and what the protocol makes of them."""

prefixes = (f"t{number}" for number in count())


def report_once(registry: Registry, port: int, **options) -> Reporter:
    with graphite.tcp(registry, LOOPBACK, port, **{"interval": NEVER, **options}) as reporter:
        return reporter


def test_carbon_stores_what_is_recorded_by_every_instrument(carbon: Carbon):
    prefix = next(prefixes)
    clock = ManualClock(epoch=time())
    report_once(everything(), carbon.port, namespace=prefix, clock=clock)

    def read_back() -> bool:
        for name, value in NUMBERS.items():
            wanted = [(int(clock.time()), pytest.approx(value))]
            assert carbon.stored(f"{prefix}.{name}") == wanted, name
        now = int(clock.time())
        assert carbon.stored(f"{prefix}.hits.count", method="GET") == [(now, 3)]
        assert carbon.stored(f"{prefix}.hits.count", method='"_') == [(now, 1)]
        assert carbon.stored(f"{prefix}.build.value", commit='a"b_', version="1.2") == [(now, 1)]
        return True

    until(read_back, "all is there")


def test_victoria_stores_what_is_recorded_by_every_instrument(victoria: Victoria):
    prefix = next(prefixes)
    clock = ManualClock(epoch=NOW_NS / 1e9)
    tags = {"test": "graphite"}
    report_once(everything(), victoria.graphite_port, namespace=prefix, labels=tags, clock=clock)
    expected = {f"{prefix}.{name}": pytest.approx(value) for name, value in NUMBERS.items()}

    def read_back() -> list[Point]:
        points = victoria.points(test="graphite")
        found = {point.name: point.value for point in points if len(point.tags) == 1}
        assert found.items() >= expected.items()
        return points

    points = until(read_back, "all is there")
    assert {point.seconds for point in points} == {int(clock.time())}


def awkward() -> Registry:
    registry = Registry()
    family = registry.gauges("awk", labels=("l",))
    for number, text in enumerate(AWKWARD):
        family.labels(text).set(number)
    return registry


def test_carbon_stores_awkward_labels(carbon: Carbon):
    prefix = next(prefixes)
    report_once(awkward(), carbon.port, namespace=prefix)

    def read_back() -> bool:
        for number, text in enumerate(AWKWARD.values()):
            assert [value for _, value in carbon.stored(f"{prefix}.awk.value", l=text)] == [number]
        return True

    until(read_back, "all is there")


def test_victoria_stores_awkward_labels(victoria: Victoria):
    prefix = next(prefixes)
    report_once(awkward(), victoria.graphite_port, namespace=prefix)
    points = victoria.has(len(AWKWARD), __name__=f"{prefix}.awk.value")
    found = {point.tags["l"]: point.value for point in points}
    assert found == {text: number for number, text in enumerate(AWKWARD.values())}


@settings(max_examples=4, phases=[Phase.generate])
@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=9).filter(
            lambda text: ";" not in text and text[0] != "~"
        ),
        st.floats(allow_nan=False, allow_infinity=False),
        min_size=1,
        max_size=40,
    )
)
def test_carbon_stores_any_number_with_any_label(carbon: Carbon, floats: dict[str, float]):
    prefix = next(prefixes)
    registry = Registry()
    family = registry.gauges("float", labels=("of",))
    for text, value in floats.items():
        family.labels(text).set(value)
    report_once(registry, carbon.port, namespace=prefix)

    def read_back() -> bool:
        for text, value in floats.items():
            assert [got for _, got in carbon.stored(f"{prefix}.float.value", of=text)] == [value]
        return True

    until(read_back, "all is there")


def test_labels_are_nodes_where_tags_are_unknown(carbon: Carbon):
    prefix = next(prefixes)
    registry = Registry()
    registry.counters("hits", labels=("method",)).labels("a.b c").inc(3)
    registry.timer("call").update(0.25)
    report_once(
        registry,
        carbon.port,
        namespace=prefix,
        label_style="nodes",
        labels={"zone": "eu"},
        duration_unit="seconds",
    )
    wanted = {"call.zone.eu.max": 0.25, "hits.zone.eu.method.a_b_c.count": 3.0}

    def read_back() -> bool:
        for name, value in wanted.items():
            assert [got for _, got in carbon.stored(f"{prefix}.{name}")] == [value]
        return True

    until(read_back, "all is there")


def test_what_a_configuration_leaves_out_is_the_default(carbon: Carbon):
    names = "namespace labels label_style duration_unit name timeout connect_timeout buffered"
    registry = Registry()
    registry.counter("left/out").inc(3)
    with graphite.tcp(registry, None, carbon.port, interval=0.02, **dict.fromkeys(names.split())):
        until(lambda: carbon.stored("left.out.count"), "it is there")
