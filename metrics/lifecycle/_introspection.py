"""States, events and graph of a container, for people and for programs."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from metrics.lifecycle._container import LifecycleContainer, instance_of
from metrics.lifecycle._record import Subscriber
from metrics.lifecycle._resource import Resource
from metrics.lifecycle._transition import State
from metrics.lifecycle._view import resources_of


class Node(NamedTuple):
    """One resource in a graph."""

    name: str
    state: State
    asynchronous: bool
    """Whether it is started in an event loop."""
    borrowed: bool
    """Whether another container starts and stops it."""
    needs: tuple[str, ...]
    """The resources on which it depends, directly or through other providers."""


class Graph(NamedTuple):
    """Resources of a container, in the order of their start, and their dependencies."""

    name: str
    state: State
    resources: tuple[Node, ...]

    def to_text(self) -> str:
        """Return a line for each resource: its state, its name, its dependencies."""
        lines = [f"{self.name} {self.state}"]
        for node in self.resources:
            kind = " (async)" * node.asynchronous + " (borrowed)" * node.borrowed
            needs = f" <- {', '.join(node.needs)}" if node.needs else ""
            lines.append(f"  {node.state:<8}  {node.name}{kind}{needs}")
        return "\n".join(lines) + "\n"

    def to_dot(self) -> str:
        """Return the graph in Graphviz' language; arrows lead from a resource to dependencies."""
        lines = [f"digraph {dot_string(self.name)} {{", "  rankdir=LR;", "  node [shape=box];"]
        for node in self.resources:
            label = dot_string(f"{node.name}\n{node.state}")
            style = " style=dashed" * node.borrowed
            lines.append(f"  {dot_string(node.name)} [label={label}{style}];")
            lines += [f"  {dot_string(node.name)} -> {dot_string(need)};" for need in node.needs]
        return "\n".join([*lines, "}"]) + "\n"

    def to_json(self) -> str:
        """Return an object with `name`, `state` and `resources`, an array of objects."""
        resources = [node._asdict() for node in self.resources]
        return json.dumps(
            {"name": self.name, "state": self.state, "resources": resources}, indent=2
        )

    def __str__(self) -> str:
        return self.to_text()


def graph(container: LifecycleContainer) -> Graph:
    """Return the resources of a container, their states and dependencies. Starts nothing."""
    ownership = instance_of(container, "graph()")._ownership
    nodes = [
        Node(each.name, each.state, each.asynchronous, each.borrowed, each.needs)
        for each in resources_of(ownership)
    ]
    return Graph(ownership.lifecycle.name, ownership.lifecycle.state, tuple(nodes))


def state(of: LifecycleContainer | Resource[Any], resource: str | None = None) -> State:
    """Return the state of a container, of one of its resources by dotted name, or of a resource.

    Raises:
        KeyError: the container has no resource of that name.
    """
    if isinstance(of, Resource):
        if resource is not None:
            raise TypeError(f"state() of a resource takes no name, got {resource!r}")
        return of.record.state
    ownership = instance_of(of, "state()")._ownership
    if resource is None:
        return ownership.lifecycle.state
    states = {step.record.name: step.record.state for step in ownership.all_steps()}
    if resource not in states:
        known = ", ".join(states) or "none"
        raise KeyError(f"{ownership.lifecycle.name} has no resource {resource!r}; it has {known}")
    return states[resource]


def subscribe(container: LifecycleContainer, subscriber: Subscriber) -> Callable[[], None]:
    """Call `subscriber(event)` for every change of a resource's state.

    It is called in the thread that starts the resource. The events of a stop with a time limit come
    one after another in a thread of their own, so that a subscriber that blocks delays nothing; the
    stop waits for it as long as there is time. Exceptions that it raises are logged.

    Returns:
        a function that ends the subscription.
    """
    return instance_of(container, "subscribe()")._ownership.events.subscribe(subscriber)


def dot_string(text: str) -> str:
    """Return a string as Graphviz writes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
