"""Rows read back as the recorded values, and no cell is a formula."""

import csv as stdlib
import io
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry, Snapshot
from metrics.exporters import csv
from tests.exporters.examples import NOW_NS, everything, names, numbers, texts
from tests.exporters.page_reading import Custom

TIME = "1700000000.123456789"

GOLDEN = """timestamp,name,labels,field,value
T,build,,value.version,1.2
T,build,,value.commit,"a""b
"
T,call,,count,1
T,call,,min,0.25
T,call,,max,0.25
T,call,,mean,0.25
T,call,,stddev,0.0
T,call,,median,0.25
T,call,,75%,0.25
T,call,,95%,0.25
T,call,,99%,0.25
T,call,,99.9%,0.25
T,call,,1m.rate,0.2
T,call,,5m.rate,0.2
T,call,,15m.rate,0.2
T,call,,mean.rate,0.1
T,cpu,,count,1.5
T,db,,error,
T,disk,,error,division by zero
T,height,,value,12345678
T,hits,"{method=""\\""\\n""}",count,1
T,hits,"{method=""GET""}",count,3
T,in-flight,,count,-2
T,pause,,count,1
T,pause,,min,0.5
T,pause,,max,0.5
T,pause,,mean,0.5
T,pause,,stddev,0.0
T,pause,,median,0.5
T,pause,,75%,0.5
T,pause,,95%,0.5
T,pause,,99%,0.5
T,pause,,99.9%,0.5
T,sent,,count,5120
T,sent,,1m.rate,1024.0
T,sent,,5m.rate,1024.0
T,sent,,15m.rate,1024.0
T,sent,,mean.rate,512.0
T,served,,count,1
T,served,,mean,0.75
T,served,,sum,0.75
T,served,,buckets.0.5,0
T,served,,buckets.1.0,1
T,served,,buckets.+Inf,1
T,served,,1m.rate,0.0
T,served,,5m.rate,0.0
T,served,,15m.rate,0.0
T,served,,mean.rate,0.1
T,size,,count,2
T,size,,min,10.0
T,size,,max,20.0
T,size,,mean,15.0
T,size,,stddev,5.0
T,size,,median,15.0
T,size,,75%,20.0
T,size,,95%,20.0
T,size,,99%,20.0
T,size,,99.9%,20.0
T,used,,value,1610612736.0
T,wait,,count,1
T,wait,,mean,0.75
T,wait,,sum,0.75
T,wait,,buckets.0.5,0
T,wait,,buckets.1.0,1
T,wait,,buckets.+Inf,1
"""


def rows(registry: Registry) -> list[list[str]]:
    page = csv.render(registry, timestamp_ns=NOW_NS, header=False).decode()
    return list(stdlib.reader(io.StringIO(page, newline=""), strict=True))


def unguarded(text: str) -> str:
    return text.removeprefix("'")


def test_an_empty_registry_is_a_header_without_rows():
    assert csv.render(Registry(), timestamp_ns=NOW_NS) == b"timestamp,name,labels,field,value\r\n"
    assert csv.render(Registry(), timestamp_ns=NOW_NS, header=False) == b""


def test_every_instrument_has_its_rows():
    page = csv.render(everything(), timestamp_ns=NOW_NS).decode()
    assert page.replace("\r\n", "\n").replace(TIME, "T") == GOLDEN


def test_rows_end_with_a_carriage_return_and_a_line_feed():
    registry = Registry()
    registry.counter("a").inc()
    page = csv.render(registry, timestamp_ns=1)
    assert page == b"timestamp,name,labels,field,value\r\n0.000000001,a,,count,1\r\n"


def test_without_a_header_a_file_can_be_appended_to():
    registry = Registry()
    registry.counter("a").inc()
    page = csv.render(registry, timestamp_ns=10**18, header=False)
    assert page == b"1000000000.000000000,a,,count,1\r\n"
    assert csv.render(Registry(), timestamp_ns=0, header=False) == b""


@given(st.dictionaries(names, numbers))
def test_numbers_read_back_as_the_same_numbers(values):
    registry = Registry()
    recorded = {}
    for name, value in values.items():
        try:
            made = registry.int_gauge if isinstance(value, int) else registry.gauge
            made(name).set(value)
        except ValueError:
            continue  # exported like one that is there
        recorded[name] = repr(value)
    assert {unguarded(name): value for _, name, _, _, value in rows(registry)} == recorded


@given(st.floats())
def test_a_float_reads_back_bit_by_bit(value):
    registry = Registry()
    registry.gauge("a").set(value)
    ((*_, text),) = rows(registry)
    assert float(text) == value or math.isnan(value)


@given(st.dictionaries(texts, texts), st.lists(texts, unique=True))
def test_any_info_labels_and_labels_read_back(facts, labels):
    registry = Registry()
    registry.info("a").set(facts)
    family = registry.counters("b", labels=("x",))
    for label in labels:
        family.labels(label)
    found = rows(registry)
    read = {row[3].removeprefix("value."): unguarded(row[4]) for row in found if row[1] == "a"}
    assert read == facts
    assert len({row[2] for row in found if row[1] == "b"}) == len(labels)


@given(names, texts, texts)
def test_no_cell_but_a_number_is_a_formula(name, fact, label):
    registry = Registry()
    registry.info(name).set({fact: fact})
    registry.counters("=overdrawn", labels=("x",)).labels(label)
    for row, column in itertools.product(rows(registry), range(5)):
        if row[3] != "count" or column != 4:
            assert not row[column].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_a_text_that_could_be_a_formula_gets_an_apostrophe():
    registry = Registry()
    registry.info("@sum").set({"a": "=1+1", "b": "'quoted'", "c": "1-1"})
    assert [row[1:] for row in rows(registry)] == [
        ["'@sum", "", "value.a", "'=1+1"],
        ["'@sum", "", "value.b", "''quoted'"],
        ["'@sum", "", "value.c", "1-1"],
    ]


def test_a_field_of_a_foreign_instrument_is_no_formula():
    class Own(Snapshot):
        def to_dict(self) -> dict[str, object]:
            return {"=left": {"-": 1}}

        def snapshot(self, reader: str = "") -> Snapshot:
            return self

    registry = Registry()
    registry.register("own", Custom(Own()))
    assert [row[1:] for row in rows(registry)] == [["own", "", "'=left.-", "1"]]


def test_a_negative_number_stays_a_number():
    registry = Registry()
    registry.gauge("a").set(-1.5)
    registry.int_gauge("b").set(-(10**5000))
    assert [row[4] for row in rows(registry)] == ["-1.5", "-inf"]


def test_half_a_surrogate_pair_does_not_fail_the_page():
    registry = Registry()
    registry.counters("a", labels=("x",)).labels("\ud800")
    assert rows(registry)[0][2] == '{x="\\ud800"}'


@pytest.mark.parametrize(
    ("timestamp_ns", "error"), [(-1, ValueError), (1 << 63, ValueError), (1.5, TypeError)]
)
def test_a_wrong_time_is_an_error_of_the_call_itself(timestamp_ns, error):
    with pytest.raises(error, match="timestamp_ns"):
        csv.stream(Registry(), timestamp_ns=timestamp_ns)


def test_a_large_registry_comes_in_chunks_of_whole_rows():
    registry = Registry()
    family = registry.counters("hits", labels=("x",), max_children=5000)
    for index in range(5000):
        family.labels(index)
    chunks = list(csv.stream(registry, timestamp_ns=NOW_NS))
    assert len(chunks) > 1
    assert all(chunk.endswith(b"\r\n") and len(chunk) < 40_000 for chunk in chunks)
    assert b"".join(chunks) == csv.render(registry, timestamp_ns=NOW_NS)
