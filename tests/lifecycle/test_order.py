"""Parts start as declared, what they need before them."""

import subprocess
import sys
from contextlib import contextmanager

from dependency_injector import containers, providers

from metrics.lifecycle import LifecycleContainer, Resource, graph


@contextmanager
def hook(*_args: object, **_kwargs: object):
    yield object()


def names(container) -> list[str]:
    return [part.name for part in graph(container).parts]


def test_independent_parts_start_as_declared():
    class Container(LifecycleContainer):
        zebra = Resource(hook)
        ant = Resource(hook)
        mole = Resource(hook)

    assert names(Container()) == ["zebra", "ant", "mole"]


def test_what_a_part_needs_starts_before_it_through_other_providers():
    class Container(LifecycleContainer):
        user = Resource(hook)
        late = Resource(hook)
        single = providers.Singleton(dict, late=late)
        made = providers.Factory(list, providers.List(single))
        early = Resource(hook, made.provided[0])

    Container.user.add_args(Container.early)
    assert names(Container()) == ["late", "early", "user"]


def test_a_part_declared_inside_arguments_is_named_after_its_hook():
    class Container(LifecycleContainer):
        user = Resource(hook, Resource(hook))

    assert names(Container()) == ["(hook)", "user"]


def test_parts_of_an_embedded_container_have_dotted_names():
    class Inner(containers.DeclarativeContainer):
        given = providers.Dependency()
        part = Resource(hook, given)

    class Outer(LifecycleContainer):
        host = Resource(hook)
        inner = providers.Container(Inner, given=host)
        user = Resource(hook, inner.part)

    assert names(Outer()) == ["host", "inner.part", "user"]


def test_an_overridden_part_stands_back_for_what_overrides_it():
    class Container(LifecycleContainer):
        real = Resource(hook)
        user = Resource(hook, real)

    container = Container()
    container.real.override(Resource(hook))
    assert names(container) == ["(hook)", "user"]


def test_a_chain_of_ten_thousand_needs_no_recursion():
    class Container(LifecycleContainer):
        pass

    container = Container()
    last = Resource(hook)
    for index in range(10_000):
        last = Resource(hook, last)
        container.set_provider(f"part{index}", last)
    container.init_resources()
    assert names(container) == ["(hook)", *[f"part{index}" for index in range(10_000)]]
    container.shutdown_resources()


def test_the_order_is_the_same_in_every_process():
    code = (
        "from container import Container\n"
        "from metrics.lifecycle import graph\n"
        "print(graph(Container()))"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout
        for _ in range(5)
    }
    assert len(outputs) == 1
