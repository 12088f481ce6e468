"""Compression with snappy, of which the format has a block without frames."""

from collections.abc import Callable

from metrics._extras import require_extra


def compressor() -> Callable[[bytes], bytes]:
    """Return a function that compresses a request; raise ImportError if cramjam is missing."""
    with require_extra("remote-write"):
        from cramjam import snappy  # noqa: PLC0415 - an extra
    return lambda request: bytes(snappy.compress_raw(request))


def decompress(payload: bytes) -> bytes:
    """Return a compressed request as it was; cramjam has compressed it."""
    from cramjam import snappy  # noqa: PLC0415 - an extra

    return bytes(snappy.decompress_raw(payload))
