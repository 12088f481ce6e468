"""Parts start as declared, what they need before them, and stop in exact reverse."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from dependency_injector import containers, providers

from metrics.lifecycle import LifecycleContainer, Resource, graph
from tests.lifecycle.programs import LIGHT


class Journal:
    """Records what its hooks do, and is the same journal in every copy of a container."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[str] = []

    @contextmanager
    def hook(self, name: str, *_needed: object, **_named: object):
        self.started.append(name)
        yield name
        self.stopped.append(name)

    def part(self, name: str, *needed: object, **named: object) -> Resource:
        return Resource(self.hook, name, *needed, **named)

    def __deepcopy__(self, memo: object) -> "Journal":
        return self


def declared(**parts):
    """Return a container that declares resources in this order."""
    return type("Declared", (LifecycleContainer,), parts)()


def names(container) -> list[str]:
    return [part.name for part in graph(container).resources]


def test_independent_resources_start_as_declared():
    journal = Journal()
    parts = ["zebra", "ant", "mole", "bee", "cat"]
    container = declared(**{name: journal.part(name) for name in parts})
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == parts
    assert journal.stopped == parts[::-1]


def test_what_a_resource_needs_starts_in_the_order_of_its_arguments():
    journal = Journal()
    one, two, three = (journal.part(name) for name in ("one", "two", "three"))
    user = journal.part("user", three, one, x=two)
    container = declared(one=journal.part("alone"), user=user, two=two, three=three)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["alone", "three", "one", "two", "user"]


def test_a_resource_that_many_need_starts_once_and_stops_last():
    journal = Journal()
    base = journal.part("base")
    left, right = journal.part("left", base), journal.part("right", providers.List(base))
    container = declared(top=journal.part("top", right, left), right=right, left=left, base=base)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["base", "right", "left", "top"]
    assert journal.stopped == ["top", "left", "right", "base"]


def test_resources_of_an_embedded_container_start_where_it_is_declared():
    journal = Journal()
    inner = type(
        "Inner", (LifecycleContainer,), {"one": journal.part("one"), "two": journal.part("two")}
    )
    container = declared(
        first=journal.part("first"),
        inner=providers.Container(inner),
        last=journal.part("last"),
    )
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["first", "one", "two", "last"]
    assert journal.stopped == ["last", "two", "one", "first"]


def test_a_subclass_starts_its_own_resources_after_the_inherited_ones():
    journal = Journal()
    base = type("Base", (LifecycleContainer,), {"b": journal.part("b"), "a": journal.part("a")})
    derived = type("Derived", (base,), {"z": journal.part("z"), "y": journal.part("y")})
    container = derived()
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["b", "a", "z", "y"]


def test_a_resource_added_to_an_instance_starts_last_unless_it_is_needed():
    journal = Journal()
    container = declared(user=journal.part("user"), other=journal.part("other"))
    container.set_provider("late", journal.part("late"))
    container.set_provider("base", journal.part("base"))
    container.user.add_args(container.base)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["base", "user", "other", "late"]


def test_a_resource_declared_inside_arguments_is_named_after_its_hook():
    journal = Journal()
    container = declared(user=journal.part("user", journal.part("nameless")))
    assert names(container) == ["(hook)", "user"]


def test_resources_of_an_embedded_container_have_dotted_names():
    journal = Journal()
    inner = type(
        "Inner",
        (containers.DeclarativeContainer,),
        {"given": (given := providers.Dependency()), "part": journal.part("part", given)},
    )
    host = journal.part("host")
    embedded = providers.Container(inner, given=host)
    container = declared(host=host, inner=embedded, user=journal.part("user", embedded.part))
    assert names(container) == ["host", "inner.part", "user"]


LINKS = [
    lambda part: part,
    lambda part: providers.Factory(list, providers.List(part)),
    lambda part: providers.Singleton(dict, part=part),
    lambda part: part.provided,
    lambda part: providers.Selector(providers.Object("x"), x=part.provider),
]
# More than the interpreter's limit of recursion; test_guarantees.py has a chain of ten thousand.
LENGTH = 2_000
# Seconds for a stop of so many, on a machine that is busy with something else.
LONG = 600.0


def links(journal: Journal) -> dict[str, Resource]:
    """Return a chain: each resource needs the one before it, some directly and some not."""
    chain: dict[str, Resource] = {}
    needed: list[object] = []
    for index in range(LENGTH):
        part = chain[f"p{index}"] = journal.part(f"p{index}", *needed)
        needed = [LINKS[index % len(LINKS)](part)]
    return chain


def as_class(chain: dict[str, Resource]):
    return declared(**chain)


def embedded(chain: dict[str, Resource]):
    inner = type("Inner", (LifecycleContainer,), dict(chain))
    container = declared(inner=providers.Container(inner))
    container.set_provider(f"p{LENGTH - 1}", getattr(container.inner, f"p{LENGTH - 1}"))
    return container


def one_by_one(chain: dict[str, Resource]):
    container = declared()
    for name, part in chain.items():
        container.set_provider(name, part)
    return container


def users_first(chain: dict[str, Resource]):
    return one_by_one(dict(reversed(chain.items())))


@pytest.mark.parametrize("build", [as_class, users_first])
def test_a_long_chain_starts_and_stops_without_recursion(build):
    journal = Journal()
    chain = links(journal)
    container = build(chain)
    container.init_resources()
    container.shutdown_resources(timeout=LONG)
    assert journal.started == list(chain)
    assert journal.stopped == list(chain)[::-1]


@pytest.mark.parametrize("build", [embedded, one_by_one])
def test_the_last_of_a_long_chain_starts_all_others_when_it_is_requested(build):
    journal = Journal()
    chain = links(journal)
    container = build(chain)
    last = f"p{LENGTH - 1}"
    assert getattr(container, last)() == last
    assert journal.started == list(chain)
    container.shutdown_resources(timeout=LONG)
    assert journal.stopped == list(chain)[::-1]


PROCESSES = 8
ONE_OF_THE_PROCESSES = """
from contextlib import contextmanager
from dependency_injector import containers, providers
from metrics.lifecycle import LifecycleContainer, Resource, graph

@contextmanager
def hook(name, *needed, **named):
    print("start", name)
    yield name
    print("stop", name)

def parts(prefix, *needed):
    alone = {f"{prefix}{n}": Resource(hook, f"{prefix}{n}", *needed) for n in range(20)}
    gathered = providers.Dict({name: providers.List(part) for name, part in alone.items()})
    return {f"{prefix}user": Resource(hook, f"{prefix}user", gathered), **alone}

class Stock(containers.DeclarativeContainer):
    given = providers.Dependency()
    locals().update(parts("stock", given))

class Inner(LifecycleContainer):
    given = providers.Dependency()
    stock = providers.Container(Stock, given=given)
    locals().update(parts("inner", stock.stock7))

class Outer(LifecycleContainer):
    base = Resource(hook, "base")
    locals().update(parts("outer", base))
    inner = providers.Container(Inner, given=base)

outer = Outer()
outer.init_resources()
outer.shutdown_resources()
print(graph(outer))
"""


@pytest.mark.slow(reason="starts eight programs")
def test_the_order_is_the_same_whatever_the_seed_of_hashes():
    def output(seed: int) -> bytes:
        return subprocess.run(
            [sys.executable, "-c", LIGHT + ONE_OF_THE_PROCESSES],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            timeout=60,
        ).stdout

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outputs = set(pool.map(output, range(PROCESSES)))
    assert len(outputs) == 1
    lines = outputs.pop().decode().splitlines()
    started = [line.removeprefix("start ") for line in lines if line.startswith("start ")]
    stopped = [line.removeprefix("stop ") for line in lines if line.startswith("stop ")]
    assert len(started) == 1 + 3 * 21
    assert stopped == started[::-1]
