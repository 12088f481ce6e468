"""Results of starts and stops: done already, or done when they are awaited."""

import warnings
from collections.abc import Awaitable, Coroutine, Generator, Sequence
from typing import Any, NamedTuple, TypeAlias, final

from metrics.lifecycle._async_driver import AsyncDriver
from metrics.lifecycle._graph import Step
from metrics.lifecycle._lifecycle import Lifecycle
from metrics.lifecycle._record import ResourceRecord
from metrics.lifecycle._signals import checkpoint
from metrics.lifecycle._sync_driver import SyncDriver, drive


class Start(NamedTuple):
    """Start of a container."""

    lifecycle: Lifecycle
    steps: Sequence[Step]
    seconds: float | None
    stop_seconds: float | None
    """Time for the roll-back."""
    why_awaited: str
    """Reason why it needs an event loop; empty if it does not."""
    call: str = "container.init_resources()"
    """The call of the program that makes it, for messages."""

    async def run(self, driver: SyncDriver | AsyncDriver) -> None:
        """Start it."""
        await self.lifecycle.start(self.steps, driver, self.seconds, self.stop_seconds)


class Stop(NamedTuple):
    """Stop of a container."""

    lifecycle: Lifecycle
    seconds: float | None
    error: BaseException | None
    why_awaited: str
    call: str = "container.shutdown_resources()"

    async def run(self, driver: SyncDriver | AsyncDriver) -> None:
        """Stop it."""
        await self.lifecycle.stop(driver, self.seconds, self.error)


class StopSome(NamedTuple):
    """Stop of some resources of a container, which stay available for requests."""

    lifecycle: Lifecycle
    records: tuple[ResourceRecord, ...]
    seconds: float | None
    error: BaseException | None
    why_awaited: str
    call: str

    async def run(self, driver: SyncDriver | AsyncDriver) -> None:
        """Stop them."""
        await self.lifecycle.stop_some(self.records, driver, self.seconds, self.error)


Operation: TypeAlias = Start | Stop | StopSome


def perform(operation: Operation) -> Awaitable[None]:
    """Make a start or stop at once, or return an awaitable that makes it, if that is needed."""
    if operation.why_awaited:
        return Awaited(operation)
    perform_here(operation)
    return DONE


def perform_here(operation: Operation) -> None:
    """Make a start or stop in the calling thread."""
    driver = SyncDriver(operation.lifecycle.name)
    try:
        coroutine = driver.root = operation.run(driver)
        drive(coroutine)
    finally:
        if driver.watch is not None:
            driver.watch.end()
    checkpoint()


async def perform_in_loop(operation: Operation) -> None:
    """Make a start or stop in the running event loop."""
    driver = AsyncDriver(operation.lifecycle.name)
    coroutine = driver.root = operation.run(driver)
    await coroutine


@final
class Done(Coroutine[Any, Any, None]):
    """Awaitable that returns at once: the call has done everything."""

    def done(self) -> bool:
        """Return True, as the future of a completed call would."""
        return True

    def __await__(self) -> Generator[Any, Any, None]:
        return iter(())  # type: ignore[return-value] # an exhausted iterator is all `await` needs

    def send(self, _value: object) -> None:
        """Return."""
        raise StopIteration

    def throw(self, *error: Any) -> None:
        """Raise the given exception."""
        raise error[1] if len(error) > 1 and error[1] is not None else error[0]

    def close(self) -> None:
        """Do nothing."""

    def __repr__(self) -> str:
        return "<done; may be awaited>"


DONE = Done()


@final
class Awaited(Coroutine[Any, Any, None]):
    """Start or stop that is made when it is awaited, with a warning if it never is."""

    def __init__(self, operation: Operation) -> None:
        self._operation: Operation | None = operation
        self._coroutine: Coroutine[Any, Any, None] | None = None

    def _begun(self) -> Coroutine[Any, Any, None]:
        operation, self._operation = self._operation, None
        if self._coroutine is None and operation is not None:
            self._coroutine = perform_in_loop(operation)
        if self._coroutine is None:
            raise RuntimeError("this start or stop was closed and can be awaited no more")
        return self._coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        return self._begun().__await__()

    def send(self, value: Any) -> Any:
        """Resume, as the event loop does."""
        return self._begun().send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception at the point where it waits."""
        return self._begun().throw(*error)

    def close(self) -> None:
        """Cancel the start or stop."""
        self._operation = None
        if self._coroutine is not None:
            self._coroutine.close()

    def __del__(self) -> None:
        operation = self._operation
        if operation is not None:
            warnings.warn(
                f"{operation.call} was never awaited and did nothing: {operation.why_awaited}; "
                f"write `await {operation.call}`",
                RuntimeWarning,
                stacklevel=2,
                source=self,
            )
