"""The files of a group: read as they were written, and refused if they are of another origin."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics import Registry
from metrics.clock import SYSTEM_CLOCK
from metrics.integrations._group import files, merging
from metrics.integrations._group.files import (
    HEADER,
    Columns,
    MemberFile,
    SeriesTable,
    decode,
    dump,
    empty_table,
    encode,
)
from metrics.integrations._group.merging import Contribution, MergedTables
from metrics.integrations._group.reading import RegistryColumns, thin_out
from metrics.registry._inner import store_of


def table_of(registry: Registry, mode: str = "sum") -> SeriesTable:
    columns = RegistryColumns(SYSTEM_CLOCK, lambda _: mode)
    return columns.read(store_of(registry).entries())


def full_registry() -> Registry:
    registry = Registry(labels={"zone": "eu"})
    registry.counter("a/größe", description="One.", unit="bytes").inc(2**80)
    registry.float_counter("b").inc(0.1)
    registry.gauge("c").set(math.nan)
    registry.int_gauge("d").set(-(2**70))
    registry.timers("e", labels=("x",), bounds=(0.5,)).labels("y").update(1)
    registry.timer("f", sampled=True).update(2)
    registry.histogram("g").update(3)
    registry.resetting_timer("h").update(4)
    registry.info("i").set({"k": "v"})
    registry.state_set("j", ("on", "off")).set("on")
    registry.healthcheck("k").unhealthy("gone")
    registry.meter("l").mark()
    registry.updown_counter("m").dec()
    registry.bucket_histogram("n", bounds=(1,)).update(1)
    registry.counters("o", labels=("x",))
    return registry


@pytest.mark.parametrize("mode", files.MODES)
def test_a_file_is_read_as_it_was_written(mode):
    living = table_of(full_registry(), mode)
    file = MemberFile({"created": 1.5}, living, empty_table(), empty_table())
    found = decode(encode(file))
    assert repr(found) == repr(
        file._replace(living=living._replace(columns=Columns(*json.loads(dump(living.columns)))))
    )
    assert found.living.columns.counts[0] == 2**80


@pytest.mark.parametrize("size", range(0, 400, 7))
def test_a_truncated_file_is_refused(size):
    data = encode(MemberFile({}, table_of(full_registry()), empty_table(), empty_table()))
    with pytest.raises(ValueError, match=r"length|checksum"):
        decode(data[:size])


def test_a_changed_file_is_refused():
    data = bytearray(
        encode(MemberFile({}, table_of(full_registry()), empty_table(), empty_table()))
    )
    data[HEADER.size + 50] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        decode(bytes(data))


def test_another_version_is_refused():
    data = bytearray(encode(MemberFile({}, empty_table(), empty_table(), empty_table())))
    data[9] += 1
    with pytest.raises(ValueError, match="unknown version 2"):
        decode(bytes(data))


def test_a_file_that_is_too_large_is_refused(monkeypatch):
    data = encode(MemberFile({}, table_of(full_registry()), empty_table(), empty_table()))
    monkeypatch.setattr(files, "LARGEST", 10)
    with pytest.raises(ValueError, match="at most 10"):
        decode(data)
    with pytest.raises(ValueError, match="at most 10"):
        encode(decode_limits_aside(data, monkeypatch))


def decode_limits_aside(data, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(files, "LARGEST", 1 << 20)
        return decode(data)


COUNTER = ["a", "counter", "", "", [], None, None, [[]]]
NONE: list = []


@pytest.mark.parametrize(
    ("records", "columns"),
    [
        ([COUNTER], [[], [], [], [], []]),
        ([COUNTER], [["1"], [], [], [], []]),
        ([COUNTER], [[1.5], [], [], [], []]),
        ([COUNTER], [[True], [], [], [], []]),
        ([COUNTER], [[1], [1.0], [], [], []]),
        ([COUNTER], [{"1": 1}, [], [], [], []]),
        ([COUNTER], [[1], [], [], []]),
        ([[*COUNTER[:1], "unknown", *COUNTER[2:]]], [[1], [], [], [], []]),
        ([[1, *COUNTER[1:]]], [[1], [], [], [], []]),
        ([COUNTER[:5]], [[1], [], [], [], []]),
        ([[*COUNTER[:4], [["zone"]], *COUNTER[5:]]], [[1], [], [], [], []]),
        ([[*COUNTER[:5], ["x"], None, [["y", "z"]]]], [[1], [], [], [], []]),
        ([[*COUNTER[:5], "x", None, [["y"]]]], [[1], [], [], [], []]),
        ([[*COUNTER[:7], [[1]]]], [[1], [], [], [], []]),
        ([[*COUNTER[:7], 5]], [[1], [], [], [], []]),
        ([["a", "gauge", "", "", [], None, "mean", [[]]]], [[], [], [1.0], [], []]),
        ([["a", "gauge", "", "", [], None, "sum", [[]]]], [[], [], ["1"], [], []]),
        ([["a", "bucket_histogram", "", "", [], None, ["1"], [[]]]], [[1, 2], [1.0], [0], [], []]),
        ([["a", "bucket_histogram", "", "", [], None, [], [[]]]], [[1], [1.0], [0], [], []]),
        ([["a", "histogram", "", "", [], None, None, [[]]]], [[1], [1.0], [], [["x"]], []]),
        ([["a", "info", "", "", [], None, None, [[]]]], [[], [], [], [], [{"a": 1}]]),
        ([["a", "info", "", "", [], None, None, [[]]]], [[], [], [], [], [[]]]),
        ([["a", "healthcheck", "", "", [], None, None, [[]]]], [[], [], [], [], [["x", None]]]),
        ({"a": 1}, [[1], [], [], [], []]),
        (3, [[], [], [], [], []]),
    ],
)
def test_well_formed_json_of_other_types_is_refused(records, columns):
    data = with_texts(
        [{}, [len(dump(records)), 2, 2]], dump(records) + b"[][]", [columns, [[]] * 5, [[]] * 5]
    )
    with pytest.raises(ValueError):
        decode(data)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"{}", b"null", b"\xff", b"1" * 5000, b"NaN"])
def test_texts_of_any_kind_are_refused(text):
    from zlib import crc32

    for lengths in ((len(text), 0, 0), (0, len(text), 0), (0, 0, len(text))):
        data = HEADER.pack(files.MAGIC, files.VERSION, crc32(text), *lengths, 0) + text
        with pytest.raises(ValueError):
            decode(data)


def with_texts(facts, schema, columns) -> bytes:
    from zlib import crc32

    encoded = [[dump(column) for column in each] for each in columns]
    codes = [[("j", len(data)) for data in each] for each in encoded]
    texts = (dump([*facts, codes]), schema, b"".join([d for each in encoded for d in each]))
    body = b"".join(texts)
    return HEADER.pack(files.MAGIC, files.VERSION, crc32(body), *map(len, texts), 0) + body


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(ValueError):
        decode(data)


def test_equal_series_have_one_text():
    registry = full_registry()
    columns = RegistryColumns(SYSTEM_CLOCK, lambda _: "sum")
    entries = store_of(registry).entries()
    first = columns.read(entries).schema
    assert columns.read(entries).schema is first
    registry.get("o").labels("new")
    assert columns.read(entries).schema is not first


def test_a_thinned_sample_has_the_ends_of_the_whole():
    values = tuple(map(float, range(1000)))
    thinned = thin_out(values, 11)
    assert len(thinned) == 11
    assert (thinned[0], thinned[5], thinned[-1]) == (0.0, 500.0, 999.0)
    assert thin_out(values[:5], 11) == list(values[:5])


def test_parsed_series_are_kept_as_long_as_a_table_has_them():
    registry = Registry()
    family = registry.counters("requests", labels=("path",))
    columns = RegistryColumns(SYSTEM_CLOCK, lambda _: "sum")
    before = len(files._schemas)
    for number in range(100):
        family.labels(number)
        table = columns.read(store_of(registry).entries())
        tables = MergedTables()
        tables.merge([Contribution(0, table)])
        assert decode(encode(MemberFile({}, table, table, table))).living.schema is table.schema
    assert len(files._schemas) <= before + 2
    assert len(merging._parsed) <= before + 2
