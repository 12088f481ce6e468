"""What starting and stopping return: something that may be awaited, or that has to be."""

import warnings
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, NamedTuple, final

from metrics.lifecycle.blocking import Blocking, drive
from metrics.lifecycle.change import Way
from metrics.lifecycle.cooperative import Cooperative


class Operation(NamedTuple):
    """A start or a stop that can be made either way."""

    name: str
    """What the user calls for it."""
    run: Callable[[Way], Coroutine[Any, Any, None]]
    """Makes it."""
    why_awaited: str
    """Why it needs an event loop; empty if it does not."""


def perform(operation: Operation) -> Awaitable[None]:
    """Do something at once, or return what does it when awaited, if that is needed."""
    if operation.why_awaited:
        return Awaited(operation)
    drive(operation.run(Blocking()))
    return DONE


@final
class Done(Coroutine[Any, Any, None]):
    """Awaited, returns at once: everything was done by the call."""

    def __await__(self) -> Generator[Any, Any, None]:
        return iter(())  # type: ignore[return-value] # an exhausted iterator is all `await` asks for

    def send(self, _value: object) -> None:
        """Return."""
        raise StopIteration

    def throw(self, *error: Any) -> None:
        """Raise what is thrown in."""
        raise error[1] if len(error) > 1 and error[1] is not None else error[0]

    def close(self) -> None:
        """Do nothing."""

    def __repr__(self) -> str:
        return "<done; may be awaited>"


DONE = Done()


@final
class Awaited(Coroutine[Any, Any, None]):
    """Does something when it is awaited, and says so loudly when it never is."""

    def __init__(self, operation: Operation) -> None:
        self._coroutine = operation.run(Cooperative())
        self._message = (
            f"{operation.name} was never awaited and did nothing: {operation.why_awaited}; "
            f"write `await {operation.name}`"
        )

    def _begin(self) -> Coroutine[Any, Any, None]:
        self._message = ""
        return self._coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        return self._begin().__await__()

    def send(self, value: Any) -> Any:
        """Go on, as an event loop asks for."""
        return self._begin().send(value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception where it waits."""
        return self._begin().throw(*error)

    def close(self) -> None:
        """Do it no more."""
        self._begin().close()

    def __del__(self) -> None:
        if self._message:
            self._coroutine.close()
            warnings.warn(self._message, RuntimeWarning, stacklevel=2, source=self)
