"""Who may override at the same time, in what order blocks end, and what is put back then."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from dependency_injector import containers, providers

from metrics.errors import LifecycleError
from metrics.lifecycle import LifecycleContainer, Resource, State, state
from metrics.testing import overridden

PATIENCE = 10.0


class Made:
    def __init__(self, resource) -> None:
        self.resource = resource


def connect():
    yield "real"


class Container(LifecycleContainer):
    resource = Resource(connect)
    user = providers.Factory(Made, resource)
    other = providers.Object("other")


container = Container()


def test_another_thread_cannot_override_the_same_but_something_else():
    def override(name):
        with overridden(container, {name: "theirs"}):
            return container.providers[name]()

    with overridden(container, other="mine"), ThreadPoolExecutor(1) as threads:
        with pytest.raises(LifecycleError, match=r"'other' is overridden by 'MainThread'"):
            threads.submit(override, "other").result(PATIENCE)
        assert threads.submit(override, "resource").result(PATIENCE) == "theirs"
        assert threads.submit(container.other).result(PATIENCE) == "mine"
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(override, "other").result(PATIENCE) == "theirs"


def test_another_task_cannot_override_the_same_while_the_first_goes_on():
    async def main() -> None:
        async def override() -> None:
            with overridden(container, other="theirs"):
                await asyncio.sleep(0)

        with overridden(container, other="mine"):
            with pytest.raises(LifecycleError, match="give each test a container of its own"):
                await asyncio.create_task(override())
            with overridden(container, other="inner"):
                assert container.other() == "inner"
            assert container.other() == "mine"
        await asyncio.create_task(override())

    asyncio.run(main())


def test_what_a_task_has_overridden_that_has_ended_may_be_overridden_again():
    async def set_up():
        block = overridden(container, other="fixture")
        await block.__aenter__()
        return block

    async def use() -> None:
        async with overridden(container, other="test"):
            assert container.other() == "test"
        assert container.other() == "fixture"

    with asyncio.Runner() as runner:
        block = runner.run(set_up())
        runner.run(use())
        with overridden(container, other="sync"):
            assert container.other() == "sync"
        runner.run(block.__aexit__(None, None, None))
    assert container.other() == "other"


def test_containers_of_their_own_are_overridden_by_many_threads_at_once():
    barrier = threading.Barrier(8)

    def work(number):
        own = Container()
        barrier.wait(PATIENCE)
        for turn in range(20):
            with overridden(own, resource=(number, turn), other=number):
                assert own.user().resource == (number, turn)
                own.init_resources()
                assert own.other() == number
                own.shutdown_resources()
        return own.resource.overridden

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(work, range(8))) == [()] * 8


def test_a_container_made_inside_is_given_the_fake_and_stopped_with_it():
    class Library(LifecycleContainer):
        resource = providers.Dependency()
        user = Resource(Made, resource)
        made = providers.Singleton(Made, resource)

    lender = Container()
    library = Library(resource=lender.resource)
    with overridden(lender, resource="fake"):
        assert library.made().resource == "fake"
        late = Library(resource=lender.resource)
        library.init_resources()
        late.init_resources()
        assert late.made().resource == "fake"
    assert state(library, "user") is state(late, "user") is State.STOPPED
    assert library.made().resource == late.made().resource == "real"
    with (
        pytest.raises(LifecycleError, match="'user'"),
        overridden(lender, resource="fake" if library.user() else ""),
    ):
        pytest.fail("the block was begun")
    for each in (library, late, lender):
        each.shutdown_resources()


@pytest.mark.parametrize(
    "kind",
    [
        providers.Singleton,
        providers.ThreadSafeSingleton,
        providers.ThreadLocalSingleton,
        providers.ContextLocalSingleton,
    ],
)
def test_singletons_of_every_kind_are_put_back_for_a_thread_that_lives_on(kind):
    class Holding(LifecycleContainer):
        value = providers.Object("real")
        made = kind(Made, value)

    holding = Holding()
    with ThreadPoolExecutor(1) as threads:
        before = threads.submit(holding.made).result(PATIENCE)
        with overridden(holding, value="fake"):
            assert threads.submit(holding.made).result(PATIENCE).resource == "fake"
        assert threads.submit(holding.made).result(PATIENCE) is before


def test_what_the_test_overrides_by_itself_is_put_back_as_it_was():
    before = providers.Object("before")
    with container.other.override(before):
        outer, inner = overridden(container, other="a"), overridden(container, other="b")
        outer.__enter__()
        container.other.override("by hand")
        inner.__enter__()
        assert container.other() == "b"
        container.other.reset_override()
        inner.__exit__(None, None, None)
        assert container.other() == "by hand"
        outer.__exit__(None, None, None)
        assert container.other.overridden == (before,)


def test_the_same_provider_over_and_over_is_taken_away_once_for_each_block():
    fake, between = providers.Object("fake"), providers.Object("between")
    blocks = [overridden(container, other=each) for each in (fake, between, fake)]
    for block in blocks:
        block.__enter__()
    blocks[0].__exit__(None, None, None)
    assert container.other.overridden == (between, fake)
    blocks[2].__exit__(None, None, None)
    assert container.other.overridden == (between,)
    blocks[1].__exit__(None, None, None)
    assert container.other.overridden == ()


class Holding(LifecycleContainer):
    one = providers.Object("one")
    two = providers.Object("two")
    made = providers.Singleton(dict, one=one, two=two)


def test_a_singleton_never_keeps_what_a_block_that_has_ended_before_another_has_provided():
    holding = Holding()
    before = holding.made()
    first, second = overridden(holding, one=1), overridden(holding, two=2)
    first.__enter__()
    second.__enter__()
    assert holding.made() == {"one": 1, "two": 2}
    first.__exit__(None, None, None)
    assert holding.made() == {"one": "one", "two": 2}
    second.__exit__(None, None, None)
    assert holding.made() is before


def test_a_singleton_of_a_container_made_inside_does_not_keep_the_fake():
    class Library(LifecycleContainer):
        borrowed = providers.Dependency()
        made = providers.Singleton(dict, borrowed=borrowed)

    holding = Holding()
    with overridden(holding, one="fake"):
        library = Library(borrowed=holding.one)
        assert library.made() == {"borrowed": "fake"}
    assert library.made() == {"borrowed": "one"}


@pytest.mark.parametrize("lifecycle", [LifecycleContainer, containers.DeclarativeContainer])
def test_a_container_that_borrows_a_whole_container_does_not_keep_the_fake(lifecycle):
    class Inner(LifecycleContainer):
        holding = providers.DependenciesContainer()
        made = providers.Singleton(dict, borrowed=holding.one)

    class Library(lifecycle):
        holding = providers.DependenciesContainer()
        inner = providers.Container(Inner, holding=holding)

    holding = Holding()
    with overridden(holding, one="fake"):
        library = Library(holding=holding)
        assert library.inner.made() == {"borrowed": "fake"}
    assert library.inner.made() == {"borrowed": "one"}


def test_what_a_container_has_borrowed_is_not_overridden_while_it_runs():
    class Library(LifecycleContainer):
        holding = providers.DependenciesContainer()
        user = Resource(lambda one: one, holding.one)

    holding = Holding()
    library = Library(holding=holding)
    library.init_resources()
    with (
        pytest.raises(
            LifecycleError, match=r"cannot override 'one': running resource 'user' already"
        ),
        overridden(holding, one="fake"),
    ):
        pytest.fail("the block was begun")
    library.shutdown_resources()
