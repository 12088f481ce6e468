import math
import struct

from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.remote_write._messages import STALE, double, text, time_series, varint
from tests.exporters.write_requests import WriteRequest

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(st.lists(st.tuples(texts, texts)), st.floats(), st.integers(0, (1 << 63) - 1))
def test_the_official_classes_read_what_was_written(labels, value, timestamp_ms):
    data = time_series(labels, double(value), timestamp_ms)
    (series,) = WriteRequest.FromString(data).timeseries
    assert [(label.name, label.value) for label in series.labels] == labels
    (sample,) = series.samples
    assert sample.value == value or (math.isnan(sample.value) and math.isnan(value))
    assert sample.timestamp == timestamp_ms


@given(st.integers(0, (1 << 64) - 1))
def test_a_varint_holds_seven_bits_a_byte(number: int):
    data = varint(number)
    assert sum((byte & 0x7F) << 7 * index for index, byte in enumerate(data)) == number
    assert all(byte >= 0x80 for byte in data[:-1])
    assert data[-1] < 0x80
    assert len(data) == max(1, math.ceil(number.bit_length() / 7))


def test_the_marker_of_an_end_is_a_nan_of_its_own():
    assert math.isnan(struct.unpack("<d", STALE)[0])
    assert double(math.nan) != STALE


def test_half_a_surrogate_pair_has_no_place_in_utf_8():
    assert text("é\udcff") == "é?".encode()
