"""Types and hints of the compiler; interpreted, plain Python stands in for them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

__all__ = ["i64", "mypyc_attr", "vec"]

if TYPE_CHECKING:
    from librt.vecs import vec
    from mypy_extensions import i64, mypyc_attr
else:
    i64 = int
    vec = list
    K = TypeVar("K", bound=type)

    def mypyc_attr(**_hints: bool | int) -> Callable[[K], K]:
        """Return a decorator that leaves a class as it is: only the compiler reads the hints."""
        return lambda kind: kind
