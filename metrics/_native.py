"""Types and hints of the compiler; interpreted, plain Python stands in for them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

__all__ = ["BytesWriter", "i64", "mypyc_attr", "u8", "vec"]

if TYPE_CHECKING:
    from librt.strings import BytesWriter
    from librt.vecs import vec
    from mypy_extensions import i64, mypyc_attr, u8
else:
    i64 = u8 = int
    vec = list
    K = TypeVar("K", bound=type)

    class BytesWriter(bytearray):
        """Bytes that grow at their end."""

        __slots__ = ()

        write = bytearray.extend

        def getvalue(self) -> bytes:
            """Return a copy of the bytes."""
            return bytes(self)

        def truncate(self, size: int) -> None:
            """Drop the bytes from a position on."""
            del self[size:]

    def mypyc_attr(**_hints: bool | int) -> Callable[[K], K]:
        """Return a decorator that leaves a class as it is: only the compiler reads the hints."""
        return lambda kind: kind
