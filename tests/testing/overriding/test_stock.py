"""Containers of dependency-injector's own are overridden as ours are."""

import asyncio
import sys
import types

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject

from metrics.errors import LifecycleError
from metrics.lifecycle import LifecycleContainer, Resource
from metrics.testing import overridden
from tests.lifecycle.calls import Calls


class Inner(containers.DeclarativeContainer):
    base = providers.Object("base")
    pool = providers.Resource(lambda base: base, base)


class Declared(containers.DeclarativeContainer):
    inner = providers.Container(Inner)
    value = providers.Object("value")
    user = providers.Resource(lambda pool: pool, inner.pool)
    made = providers.Singleton(dict, value=value, user=user)
    new = providers.Factory(dict, value=value)


def built_by_hand():
    inner = containers.DynamicContainer()
    inner.base = providers.Object("base")
    inner.pool = providers.Resource(lambda base: base, inner.base)
    container = containers.DynamicContainer()
    container.inner = providers.Container(container=inner)
    container.value = providers.Object("value")
    container.user = providers.Resource(lambda pool: pool, inner.pool)
    container.made = providers.Singleton(dict, value=container.value, user=container.user)
    container.new = providers.Factory(dict, value=container.value)
    return container


@pytest.fixture(params=[Declared, built_by_hand])
def container(request):
    container = request.param()
    yield container
    container.shutdown_resources()


def stacks(container):
    walked = [*container.providers.values(), *container.inner.providers.values()]
    return {provider: provider.overridden for provider in walked}


def test_all_names_are_replaced_or_none_and_put_back(container):
    before, made = stacks(container), container.made()
    container.shutdown_resources()
    with overridden(container, {"value": 1, "inner.base": "fake"}) as same:
        assert same is container
        assert container.new() == {"value": 1}
        assert container.made() == {"value": 1, "user": "fake"}
    assert stacks(container) == before
    assert container.made() is made
    with pytest.raises(KeyError, match=r"did you mean 'inner\.base'"):
        overridden(container, {"value": 1, "inner.bse": 2})
    assert stacks(container) == before


def test_a_running_resource_that_uses_a_provider_is_named(container):
    container.init_resources()
    with (
        pytest.raises(
            LifecycleError, match=r"'inner\.base': running resources 'inner.pool', 'user'"
        ),
        overridden(container, {"inner.base": "fake"}),
    ):
        pytest.fail("the block was begun")
    with overridden(container, value="fake"):
        assert container.new() == {"value": "fake"}


def test_a_resource_that_holds_a_fake_is_stopped_at_the_end_and_can_be_requested_again(container):
    with overridden(container, {"inner.base": "fake"}):
        container.init_resources()
        assert container.user() == "fake"
    assert not container.user.initialized
    assert container.user() == "base"


@pytest.mark.parametrize("kind", [Resource, providers.Resource])
def test_a_given_resource_is_stopped_by_the_container_or_at_the_end(container, kind):
    calls = Calls()
    for stops in (False, True):
        calls.lines.clear()
        fake = kind(calls.part, "fake")
        with overridden(container, {"inner.pool": fake}):
            container.init_resources()
            assert container.user() == "fake"
            if stops:
                container.shutdown_resources()
        assert calls.lines == ["start fake", "stop fake"]
        assert not fake.initialized


def test_resources_are_stopped_dependents_first_before_the_fake(container):
    calls = Calls()
    user = providers.Resource(calls.part, "user", container.inner.pool)
    container.inner.pool.set_provides(calls.part)
    container.inner.pool.set_args("pool", container.inner.base)
    with overridden(container, {"inner.base": calls.part("fake"), "user": user}):
        container.init_resources()
    assert calls.lines == [
        "start fake", "start pool", "start user", "stop user", "stop pool", "stop fake"
    ]  # fmt: skip


def test_an_embedded_stock_container_is_overridden_from_inside_and_from_outside():
    class Outer(LifecycleContainer):
        inner = providers.Container(Inner)
        user = Resource(lambda pool: pool, inner.pool)

    for overrides in (
        lambda outer: overridden(outer, {"inner.base": "fake"}),
        lambda outer: overridden(outer.inner.container, base="fake"),
    ):
        outer = Outer()
        with overrides(outer):
            outer.init_resources()
            assert outer.user() == "fake"
        assert not outer.inner.pool.initialized
        outer.init_resources()
        with pytest.raises(LifecycleError, match="already use"), overrides(outer):
            pytest.fail("the block was begun")
        outer.shutdown_resources()


def test_a_whole_embedded_container_is_replaced(container):
    other = Inner(base="other")
    with overridden(container, inner=other):
        assert container.user() == "other"
    assert container.user() == "base"
    other.shutdown_resources()


def test_a_container_that_borrows_is_found():
    class Library(containers.DeclarativeContainer):
        value = providers.Dependency()
        user = providers.Resource(lambda value: value, value)

    declared = Declared()
    library = Library(value=declared.value)
    with overridden(declared, value="fake"):
        assert library.user() == "fake"
    assert library.user() == "value"
    with (
        pytest.raises(LifecycleError, match="running resource 'user'"),
        overridden(declared, value="fake"),
    ):
        pytest.fail("the block was begun")
    library.shutdown_resources()


def test_values_given_to_the_constructor_are_put_back():
    container = Declared(value="given")
    with overridden(container, value="fake"):
        assert container.new() == {"value": "fake"}
    assert container.new() == {"value": "given"}


def test_wired_functions_are_given_the_fake():
    module = types.ModuleType("wired")

    @inject
    def view(value=Provide[Declared.value], made=Provide[Declared.new]):
        return value, made

    view.__module__ = module.__name__
    module.view = view
    sys.modules[module.__name__] = module
    container = Declared()
    try:
        container.wire(modules=[module])
        with overridden(container, value="fake"):
            assert module.view() == ("fake", {"value": "fake"})
        assert module.view() == ("value", {"value": "value"})
    finally:
        container.unwire()
        del sys.modules[module.__name__]


async def connect(base):
    yield base


class AsyncResources(containers.DeclarativeContainer):
    base = providers.Object("base")
    pool = providers.Resource(connect, base)
    user = providers.Resource(lambda pool: pool, pool)
    made = providers.Factory(dict, pool=pool)


def test_async_resources_are_stopped_in_an_async_block_and_reported_by_another():
    container = AsyncResources()

    async def main() -> None:
        async with overridden(container, base="fake"):
            await container.init_resources()
            assert await container.made() == {"pool": "fake"}
        assert not container.pool.initialized
        assert not container.user.initialized
        block = overridden(container, base="fake")
        block.__enter__()
        await container.init_resources()
        with pytest.raises(LifecycleError, match="write `async with"):
            block.__exit__(None, None, None)
        assert container.base.overridden == ()
        await container.shutdown_resources()
        assert await container.made() == {"pool": "base"}
        await container.shutdown_resources()

    asyncio.run(main())


def test_a_sync_fake_of_an_async_resource_makes_its_dependents_sync_for_the_block_only():
    container = AsyncResources()

    async def main() -> None:
        for _ in range(2):
            with overridden(container, pool="fake"):
                assert container.made() == {"pool": "fake"}
            assert await container.made() == {"pool": "base"}
            await container.shutdown_resources()
            container.pool.reset_async_mode()
            container.made.reset_async_mode()

    asyncio.run(main())


def test_a_decorated_test_and_a_nested_block_work_as_with_ours(container):
    @overridden(container, value="outer")
    def nested():
        with overridden(container, value="inner"):
            assert container.value() == "inner"
        assert container.value() == "outer"

    nested()
    assert container.value() == "value"
