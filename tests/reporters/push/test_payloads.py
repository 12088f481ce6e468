"""What was read becomes payloads of a size that is worth a request, and can be split again."""

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.reporters._push.payloads import (
    JSON_ARRAY,
    LINES,
    Report,
    compress_payloads,
    gzip_codec,
    join_chunks,
)

CODECS = {
    "lines": (LINES, st.binary(min_size=1).filter(lambda line: b"\n" not in line)),
    "array": (JSON_ARRAY, st.dictionaries(st.text(), st.floats() | st.text()).map(
        lambda value: json.dumps(value, separators=(",", ":")).encode()
    )),
}  # fmt: skip


def test_chunks_are_joined_to_payloads_of_a_size():
    chunks = [b"aa", b"bb", b"c", b"dddd", b"", b"e"]
    assert list(join_chunks(chunks, 4)) == [b"aabb", b"cdddd", b"e"]
    assert list(join_chunks([])) == []
    assert list(join_chunks([b""])) == []


@pytest.mark.parametrize("name", CODECS)
@given(data=st.data())
def test_a_payload_is_split_into_its_series_and_joined_again(name, data):
    codec, series = CODECS[name]
    written = data.draw(st.lists(series, min_size=1))
    for each in (codec, gzip_codec(codec)):
        payload = each.encode(written)
        assert each.decode(payload) == written
        assert each.encode(each.decode(payload)) == payload
        assert each.merge is None


def test_numbers_of_an_array_stay_as_they_were_written():
    array = b'[{"value":0.10000000000000000},{"value":12345678901234567890123}]'
    assert JSON_ARRAY.encode(JSON_ARRAY.decode(array)) == array
    assert JSON_ARRAY.decode(b"[]") == []


def test_payloads_are_compressed_the_same_way_each_time():
    read = compress_payloads(lambda report: [report.reader.encode()])
    (first,), (second,) = read(Report("a", 0)), read(Report("a", 1))
    assert first == second
    assert gzip.decompress(first) == b"a"
