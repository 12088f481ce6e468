"""Whatever a container declares, its resources start and stop in an order that can be relied on."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import count

import pytest
from dependency_injector import containers, providers
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.lifecycle import LifecycleContainer, Resource

pytestmark = pytest.mark.slow(reason="generates hundreds of containers")


class Journal:
    """Records what its hooks do, and is the same journal in every copy of a container."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[str] = []

    @contextmanager
    def hook(self, name: str, *_needed: object, **_named: object):
        self.started.append(name)
        yield Value(name)
        self.stopped.append(name)

    @asynccontextmanager
    async def async_hook(self, name: str, *_needed: object, **_named: object):
        self.started.append(name)
        yield Value(name)
        self.stopped.append(name)

    def __deepcopy__(self, memo: object) -> "Journal":
        return self


class Value:
    """Something to inject that can be made of anything and called for anything."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.items = {"key": self}

    def get(self, *_args: object, **_kwargs: object) -> "Value":
        return self


async def coroutine(*_args: object, **_kwargs: object) -> Value:
    return Value()


@dataclass(eq=False)
class Node:
    """What is known of a provider by how it was declared."""

    provider: providers.Provider
    needs: list["Node"] = field(default_factory=list)
    part: str | None = None
    branches: list["Node"] = field(default_factory=list)
    inner: dict[str, "Node"] = field(default_factory=dict)


def reachable(nodes: Iterable[Node], idle: Iterable[Node] | None = None) -> dict[Node, None]:
    """Return nodes and what they need, branches that are idle only if nothing is said of them."""
    ahead, seen = list(nodes), dict[Node, None]()
    for node in ahead:
        if node not in seen:
            seen[node] = None
            ahead += node.needs
            ahead += node.branches if idle is None else ()
            ahead += [inner for inner in node.inner.values() if inner not in (idle or ())]
    return seen


def flattened(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield all declarations in their order, those of embedded containers in their place."""
    for node in nodes:
        yield node
        yield from flattened(node.inner.values())


def value_of(node: Node):
    """Return a provider of a `Value`; some nodes provide a list or another provider."""
    return providers.Callable(Value, node.provider).provided


# Each makes a provider of two others.
PLAIN: dict[str, Callable[[Node, Node], providers.Provider]] = {
    "Factory": lambda a, b: providers.Factory(Value, a.provider, x=b.provider),
    "attributes": lambda a, b: providers.Factory(Value).add_attributes(x=a.provider, y=b.provider),
    "Singleton": lambda a, b: providers.Singleton(Value, a.provider, x=b.provider),
    "ThreadSafeSingleton": lambda a, b: providers.ThreadSafeSingleton(
        Value, a.provider, x=b.provider
    ),
    "Callable": lambda a, b: providers.Callable(Value, a.provider, x=b.provider),
    "List": lambda a, b: providers.List(a.provider, b.provider),
    "Dict": lambda a, b: providers.Dict(x=a.provider, y=b.provider),
    "Aggregate": lambda a, b: providers.Aggregate(x=a.provider, y=b.provider).provider,
    "provided": lambda a, b: value_of(a).items["key"].get.call(1, b.provider),
    "keyword": lambda a, b: value_of(a).get.call(x=b.provider).items,
    "provider": lambda a, b: providers.Factory(Value, a.provider, b.provider).provider,
}
# What follows a call with an argument to be awaited is more than dependency-injector can do.
ASYNC = {kind: PLAIN[kind] for kind in PLAIN if kind != "keyword"} | {
    "Coroutine": lambda a, b: providers.Coroutine(coroutine, a.provider, b.provider)
}


class Builder:
    """Draws a container, and keeps the nodes of all that is in it."""

    def __init__(self, draw: st.DrawFn, *, asynchronous: bool) -> None:
        self.draw = draw
        self.journal = Journal()
        self.numbers = count()
        self.hooks = [self.journal.hook, self.journal.async_hook][: 1 + asynchronous]
        self.plain = ASYNC if asynchronous else PLAIN

    def pick(self, choices):
        return self.draw(st.sampled_from(list(choices)))

    def some(self, nodes: list[Node], most: int) -> list[Node]:
        return [self.pick(nodes) for _ in range(self.draw(st.integers(0, most)))] if nodes else []

    def container(self, depth: int, outside: list[Node]) -> tuple[type, dict, dict[str, Node]]:
        """Draw a class; return it with what it has to be given, and what it declares."""
        declared: dict[str, Node] = {}
        lent: dict[str, providers.Provider] = {}
        pool: list[Node] = []

        for node in self.some(outside, 2):
            name = f"given{next(self.numbers)}"
            lent[name] = node.provider
            if node.inner:
                host = providers.DependenciesContainer()
                declared[name] = Node(host, [node])
                borrowed = [Node(getattr(host, n), [node.inner[n]]) for n in node.inner]
                pool += borrowed
            else:
                declared[name] = Node(providers.Dependency(), [node])
                pool.append(declared[name])
        for _ in range(self.draw(st.integers(1, 6))):
            kinds = ["part", "part", "plain", "Selector", "override"]
            kind = self.pick(kinds + ["Container"] * (depth > 0)) if pool else "part"
            name = f"n{next(self.numbers)}"
            node = self.node(kind, depth, pool, name)
            if node.inner or self.draw(st.integers(0, 4)):
                declared[name] = node
            pool += [node, *node.inner.values()]
        in_order = {name: declared[name] for name in self.draw(st.permutations(list(declared)))}
        kind = self.pick([LifecycleContainer, containers.DeclarativeContainer])
        base = kind if outside or depth < DEPTH else LifecycleContainer
        made = type("Drawn", (base,), {name: node.provider for name, node in in_order.items()})
        return made, lent, in_order

    def node(self, kind: str, depth: int, pool: list[Node], name: str) -> Node:
        if kind == "part":
            needs = self.some(pool, 3)
            needed = [node.provider for node in needs]
            return Node(Resource(self.pick(self.hooks), name, *needed), needs, part=name)
        if kind == "Container":
            made, lent, inner = self.container(depth - 1, pool)
            embedded = providers.Container(made, **lent)
            for inner_name, node in inner.items():
                node.provider = getattr(embedded, inner_name)
            return Node(embedded, inner=inner)
        one, two = self.pick(pool), self.pick(pool)
        if kind == "Selector" and not (one.inner or two.inner):
            selector = providers.Selector(providers.Object("x"), x=one.provider, y=two.provider)
            return Node(selector, [one], branches=[one, two])
        if kind == "override":
            idle = providers.Factory(Value, two.provider)
            overriding = providers.Callable(Value, one.provider)
            idle.override(overriding)
            return Node(idle, [one])
        return Node(self.plain[self.pick(self.plain)](one, two), [one, two])


DEPTH = 2


class Drawn:
    """A container and what is known of it."""

    def __init__(self, container: LifecycleContainer, journal: Journal, declared: dict) -> None:
        self.container = container
        self.journal = journal
        self.declared: dict[str, Node] = declared
        self.nodes = reachable(declared.values())
        self.idle = {branch for node in self.nodes for branch in node.branches}

    def __repr__(self) -> str:
        numbers = {node: number for number, node in enumerate(self.nodes)}
        return "".join(
            f"\n  {numbers[node]} {type(node.provider).__name__} {node.part or ''} needs "
            f"{[numbers[n] for n in node.needs]}, branches {[numbers[n] for n in node.branches]}, "
            f"declares {[numbers[n] for n in node.inner.values()]}"
            for node in self.nodes
        )

    def brought_up(self, nodes: Iterable[Node]) -> set[str]:
        """Return the names of the resources that nodes are or need."""
        return {node.part for node in reachable(nodes, self.idle) if node.part is not None}


@st.composite
def drawn(draw: st.DrawFn, *, asynchronous: bool = False) -> Drawn:
    builder = Builder(draw, asynchronous=asynchronous)
    made, _, declared = builder.container(DEPTH, [])
    return Drawn(made(), builder.journal, declared)


def check_order(drawn: Drawn) -> None:
    started, stopped = drawn.journal.started, drawn.journal.stopped
    roots = [node for node in drawn.declared.values() if node not in drawn.idle]
    assert len(started) == len(set(started)), "each part starts once"
    assert set(started) == drawn.brought_up(roots), "what is needed starts, and nothing else"
    assert stopped == started[::-1], "the stop is the exact reverse of the start"
    place = {part: index for index, part in enumerate(started)}
    for node in drawn.nodes:
        if node.part in place:
            for needed in drawn.brought_up(node.needs):
                assert place[needed] < place[node.part], "what is needed starts first"


def check_declaration_order(drawn: Drawn) -> None:
    """A resource precedes one declared before it only if a provider declared no later needs it."""
    place = {part: index for index, part in enumerate(drawn.journal.started)}
    asked: set[str] = set()
    for node in flattened(drawn.declared.values()):
        if node in drawn.idle:
            continue
        asked |= drawn.brought_up([] if node.inner else [node])
        if node.part is not None:
            assert {part for part in place if place[part] <= place[node.part]} <= asked


@settings(deadline=None, max_examples=100)
@given(drawn())
def test_any_container_starts_in_order_and_stops_in_reverse(drawn):
    drawn.container.init_resources()
    drawn.container.shutdown_resources()
    check_order(drawn)
    check_declaration_order(drawn)


@settings(deadline=None, max_examples=100)
@given(drawn(), st.data())
def test_resources_that_are_requested_before_the_start_bring_up_what_they_need_only(drawn, data):
    parts = [name for name, node in drawn.declared.items() if node.part and node not in drawn.idle]
    asked = data.draw(st.lists(st.sampled_from(parts), unique=True)) if parts else []
    for part in asked:
        getattr(drawn.container, part)()
    needed = drawn.brought_up(drawn.declared[part] for part in asked)
    assert set(drawn.journal.started) == needed
    drawn.container.init_resources()
    drawn.container.shutdown_resources()
    check_order(drawn)


@settings(deadline=None, max_examples=100)
@given(drawn(asynchronous=True))
def test_sync_and_async_resources_in_any_container_start_in_order_and_stop_in_reverse(drawn):
    async def life() -> None:
        await drawn.container.init_resources()
        await drawn.container.shutdown_resources()

    asyncio.run(life())
    check_order(drawn)


@settings(deadline=None, max_examples=50)
@given(drawn())
def test_the_order_is_the_same_at_every_start(drawn):
    drawn.container.init_resources()
    drawn.container.shutdown_resources()
    first = [*drawn.journal.started]
    drawn.journal.started.clear()
    drawn.container.init_resources()
    drawn.container.shutdown_resources()
    assert drawn.journal.started == first
