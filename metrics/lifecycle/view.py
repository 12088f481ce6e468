"""What can be seen of a container: its state, its events, its graph."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from metrics.lifecycle.container import LifecycleContainer, instance_of
from metrics.lifecycle.events import Subscriber
from metrics.lifecycle.order import Provider, all_needs, in_order
from metrics.lifecycle.part import State
from metrics.lifecycle.resource import Resource


class Node(NamedTuple):
    """One part in a graph."""

    name: str
    state: State
    asynchronous: bool
    """Whether it is started in an event loop."""
    lent: bool
    """Whether another container starts and stops it."""
    needs: tuple[str, ...]
    """The parts it needs, directly or through providers that are no parts."""


class Graph(NamedTuple):
    """The parts of a container, in the order in which they start, and what each needs."""

    name: str
    state: State
    parts: tuple[Node, ...]

    def to_text(self) -> str:
        """Return a line for each part: its state, its name, and what it needs."""
        lines = [f"{self.name} {self.state}"]
        for part in self.parts:
            kind = " (async)" * part.asynchronous + " (lent)" * part.lent
            needs = f" <- {', '.join(part.needs)}" if part.needs else ""
            lines.append(f"  {part.state:<8}  {part.name}{kind}{needs}")
        return "\n".join(lines) + "\n"

    def to_dot(self) -> str:
        """Return the graph in Graphviz' language, with an arrow from each part to what it needs."""
        lines = [f"digraph {quoted(self.name)} {{", "  rankdir=LR;", "  node [shape=box];"]
        for part in self.parts:
            label = quoted(f"{part.name}\n{part.state}")
            style = " style=dashed" * part.lent
            lines.append(f"  {quoted(part.name)} [label={label}{style}];")
            lines += [f"  {quoted(part.name)} -> {quoted(need)};" for need in part.needs]
        return "\n".join([*lines, "}"]) + "\n"

    def to_json(self) -> str:
        """Return an object with `name`, `state` and `parts`, an array of objects."""
        parts = [part._asdict() for part in self.parts]
        return json.dumps({"name": self.name, "state": self.state, "parts": parts}, indent=2)

    def __str__(self) -> str:
        return self.to_text()


def graph(container: LifecycleContainer) -> Graph:
    """Return the parts of a container, their states, and what each needs. Starts nothing."""
    instance = instance_of(container, "graph()")
    ownership = instance._ownership
    steps = {step.provider: step for step in ownership.all_steps()}
    # The parts that a provider needs, or is.
    nearest: dict[Provider, dict[str, None]] = {}
    nodes = []
    for provider, needed in in_order(instance.providers.values(), all_needs):
        needs = {name: None for need in needed for name in nearest.get(need, {})}
        if provider in steps:
            part, _, asynchronous = steps[provider]
            lent = not ownership.owns(part)
            name = f"{part.lifecycle.name}.{part.name}" if lent and part.lifecycle else part.name
            nodes.append(Node(name, part.state, asynchronous, lent, tuple(needs)))
            needs = {name: None}
        nearest[provider] = needs
    return Graph(ownership.lifecycle.name, ownership.lifecycle.state, tuple(nodes))


def state(of: LifecycleContainer | Resource[Any], part: str | None = None) -> State:
    """Return the state of a container, of one of its parts by dotted name, or of a resource.

    Raises:
        KeyError: the container has no part of that name.
    """
    if isinstance(of, Resource):
        if part is not None:
            raise TypeError(f"state() of a resource takes no name of a part, got {part!r}")
        return of.part.state
    ownership = instance_of(of, "state()")._ownership
    if part is None:
        return ownership.lifecycle.state
    states = {step.part.name: step.part.state for step in ownership.all_steps()}
    if part not in states:
        known = ", ".join(states) or "none"
        raise KeyError(f"{ownership.lifecycle.name} has no part {part!r}; it has {known}")
    return states[part]


def subscribe(container: LifecycleContainer, subscriber: Subscriber) -> Callable[[], None]:
    """Call `subscriber(event)` whenever a part changes its state; return what ends that.

    It is called in the thread that starts or stops the part, and what it raises is logged.
    """
    return instance_of(container, "subscribe()")._ownership.events.subscribe(subscriber)


def quoted(text: str) -> str:
    """Return a string as Graphviz writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
