"""Rows read back as the recorded values, and no cell is a formula."""

import csv as stdlib
import io
import itertools
import math

from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry, Snapshot
from metrics.exporters import csv
from tests.exporters.examples import NOW_NS, gauges, names, numbers, texts
from tests.exporters.page_reading import Custom


def rows(registry: Registry) -> list[list[str]]:
    page = csv.render(registry, timestamp_ns=NOW_NS, header=False).decode()
    return list(stdlib.reader(io.StringIO(page, newline=""), strict=True))


def unguarded(text: str) -> str:
    return text.removeprefix("'")


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
    registry, recorded = gauges(values)
    found = {unguarded(name): value for _, name, _, _, value in rows(registry)}
    assert found == {name: repr(value) for name, value in recorded.items()}


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
