"""A line has the values of an instrument, and no text in it makes another line."""

from hypothesis import given
from hypothesis import strategies as st

from metrics import Info, Registry
from metrics.exporters import log_lines
from tests.exporters.examples import names, numbers, texts


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


def test_an_info_with_a_forged_line_stays_one_line():
    info = Info()
    info.set({"a": "x\nroot count=1", "b\x85": "\u2028"})
    registry = Registry()
    registry.register("i", info)
    expected = rb'i value={"a": "x\nroot count=1", "b\x85": "\u2028"}' + b"\n"
    assert log_lines.render(registry) == expected
