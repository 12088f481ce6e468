"""A line has the values of an instrument, and no text in it makes another line."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from metrics import Info, Registry, Snapshot
from metrics.exporters import log_lines
from tests.exporters.examples import everything, names, numbers, texts

GOLDEN = r"""build value={"commit": "a\"b\n", "version": "1.2"}
call count=1 min=250ms mean=250ms max=250ms p50=250ms p75=250ms p95=250ms p99=250ms p999=250ms 1m=0.2/s 5m=0.2/s 15m=0.2/s rate=0.1/s
cpu count=1.5s
db healthy=true
disk healthy=false error="division by zero"
height value=12345678 unit=blocks
hits{method="\"\n"} count=1
hits{method="GET"} count=3
in-flight count=-2
pause count=1 min=500ms mean=500ms max=500ms p50=500ms p75=500ms p95=500ms p99=500ms p999=500ms
sent count=5KiB 1m=1KiB/s 5m=1KiB/s 15m=1KiB/s rate=512B/s
served count=1 min=500ms mean=750ms max=1s p50=750ms p75=875ms p95=975ms p99=995ms p999=999.5ms 1m=0/s 5m=0/s 15m=0/s rate=0.1/s
size count=2 min=10 mean=15 max=20 p50=15 p75=20 p95=20 p99=20 p999=20
used value=1.5GiB
wait count=1 min=500us mean=750us max=1ms p50=750us p75=875us p95=975us p99=995us p999=999.5us
"""  # noqa: E501 - as long as it is


def test_every_instrument_has_its_line():
    assert log_lines.render(everything()).decode() == GOLDEN


def test_an_empty_registry_has_no_line():
    assert log_lines.render(Registry()) == b""


def test_an_empty_sample_has_a_count_alone():
    registry = Registry()
    registry.histogram("size")
    registry.resetting_timer("pause")
    assert log_lines.render(registry) == b"pause count=0\nsize count=0\n"


@given(st.lists(texts, min_size=1, max_size=3), texts, texts)
def test_no_label_info_label_or_unit_makes_a_line_of_its_own(labels, fact, unit):
    registry = Registry()
    family = registry.gauges("a", labels=("x",), unit=unit)
    for label in labels:
        family.labels(label)
    registry.info("b").set({fact: fact})

    def fail() -> None:
        raise ValueError(fact)

    registry.healthcheck("c", fail)
    registry.run_healthchecks()
    text = log_lines.render(registry).decode()
    assert len(text.splitlines()) == len(set(labels)) + 2 == text.count("\n")
    assert text.replace("\n", "").isprintable()


@given(st.lists(st.tuples(texts, texts), unique=True))
def test_different_labels_make_different_lines(labels):
    registry = Registry()
    family = registry.counters("a", labels=("x", "y"))
    for pair in labels:
        family.labels(*pair)
    assert len(set(log_lines.render(registry).splitlines())) == len(labels)


@given(names, numbers)
def test_the_line_of_any_gauge_begins_with_its_name(name, value):
    registry = Registry()
    gauge = registry.int_gauge if isinstance(value, int) else registry.gauge
    gauge(name).set(value)
    assert log_lines.render(registry).decode().startswith(f"{name} value=")


def test_numbers_beyond_every_float_do_not_fail_the_page():
    registry = Registry()
    registry.int_gauge("a", unit="bytes").set(-(10**5000))
    registry.counter("b").inc(10**5000)
    assert log_lines.render(registry) == b"a value=-infB\nb count=inf\n"


def test_a_foreign_instrument_shows_its_fields():
    class Pair(Snapshot):
        fields = ("left", "right")
        left = 1
        right = "a\nb"

    class Own:
        def snapshot(self, reader: str = "") -> Snapshot:
            return Pair()

    registry = Registry()
    registry.register("own", Own())
    assert log_lines.render(registry) == b'own left=1 right="a\\nb"\n'


def test_chunks_are_whole_lines_and_are_yielded_during_the_read():
    registry = Registry()
    family = registry.counters("hits", labels=("x",), max_children=5000)
    for index in range(5000):
        family.labels(index)
    chunks = list(log_lines.stream(registry))
    assert len(chunks) > 1
    assert all(chunk.endswith(b"\n") and len(chunk) < 40_000 for chunk in chunks)
    assert b"".join(chunks) == log_lines.render(registry)


def test_the_registry_is_not_read_before_the_first_chunk_is_requested():
    read = itertools.count()
    registry = Registry()
    registry.int_gauge("a", function=lambda: next(read))
    chunks = log_lines.stream(registry)
    assert next(read) == 0
    assert list(chunks) == [b"a value=1\n"]


def test_values_that_reset_at_a_read_reset_for_its_reader_alone():
    registry = Registry()
    registry.resetting_timer("pause").update(1.0)
    assert log_lines.render(registry, reader="other").startswith(b"pause count=1 ")
    assert log_lines.render(registry).startswith(b"pause count=1 ")
    assert log_lines.render(registry) == b"pause count=0\n"


def test_an_info_with_a_forged_line_stays_one_line():
    info = Info()
    info.set({"a": "x\nroot count=1", "b\x85": "\u2028"})
    registry = Registry()
    registry.register("i", info)
    expected = rb'i value={"a": "x\nroot count=1", "b\x85": "\u2028"}' + b"\n"
    assert log_lines.render(registry) == expected
