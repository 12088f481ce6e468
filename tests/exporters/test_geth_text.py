"""The plain text is go-ethereum's, and no label makes a line of its own."""

from hypothesis import given

from metrics import Registry
from metrics.exporters import geth_text
from tests.exporters.examples import texts


def test_timers_are_in_the_requested_unit():
    registry = Registry()
    registry.timer("call", sampled=True).update(0.25)
    text = geth_text.render(registry, duration_unit="milliseconds").decode()
    assert "  min:               250\n" in text
    text = geth_text.render(registry, duration_unit="seconds").decode()
    assert "  min:                 0.25\n" in text


@given(texts, texts)
def test_every_line_is_a_heading_or_a_number(label, fact):
    registry = Registry()
    registry.counters("a", labels=("x",)).labels(label)
    registry.info("b").set({fact: fact})
    lines = geth_text.render(registry).decode().splitlines()
    assert [line.split()[0] for line in lines] == ["counter", "count:", "gauge", "value:"]
    assert all(line.isprintable() for line in lines)
