"""State sets: named states, each of which is on or off."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import final

from metrics.instruments._shared import Point, Shared
from metrics.instruments._snapshot import Snapshot


@final
class StateSetSnapshot(Snapshot):
    """States of a `StateSet` at one moment."""

    __slots__ = ("_states",)
    fields = ("states",)

    def __init__(self, states: Mapping[str, bool]) -> None:
        self._states = MappingProxyType(dict(states))

    @property
    def states(self) -> Mapping[str, bool]:
        """Each state, in the order of its declaration, and whether it is on."""
        return self._states

    @property
    def points(self) -> tuple[Point, ...]:
        """One point for each state, 1 when it is on and 0 when it is off."""
        return tuple([Point(((None, state),), int(on)) for state, on in self._states.items()])

    def to_dict(self) -> dict[str, object]:
        """Return each state, 1 when it is on and 0 when it is off."""
        return {state: int(on) for state, on in self._states.items()}

    def __hash__(self) -> int:
        return hash((StateSetSnapshot, frozenset(self._states.items())))


@final
class StateSet(Shared):
    """Named states, each of which is on or off: the phase of a job, the flags of a feature.

    All are off in the beginning. The states are OpenMetrics' StateSet; with one of them on at a
    time they are the enum of other clients. Safe to use from any thread; a snapshot never shows a
    part of an update.

    Args:
        states: the names of the states.

    Raises:
        TypeError: `states` is a str, or a name is not a str.
        ValueError: no state is declared, or one of them twice, or one without a name.
    """

    __slots__ = ("_names", "_on")

    def __init__(self, states: Iterable[str]) -> None:
        self._names = checked_states(states)
        # Replaced and never changed, so that a snapshot is whole without a lock.
        self._on: frozenset[str] = frozenset()

    def set(self, *states: str) -> None:
        """Switch these states on, and all others off.

        Raises:
            ValueError: a state is not declared.
        """
        for state in states:
            self._refuse_undeclared(state)
        self._on = frozenset(states)

    @property
    def states(self) -> tuple[str, ...]:
        """The declared states."""
        return self._names

    @property
    def value(self) -> tuple[str, ...]:
        """The states that are on, in the order of their declaration."""
        on = self._on
        return tuple([state for state in self._names if state in on])

    def snapshot(self, reader: str = "") -> StateSetSnapshot:
        """Return the states now."""
        on = self._on
        return StateSetSnapshot({state: state in on for state in self._names})

    def _refuse_undeclared(self, state: str) -> None:
        if state not in self._names:
            declared = ", ".join([repr(name) for name in self._names])
            raise ValueError(f"state {state!r} is not declared; use {declared}")

    def __repr__(self) -> str:
        return f"StateSet({self._names}, value={self.value})"


def checked_states(states: Iterable[object]) -> tuple[str, ...]:
    """Return the names of states as a tuple.

    Raises:
        TypeError: `states` is a str, or a name is not a str.
        ValueError: no state is declared, or one of them twice, or one without a name.
    """
    if isinstance(states, str):
        raise TypeError(f"invalid states {states!r}: use a sequence of str, as in ({states!r},)")
    names: list[str] = []
    for state in states:
        if not isinstance(state, str):
            raise TypeError(f"invalid state {state!r} ({type(state).__name__}): use a str")
        names.append(state)
    if not names or "" in names or len(set(names)) != len(names):
        raise ValueError(f"invalid states {tuple(names)}: use one or more different names")
    return tuple(names)
