"""Overrides of providers for a block or a call, sync or async."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, final

from dependency_injector import containers, providers

from metrics.errors import LifecycleError, ShutdownError
from metrics.lifecycle._testing import drive
from metrics.testing._decorated import decorate
from metrics.testing.overriding._block import OverridingBlock
from metrics.testing.overriding._manual_time import check_tickers, share_clock
from metrics.testing.overriding._replacements import replacements

C = TypeVar("C", bound=containers.Container)
F = TypeVar("F", bound=Callable[..., Any])


def overridden(
    container: C, replaced: Mapping[str, object] | None = None, /, **more: object
) -> "Overriding[C]":
    """Replace providers of a container by others, by values or by context managers, for a while.

    `with overridden(container, ticker=ManualTicker(), clock=clock):`, or `async with`, or as a
    decorator of a test, a class of tests or, below `@pytest.fixture`, a fixture. All names are
    replaced, or none. At the end everything is as it was, and such blocks may end in any order.

    - a value is provided as it is, also if it could be entered or closed: a lock, a client, a mock
    - an object that `contextlib` has made, such as the result of a function decorated by
      `@contextmanager`, is entered for the block, once, and provides the value that it gives; an
      async one takes `async with`. A decorator enters it in every call, which a generator allows
      only once. A `ManualTicker` is started for the block.
    - a provider takes the place of the other. Resources in it start when the container starts, or
      on demand, and stop at the end of the block, not when the container stops. A resource that
      runs already, or belongs to another container, is left alone.
    - "inner.name" is the provider `name` of the embedded container `inner`; for `inner` itself,
      another container is given, which replaces all providers that are declared in both; the
      resources in it that the block starts are stopped at its end
    - "config.name" is an option of a configuration, and takes a value; the other options stay, and
      running resources may use them

    A `ManualTicker` that was made without a clock goes by the `ManualClock` that is given with it.

    Singletons made of replaced providers are recreated inside, and are the same as before
    afterwards. Resources that start inside and are given a fake are stopped at the end, before the
    fake, and can be requested again.

    An override holds for all threads and tasks of the process. Threads or tasks that run at the
    same time may not override the same provider, or options of the same configuration. To isolate
    them, give each a container of its own.

    All this holds for dependency-injector's own containers as well, `DeclarativeContainer` and
    `DynamicContainer`, with these differences: they do not know that they are being started or
    stopped, so that an override during that time is no error; their `shutdown_resources()` also
    stops the resources of given providers; and at the end of the block resources are stopped one by
    one, without a time limit.

    Args:
        container: a container, not its class: an override of a class holds for the containers that
            are made of it later, and cannot be undone in these.
        replaced: dotted names to replacements of their providers.
        more: the same, for names without a dot.

    Raises:
        TypeError: `container` is no instance of a container, a name is no string, or a replacement
            does not fit; here, and not at the beginning of the block, as the next two.
        KeyError: there is no provider of a name, or a configuration that is strict or has defaults
            has no such option.
        ValueError: a provider is named twice, or replaced by itself or by its dependent; or a
            `ManualClock` is given without a `ManualTicker`, or with one that moves another clock.
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
        self._instance = instance_of(container)
        self._given = given
        self._block: OverridingBlock | None = None
        self._replaced = replacements(self._instance, given)
        share_clock(given)
        check_tickers(self._instance, self._replaced)

    def __enter__(self) -> C:
        drive(self._begin(in_loop=False))
        return self._container

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        drive(self._end(error, in_loop=False))

    async def __aenter__(self) -> C:
        await self._begin(in_loop=True)
        return self._container

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        await self._end(error, in_loop=True)

    def __call__(self, decorated: F) -> F:
        """Decorate a function, sync or async, a generator, or a class with methods `test...`.

        Raises:
            TypeError: it is another object, such as the result of another decorator.
        """
        # Each call has a block of its own, because there may be several at a time.
        return decorate(decorated, lambda: Overriding(self._container, self._given))

    async def _begin(self, *, in_loop: bool) -> None:
        if self._block is not None:
            raise LifecycleError("this block has begun already: call overridden() for each block")
        block = OverridingBlock(self._instance, self._replaced)
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


def instance_of(container: object) -> containers.DynamicContainer:
    """Return a container as an instance; raise TypeError if it is none."""
    if isinstance(container, containers.DynamicContainer):
        return container
    hint = ""
    if isinstance(container, type) and issubclass(container, containers.Container):
        hint = f": call the class, {container.__name__}()"
    elif isinstance(container, providers.Container):
        hint = ": name providers of an embedded container with a dot, {'inner.name': ...}"
    raise TypeError(f"overridden() takes an instance of a container, got {container!r}{hint}")


def raise_all(failures: list[BaseException]) -> None:
    """Raise failures, as one error.

    Raises:
        ShutdownError: resources failed to stop.
        LifecycleError: they are async, and were not stopped.
    """
    if len(failures) == 1 or all(isinstance(failure, LifecycleError) for failure in failures):
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
