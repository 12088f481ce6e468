"""Every text arrives once and whole, in chunks and datagrams, or on one line."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.exporters._encoding.framing import (
    CHUNK,
    batches,
    datagrams,
    join_chunks,
    one_line,
    render_of,
)


@given(st.lists(st.text(max_size=9)))
def test_no_text_is_lost_or_added(texts):
    joined = b"".join(join_chunks(texts))
    assert joined == "".join(texts).encode(errors="backslashreplace")


def test_a_chunk_is_yielded_before_the_rest_is_read():
    read = []

    def texts() -> Iterator[str]:
        for index in range(4):
            read.append(index)
            yield "x" * (CHUNK // 2)

    chunks = join_chunks(texts())
    assert len(next(chunks)) == CHUNK
    assert read == [0, 1]
    assert [len(chunk) for chunk in chunks] == [CHUNK]


def test_no_text_is_cut_in_two():
    line = "x" * 1000 + "\n"
    chunks = list(join_chunks([line] * 100))
    assert len(chunks) > 1
    assert all(chunk.endswith(b"\n") for chunk in chunks)


def test_no_texts_are_no_chunk():
    assert list(join_chunks([])) == []
    assert list(join_chunks(["", ""])) == []


def test_nothing_is_read_ahead_of_a_batch():
    items = iter(range(9))
    batch = next(batches(items, 2, lambda _: 1))
    assert (batch, next(items)) == ([0, 1], 2)


lines = st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8"), min_size=1))


@given(lines, st.integers(1, 60))
def test_every_line_arrives_once_or_is_reported(texts, size):
    dropped = []
    payloads = list(datagrams([f"{t}\n" for t in texts], dropped=dropped.append, size=size))
    assert all(0 < len(payload) <= size for payload in payloads)
    arrived = [line for payload in payloads for line in payload.decode().split("\n")]
    assert arrived == [text for text in texts if len(text.encode()) <= size]
    assert dropped == [f"{text}\n" for text in texts if len(text.encode()) > size]


def test_a_payload_has_as_many_texts_as_fit():
    texts = ["aa\n", "bb\n", "c\n", "d\n"]
    assert list(datagrams(texts, dropped=pytest.fail, size=5)) == [b"aa\nbb", b"c\nd"]


def test_lines_of_one_text_share_a_payload():
    texts = ["aaaa:1|g\n", "b:0|g\nb:-1|g\n"]
    payloads = list(datagrams(texts, dropped=pytest.fail, size=16))
    assert payloads == [b"aaaa:1|g", b"b:0|g\nb:-1|g"]


def test_no_lines_are_no_payload():
    assert list(datagrams([], dropped=pytest.fail)) == []


@given(st.text(alphabet=st.characters()))
def test_a_line_is_one_line_on_every_terminal(text):
    line = one_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) == (1 if text else 0)


@given(st.text().filter(str.isprintable))
def test_a_printable_text_stays_as_it_is(text):
    assert one_line(text) == text


def test_other_characters_are_escaped():
    assert one_line("a\r\n\x1b[2J\u2028\u202e\ud800") == r"a\r\n\x1b[2J\u2028\u202e\ud800"


def test_joined_chunks_are_those_of_the_stream():
    def stream(*texts: str, end: str = "") -> Iterator[bytes]:
        """Yield texts."""
        return join_chunks([*texts, end])

    render = render_of(stream)
    assert render("a", "b", end="c") == b"abc"
    with pytest.raises(TypeError, match="start"):
        render(start="x")
