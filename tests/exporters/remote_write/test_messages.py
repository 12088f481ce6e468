"""Messages are those of the official classes, byte by byte."""

import math
import struct

from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.remote_write._messages import (
    STALE,
    double,
    metric_metadata,
    text,
    time_series,
    varint,
)
from tests.exporters.write_requests import WriteRequest

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(st.lists(st.tuples(texts, texts)), st.floats(), st.integers(0, (1 << 63) - 1))
def test_the_official_classes_read_a_series(labels, value, timestamp_ms):
    data = time_series(labels, double(value), timestamp_ms)
    (series,) = WriteRequest.FromString(data).timeseries
    assert [(label.name, label.value) for label in series.labels] == labels
    (sample,) = series.samples
    assert sample.value == value or (math.isnan(sample.value) and math.isnan(value))
    assert sample.timestamp == timestamp_ms


@given(texts, st.sampled_from(["counter", "gauge", "summary", "histogram", "other"]), texts, texts)
def test_the_official_classes_read_metadata(family: str, kind: str, help_text: str, unit: str):
    data = metric_metadata(family, kind, help_text, unit)
    (found,) = WriteRequest.FromString(data).metadata
    assert (found.metric_family_name, found.help, found.unit) == (family, help_text, unit)
    numbers = {"counter": 1, "gauge": 2, "histogram": 3, "summary": 5, "other": 0}
    assert found.type == numbers[kind]


@given(st.integers(0, (1 << 64) - 1))
def test_a_varint_holds_seven_bits_a_byte(number: int):
    data = varint(number)
    assert sum((byte & 0x7F) << 7 * index for index, byte in enumerate(data)) == number
    assert all(byte >= 0x80 for byte in data[:-1])
    assert data[-1] < 0x80
    assert len(data) == max(1, math.ceil(number.bit_length() / 7))


def test_the_stale_marker_is_another_nan_than_that_of_a_value():
    assert math.isnan(struct.unpack("<d", STALE)[0])
    assert double(math.nan) != STALE


def test_half_a_surrogate_pair_is_a_question_mark():
    assert text("é\udcff") == "é?".encode()
