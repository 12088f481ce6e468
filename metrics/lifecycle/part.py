"""What a part is at the moment, and what is told about its changes."""

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, final

if TYPE_CHECKING:
    from metrics.lifecycle.change import Change
    from metrics.lifecycle.lifecycle import Lifecycle

Leave = Callable[..., object]


class State(StrEnum):
    """Where a container, or one of its parts, is in its life."""

    NEW = "NEW"
    STARTING = "STARTING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


class Event(NamedTuple):
    """A part has changed its state."""

    part: str
    """The dotted name that the part was declared with."""
    phase: State
    """What it is now."""
    seconds: float
    """How long that took; 0 for STARTING and STOPPING."""
    error: BaseException | None
    """Why it is FAILED."""
    before: State
    """What it was: NEW, STARTING, RUNNING or STOPPING."""


@final
class Part:
    """One resource of a container, on its way from NEW to STOPPED.

    It knows nothing of its provider: what holds the parts that are up, to stop them, must not keep
    the container alive.
    """

    __slots__ = (
        "asynchronous",
        "change",
        "in_loop",
        "leave",
        "lifecycle",
        "name",
        "state",
        "value",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = State.NEW
        self.value: object = None
        # Called to stop it, with what `__exit__` takes; None when there is nothing to be stopped.
        self.leave: Leave | None = None
        # Whether asking for it gives something to await: its hook, or what it needs, is async.
        self.asynchronous = False
        # Whether it has to be stopped in an event loop.
        self.in_loop = False
        # Done when the start that is under way has ended.
        self.change: Change | None = None
        # What is responsible for it.
        self.lifecycle: Lifecycle | None = None

    def reset(self, state: State) -> None:
        """Make it a part that is not up."""
        self.state = state
        self.value = self.leave = self.change = None

    def __repr__(self) -> str:
        return f"<Part {self.name!r} {self.state}>"
