"""Texts come in chunks that are worth sending, whole and in order."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters.writing.chunks import CHUNK, chunked


@given(st.lists(st.text(max_size=9)))
def test_nothing_is_lost_or_added(texts):
    joined = b"".join(chunked(texts))
    assert joined == "".join(texts).encode(errors="backslashreplace")


def test_a_chunk_is_yielded_before_the_rest_is_read():
    read = []

    def texts() -> Iterator[str]:
        for index in range(4):
            read.append(index)
            yield "x" * (CHUNK // 2)

    chunks = chunked(texts())
    assert len(next(chunks)) == CHUNK
    assert read == [0, 1]
    assert [len(chunk) for chunk in chunks] == [CHUNK]


def test_no_text_is_cut_in_two():
    line = "x" * 1000 + "\n"
    chunks = list(chunked([line] * 100))
    assert len(chunks) > 1
    assert all(chunk.endswith(b"\n") for chunk in chunks)


def test_nothing_makes_no_chunk():
    assert list(chunked([])) == []
    assert list(chunked(["", ""])) == []
