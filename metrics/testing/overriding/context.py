"""What replaces providers for a block or a call: entered and left, sync or async."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar, final

from metrics.errors import LifecycleError, ShutdownError
from metrics.lifecycle.blocking import drive
from metrics.lifecycle.container import LifecycleContainer, instance_of
from metrics.testing.decorated import decorate
from metrics.testing.overriding.block import Block
from metrics.testing.overriding.replacements import replacements
from metrics.testing.overriding.shared_clock import share_clock

C = TypeVar("C", bound=LifecycleContainer)
F = TypeVar("F", bound=Callable[..., Any])


def overridden(
    container: C, replaced: Mapping[str, object] | None = None, /, **more: object
) -> "Overriding[C]":
    """Replace providers of a container by others, by values or by context managers, for a while.

    `with overridden(container, ticker=ManualTicker(), clock=clock):`, or `async with`, or as a
    decorator of a test, a class of tests or, below `@pytest.fixture`, a fixture. All names are
    replaced, or none. At the end everything is as it was, in whatever order such blocks end.

    - a context manager is entered for the block, once, and what it gives is what is provided. It
      takes `async with` to enter an async one, or as such one that is both. A mock is a value, and
      so is what `providers.Object(x)` has. A decorator enters it in every call, which one made by
      `contextlib` allows only once.
    - a provider takes the other's place. Parts in it start when the container starts, or on demand,
      and stop at the end of the block, not when the container stops. What is up, or belongs to
      another container, is left to whoever started it.
    - anything else is a value, and is provided as it is
    - "inner.name" is what is declared in the embedded container `inner`; for `inner` itself,
      another container is given, which replaces all that is declared in both; what the block
      starts of it is stopped at its end
    - "config.name" is an option of a configuration; the others stay

    A `ManualTicker` that was made without a clock goes by the `ManualClock` that is given with it.

    Singletons that were made of what is replaced are made anew inside, and are the same as before
    afterwards. Parts that come up inside and are given a fake are stopped at the end, before it.

    An override holds for all threads and tasks of the process. Those that run at the same time may
    not override the same provider. To isolate them, give each a container of its own.

    Args:
        container: a container, not its class: what is overridden in a class holds for the
            containers that are made of it later, and cannot be put back in those.
        replaced: dotted names to what replaces their providers.
        more: the same, for names without a dot.

    Raises:
        TypeError: `container` is no instance of a `LifecycleContainer`, a name is no string, or a
            replacement does not fit; here, and not at the beginning of the block, as the next two.
        KeyError: there is no provider of a name.
        ValueError: a provider is named twice, or replaced by itself or by what needs it, or a
            `ManualTicker` moves another clock than the `ManualClock` that is given with it.
        LifecycleError: at the beginning of the block, when what is up was given what is to be
            replaced, when the container is being started or stopped, or when another thread or task
            overrides the same. At the end of a sync block, when something async is up.
        ShutdownError: at the end of the block, when something failed to stop. If the block has
            raised an exception, that goes on instead, with a note of what failed.
    """
    if not isinstance(replaced, Mapping | None):
        raise TypeError(
            "overridden() takes names and what replaces their providers, "
            f"`overridden(container, name=...)` or a dict, got {replaced!r}"
        )
    given = dict(replaced or {})
    for name in more:
        if name in given:
            raise ValueError(f"{name!r} is given twice: name it once")
    return Overriding(container, {**given, **more})


@final
class Overriding(Generic[C]):
    """What `overridden` returns. It can be used again when its block has ended."""

    def __init__(self, container: C, given: Mapping[str, object]) -> None:
        self._container = container
        self._instance = instance_of(container, "overridden()")
        self._given = given
        self._block: Block | None = None
        replacements(self._instance, given)  # raises what is wrong with the names
        share_clock(given)

    def __enter__(self) -> C:
        drive(self._begin(in_loop=False))
        return self._container

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        drive(self._end(error, in_loop=False))

    async def __aenter__(self) -> C:
        await self._begin(in_loop=True)
        return self._container

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._end(error, in_loop=True)

    def __call__(self, decorated: F) -> F:
        """Decorate a function, sync or async, a generator, or a class with methods `test...`.

        Raises:
            TypeError: it is something else, such as what another decorator has made of a function.
        """
        # Each call has a block of its own, because there may be several at a time.
        return decorate(decorated, lambda: Overriding(self._container, self._given))

    async def _begin(self, *, in_loop: bool) -> None:
        if self._block is not None:
            raise LifecycleError("this block has begun already: call overridden() for each block")
        block = Block(self._instance, replacements(self._instance, self._given))
        try:
            await block.begin(in_loop=in_loop)
        except BaseException as error:
            for failure in await block.end(error, in_loop=in_loop):
                note(error, failure)
            raise
        self._block = block

    async def _end(self, error: BaseException | None, *, in_loop: bool) -> None:
        block, self._block = self._block, None
        if block is None:
            raise LifecycleError("this block has not begun, or has ended already")
        failures = await block.end(error, in_loop=in_loop)
        severe = [failure for failure in failures if not isinstance(failure, Exception)]
        if error is None and failures and not severe:
            raise_all(failures)
        chosen = next(iter(severe), None) if error is None else error
        for failure in failures:
            if chosen is not None and failure is not chosen:
                note(chosen, failure)
        if error is None and chosen is not None:
            raise chosen

    def __repr__(self) -> str:
        return f"<overridden {', '.join(self._given)} of {self._container!r}>"


def raise_all(failures: list[BaseException]) -> None:
    """Raise what failed, as one error.

    Raises:
        ShutdownError: parts failed to stop.
        LifecycleError: they could not be stopped from here.
    """
    if len(failures) == 1:
        raise failures[0]
    errors: list[Exception] = []
    for failure in failures:
        if isinstance(failure, ShutdownError):
            errors += failure.exceptions
        elif isinstance(failure, Exception):
            errors.append(failure)
    raise ShutdownError(f"{len(errors)} parts failed to stop when overridden() ended", errors)


def note(error: BaseException, failure: BaseException) -> None:
    """Say in an error what else has failed."""
    found = failure.exceptions if isinstance(failure, ShutdownError) else (failure,)
    for each in found:
        about = " ".join(getattr(each, "__notes__", ()))
        error.add_note(f"and when overridden() put back what was there: {each!r} {about}".rstrip())
