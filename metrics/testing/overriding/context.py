"""Overrides of providers for a block or a call, sync or async."""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar, final

from metrics.errors import LifecycleError, ShutdownError
from metrics.lifecycle import LifecycleContainer
from metrics.lifecycle._testing import drive, instance_of
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

    - a context manager is entered for the block, once, and provides the value that it gives. It
      takes `async with` to enter an async one, or to enter one that is both as an async one. A mock
      is a value, and so is the value of `providers.Object(x)`. A decorator enters it in every call,
      which one made by `contextlib` allows only once.
    - a provider takes the place of the other. Resources in it start when the container starts, or
      on demand, and stop at the end of the block, not when the container stops. A resource that
      runs already, or belongs to another container, is left alone.
    - anything else is a value, and is provided as it is
    - "inner.name" is the provider `name` of the embedded container `inner`; for `inner` itself,
      another container is given, which replaces all providers that are declared in both; the
      resources in it that the block starts are stopped at its end
    - "config.name" is an option of a configuration; the others stay

    A `ManualTicker` that was made without a clock goes by the `ManualClock` that is given with it.

    Singletons made of replaced providers are recreated inside, and are the same as before
    afterwards. Resources that start inside and are given a fake are stopped at the end, before the
    fake, and can be requested again.

    An override holds for all threads and tasks of the process. Those that run at the same time may
    not override the same provider. To isolate them, give each a container of its own.

    Args:
        container: a container, not its class: an override of a class holds for the containers that
            are made of it later, and cannot be undone in those.
        replaced: dotted names to replacements of their providers.
        more: the same, for names without a dot.

    Raises:
        TypeError: `container` is no instance of a `LifecycleContainer`, a name is no string, or a
            replacement does not fit; here, and not at the beginning of the block, as the next two.
        KeyError: there is no provider of a name.
        ValueError: a provider is named twice, or replaced by itself or by its dependent, or a
            `ManualTicker` moves another clock than the `ManualClock` that is given with it.
        LifecycleError: at the beginning of the block, when running resources use the providers,
            when the container is being started or stopped, or when another thread or task overrides
            the same. At the end of a sync block, when an async resource has to be stopped.
        ShutdownError: at the end of the block, when a resource failed to stop. If the block has
            raised an exception, that goes on instead, with a note of the failure.
    """
    if not isinstance(replaced, Mapping | None):
        raise TypeError(
            "overridden() takes names and replacements of their providers, "
            f"`overridden(container, name=...)` or a dict, got {replaced!r}"
        )
    given = dict(replaced or {})
    for name in more:
        if name in given:
            raise ValueError(f"{name!r} is given twice: name it once")
    return Overriding(container, {**given, **more})


@final
class Overriding(Generic[C]):
    """Result of `overridden`. It can be used again when its block has ended."""

    def __init__(self, container: C, given: Mapping[str, object]) -> None:
        self._container = container
        self._instance = instance_of(container, "overridden()")
        self._given = given
        self._block: Block | None = None
        replacements(self._instance, given)  # raises errors of the names and values
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
            TypeError: it is something else, such as the result of another decorator.
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
    """Raise failures, as one error.

    Raises:
        ShutdownError: resources failed to stop.
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
    raise ShutdownError(f"{len(errors)} resources failed to stop when overridden() ended", errors)


def note(error: BaseException, failure: BaseException) -> None:
    """Add the failures at the end of a block to an error, as notes."""
    found = failure.exceptions if isinstance(failure, ShutdownError) else (failure,)
    for each in found:
        about = " ".join(getattr(each, "__notes__", ()))
        error.add_note(f"and when the block of overridden() ended: {each!r} {about}".rstrip())
