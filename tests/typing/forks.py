"""Types of hooks and classes whose objects survive a fork."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import assert_type

from metrics.lifecycle import survives_fork


@survives_fork
@contextmanager
def bare(_size: int, *, name: str = "") -> Iterator[list[str]]:
    yield [name]


@contextmanager
@survives_fork(reset=lambda value: value.clear())
def below(_size: int) -> Iterator[list[int]]:
    yield []


@survives_fork()
async def generator(size: int) -> AsyncIterator[int]:
    yield size


@survives_fork(reset=print)
class Cache:
    """Object that is reset in a child."""

    def __init__(self, size: int) -> None:
        self.size = size


with bare(1, name="a") as a, below(1) as b:
    assert_type(a, list[str])
    assert_type(b, list[int])
assert_type(generator(1), AsyncIterator[int])
assert_type(Cache(1), Cache)

bare("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
below(1, name="a")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
Cache()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
survives_fork(reset=5)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
