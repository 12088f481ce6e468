"""What was read becomes payloads of a size that is worth a request."""

from metrics.reporters._push.payloads import batched


def test_chunks_are_joined_to_payloads_of_a_size():
    chunks = [b"aa", b"bb", b"c", b"dddd", b"", b"e"]
    assert list(batched(chunks, 4)) == [b"aabb", b"cdddd", b"e"]
    assert list(batched([])) == []
