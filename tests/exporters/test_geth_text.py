"""The plain text is go-ethereum's, and no label makes a line of its own."""

import pytest
from hypothesis import given

from metrics import Registry, Snapshot
from metrics.exporters import geth_text
from tests.exporters.examples import everything, texts
from tests.exporters.page_reading import Custom

GOLDEN = r"""gauge build
  value:       {"commit": "a\"b\n", "version": "1.2"}
timer call
  count:               1
  min:         250000000
  max:         250000000
  mean:        250000000.00
  stddev:              0.00
  median:      250000000.00
  75%:         250000000.00
  95%:         250000000.00
  99%:         250000000.00
  99.9%:       250000000.00
  1-min rate:          0.20
  5-min rate:          0.20
  15-min rate:         0.20
  mean rate:           0.10
counter cpu
  count:       1.500000
healthcheck db
  error:       <nil>
healthcheck disk
  error:       division by zero
gauge height
  value:        12345678
counter hits{method="\"\n"}
  count:               1
counter hits{method="GET"}
  count:               3
counter in-flight
  count:              -2
timer pause
  count:               1
  min:         500000000
  max:         500000000
  mean:        500000000.00
  stddev:              0.00
  median:      500000000.00
  75%:         500000000.00
  95%:         500000000.00
  99%:         500000000.00
  99.9%:       500000000.00
meter sent
  count:            5120
  1-min rate:       1024.00
  5-min rate:       1024.00
  15-min rate:      1024.00
  mean rate:         512.00
timer served
  count:               1
  min:         500000000
  max:         1000000000
  mean:        750000000.00
  stddev:      144337567.30
  median:      750000000.00
  75%:         875000000.00
  95%:         975000000.00
  99%:         995000000.00
  99.9%:       999500000.00
  1-min rate:          0.00
  5-min rate:          0.00
  15-min rate:         0.00
  mean rate:           0.10
histogram size
  count:               2
  min:                10
  max:                20
  mean:               15.00
  stddev:              5.00
  median:             15.00
  75%:                20.00
  95%:                20.00
  99%:                20.00
  99.9%:              20.00
gauge used
  value:       1610612736.000000
histogram wait
  count:               1
  min:                 0.50
  max:                 1
  mean:                0.75
  stddev:              0.14
  median:              0.75
  75%:                 0.88
  95%:                 0.97
  99%:                 0.99
  99.9%:               1.00
"""


def test_every_instrument_has_the_text_of_go_ethereum():
    assert geth_text.render(everything()).decode() == GOLDEN


def test_timers_are_in_the_requested_unit():
    registry = Registry()
    registry.timer("call", sampled=True).update(0.25)
    text = geth_text.render(registry, duration_unit="milliseconds").decode()
    assert "  min:               250\n" in text
    text = geth_text.render(registry, duration_unit="seconds").decode()
    assert "  min:                 0.25\n" in text


def test_a_wrong_unit_is_an_error_of_the_call_itself():
    with pytest.raises(ValueError, match="'hours'"):
        geth_text.stream(Registry(), duration_unit="hours")


@given(texts, texts)
def test_every_line_is_a_heading_or_a_number(label, fact):
    registry = Registry()
    registry.counters("a", labels=("x",)).labels(label)
    registry.info("b").set({fact: fact})
    lines = geth_text.render(registry).decode().splitlines()
    assert [line.split()[0] for line in lines] == ["counter", "count:", "gauge", "value:"]
    assert all(line.isprintable() for line in lines)


def test_numbers_beyond_every_float_do_not_fail_the_page():
    registry = Registry()
    registry.int_gauge("a").set(10**5000)
    registry.gauge("b").set(float("nan"))
    assert (
        geth_text.render(registry) == b"gauge a\n  value:       inf\ngauge b\n  value:       nan\n"
    )


def test_a_foreign_instrument_shows_its_fields():
    class Own(Snapshot):
        fields = ("snapshot_of",)
        snapshot_of = "a\nb"

        def snapshot(self, reader: str = "") -> Snapshot:
            return self

    registry = Registry()
    registry.register("own", Custom(Own()))
    assert geth_text.render(registry) == b'metric own\n  snapshot_of: "a\\nb"\n'


def test_chunks_are_whole_lines():
    registry = Registry()
    family = registry.counters("hits", labels=("x",), max_children=5000)
    for index in range(5000):
        family.labels(index)
    chunks = list(geth_text.stream(registry))
    assert len(chunks) > 1
    assert all(chunk.endswith(b"\n") for chunk in chunks)
    assert b"".join(chunks) == geth_text.render(registry)
