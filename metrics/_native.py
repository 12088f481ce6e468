"""What the compiler is told about classes and numbers; it needs nothing of it to run."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

__all__ = ["i64", "mypyc_attr"]

if TYPE_CHECKING:
    from mypy_extensions import i64, mypyc_attr
else:
    i64 = int
    K = TypeVar("K", bound=type)

    def mypyc_attr(**_hints: bool | int) -> Callable[[K], K]:
        """Return a decorator that leaves a class as it is: only the compiler reads the hints."""
        return lambda kind: kind
