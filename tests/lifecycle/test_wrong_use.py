"""Whoever uses a container in a wrong way is told what to do instead."""

import asyncio
import copy
import gc
import warnings
from contextlib import contextmanager

import pytest
from dependency_injector import containers, providers

from metrics.lifecycle import (
    CheckError,
    LifecycleContainer,
    LifecycleError,
    NotRunningError,
    Resource,
    ShutdownError,
    State,
    graph,
    lifespan,
    running,
    state,
    subscribe,
)
from tests.lifecycle.calls import note_of


@contextmanager
def hook(*_needed):
    yield object()


async def async_hook():
    yield object()


class Container(LifecycleContainer):
    part = Resource(hook)


class Stock(containers.DeclarativeContainer):
    part = providers.Resource(hook)


class Async(LifecycleContainer):
    part = Resource(async_hook)


def one(of, *args):
    class Wrong(LifecycleContainer):
        part = Resource(of, *args)

    return Wrong()


TAKERS = {
    "state": state,
    "graph": graph,
    "subscribe": lambda container: subscribe(container, print),
    "running": running,
    "lifespan": lifespan,
}


@pytest.mark.parametrize("name", TAKERS)
def test_a_class_in_place_of_its_instance_is_told_to_be_called(name):
    with pytest.raises(TypeError, match=rf"^{name}\(\) takes .*Container.*call the class"):
        TAKERS[name](Container)


@pytest.mark.parametrize("name", TAKERS)
@pytest.mark.parametrize("wrong", [Stock(), Stock, Container.part.provider, None])
def test_something_without_a_lifecycle_is_told_what_would_have_one(name, wrong):
    with pytest.raises(TypeError, match=rf"^{name}\(\) takes .*LifecycleContainer") as raised:
        TAKERS[name](wrong)
    # Calling the class of a stock container would not help.
    assert "call the class" not in str(raised.value)


def test_a_resource_that_a_container_does_not_have_is_named_beside_those_it_has():
    with pytest.raises(KeyError, match="Container has no resource 'party'; it has part"):
        state(Container(), "party")
    with pytest.raises(KeyError, match="has no resource 'part'") as raised:
        state(LifecycleContainer(), "part")
    assert not raised.value.args[0].endswith("it has ")


def test_what_cannot_be_called_cannot_subscribe():
    with pytest.raises(TypeError, match=r"subscribe\(\) takes .*, got None"):
        subscribe(Container(), None)


def test_a_request_after_the_stop_names_the_resource_and_what_starts_it_again():
    container = Container()
    container.init_resources()
    container.shutdown_resources()
    with pytest.raises(
        NotRunningError, match=r"'part' of Container is STOPPED.*init_resources\(\)"
    ):
        container.part()
    container.init_resources()
    container.part()
    container.shutdown_resources()


def test_a_resource_that_wants_a_stop_while_it_starts_is_told_to_raise_an_exception():
    def stopper():
        container.shutdown_resources()

    container = one(stopper)
    with pytest.raises(LifecycleError, match=r"STARTING.*rais.* an exception") as raised:
        container.init_resources()
    assert raised.value.__notes__ == [note_of("starting", "part", stopper, "Wrong")]
    assert state(container) is State.FAILED


def test_a_resource_that_wants_a_start_while_it_stops_is_told_to_wait():
    def restarter():
        yield
        container.init_resources()

    container = one(restarter)
    container.init_resources()
    with pytest.raises(ShutdownError) as raised:
        container.shutdown_resources()
    (error,) = raised.value.exceptions
    assert isinstance(error, NotRunningError)
    assert "Wrong is STOPPING" in str(error)
    container.shutdown_resources()


def test_a_class_whose_resource_was_started_on_it_says_so_when_it_is_called():
    Container.part()
    try:
        with pytest.raises(LifecycleError, match=r"'part' was started on .*class.*shutdown\(\)"):
            Container()
    finally:
        Container.part.shutdown()
    assert state(Container()) is State.NEW


def test_copying_a_running_container_does_not_speak_of_its_class():
    container = Container()
    with (
        running(container),
        pytest.raises(LifecycleError, match=r"'part'.*cannot be cop") as raised,
    ):
        copy.deepcopy(container)
    assert "class" not in str(raised.value)


def nothing():
    yield from ()


async def async_nothing():
    for never in ():
        yield never


@pytest.mark.parametrize("of", [nothing, async_nothing])
def test_a_hook_without_a_yield_is_told_to_yield_once(of):
    async def start():
        await one(of).init_resources()

    with pytest.raises(RuntimeError, match=r"without a yield.*yield the resource, once") as raised:
        asyncio.run(start())
    assert raised.value.__notes__ == [note_of("starting", "part", of, "Wrong")]


def twice():
    yield 1
    yield 2


async def async_twice():
    yield 1
    yield 2


@pytest.mark.parametrize("of", [twice, async_twice])
def test_a_hook_that_yields_twice_is_told_to_yield_once(of):
    async def run():
        container = one(of)
        await container.init_resources()
        with pytest.raises(ShutdownError) as raised:
            await container.shutdown_resources()
        await container.shutdown_resources()
        return raised.value.exceptions

    (error,) = asyncio.run(run())
    assert "yielded twice" in str(error)
    assert error.__notes__ == [note_of("stopping", "part", of, "Wrong")]


def test_an_async_start_that_nobody_awaits_says_so_and_does_nothing():
    container = Async()
    with pytest.warns(
        RuntimeWarning, match=r"'part'; write `await container.init_resources\(\)`"
    ) as caught:
        container.init_resources()
    assert caught[0].filename == __file__
    assert state(container) is State.NEW


def test_an_async_stop_that_nobody_awaits_says_so_and_does_nothing():
    async def run():
        container = Async()
        await container.init_resources()
        with pytest.warns(RuntimeWarning, match="write `await container.shutdown_resources"):
            container.shutdown_resources()
        assert state(container) is State.RUNNING
        await container.shutdown_resources()

    asyncio.run(run())


def test_an_async_resource_that_is_requested_without_an_event_loop_says_what_to_await():
    with pytest.raises(LifecycleError, match=r"'part' of Async is async.*await init_resources\(\)"):
        Async().part()


def test_an_async_container_in_a_plain_with_is_told_to_use_async_with():
    container = Async()
    with (
        pytest.raises(TypeError, match=r"'part'.*`async with running\(container\)`"),
        running(container),
    ):
        pass
    assert state(container) is State.NEW


def test_a_function_that_hides_that_it_is_async_is_told_to_say_so():
    async def connect():
        return 1

    container = one(lambda: connect())  # noqa: PLW0108 - the function it hides behind
    with pytest.raises(LifecycleError, match=r"'part' .*async.*declare it with an async function"):
        container.init_resources()


@pytest.mark.parametrize("wrong", [int, "Resource", None, Container.part.provider])
@pytest.mark.parametrize("call", ["init_resources", "shutdown_resources"])
def test_a_wrong_resource_type_is_shown(call, wrong):
    with pytest.raises(
        TypeError, match="resource_type must be a subclass of Resource provider, got "
    ):
        getattr(Container(), call)(wrong)


WRONG_TIMEOUTS = [float("nan"), "5", [1]]
WRONG_START_TIMEOUTS = [0, -1, *WRONG_TIMEOUTS]


@pytest.mark.parametrize("wrong", WRONG_TIMEOUTS)
def test_a_wrong_timeout_is_shown_and_nothing_is_stopped(wrong):
    container = Container()
    with running(container):
        with pytest.raises((TypeError, ValueError), match=r"timeout.* takes .* got"):
            container.shutdown_resources(timeout=wrong)
        assert state(container, "part") is State.RUNNING


@pytest.mark.parametrize("wrong", WRONG_TIMEOUTS)
@pytest.mark.parametrize("call", [running, lifespan])
def test_a_wrong_timeout_is_shown_before_anything_starts(call, wrong):
    # In the end it would be too late: nothing would be stopped.
    with pytest.raises((TypeError, ValueError), match=r"timeout.* takes .* got"):
        call(Container(), timeout=wrong)


@pytest.mark.parametrize("wrong", WRONG_START_TIMEOUTS)
def test_a_wrong_timeout_of_a_start_is_shown_and_nothing_is_started(wrong):
    container = Container()
    with pytest.raises((TypeError, ValueError), match=r"timeout.* takes .* got"):
        container.init_resources(timeout=wrong)
    for call in (running, lifespan):
        with pytest.raises((TypeError, ValueError), match=r"timeout.* takes .* got"):
            call(container, start_timeout=wrong)
    assert state(container) is State.NEW


@pytest.mark.parametrize("wrong", WRONG_START_TIMEOUTS)
def test_a_wrong_start_timeout_of_a_class_is_shown_as_the_class_has_it(wrong):
    class Hasty(Container):
        start_timeout = wrong

    with pytest.raises((TypeError, ValueError), match=r"start_timeout.* takes .* got"):
        Hasty().init_resources()


@pytest.mark.parametrize("wrong", WRONG_TIMEOUTS)
def test_a_wrong_timeout_of_a_class_is_shown_as_the_class_has_it(wrong):
    class Hasty(Container):
        shutdown_timeout = wrong

    with pytest.raises((TypeError, ValueError), match=r"shutdown_timeout.* takes .* got"):
        Hasty().init_resources()


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("asked", ["whole", "part"])
def test_a_resource_that_needs_itself_says_so(length, asked):
    parts = [Resource(hook) for _ in range(length)]
    container = LifecycleContainer()
    for index, part in enumerate(parts):
        part.add_args(providers.Factory(dict, x=parts[index - 1]))
        container.set_provider(f"p{index}", part)
    with pytest.raises(LifecycleError, match=r"'p\d' needs itself to start"):
        container.init_resources() if asked == "whole" else container.p0()
    assert graph(container).resources
    container.shutdown_resources()


def test_a_hook_that_cannot_be_called_is_refused_where_it_is_declared():
    with pytest.raises(TypeError, match=r"Resource takes a function, .* got 5"):
        Resource(5)


def test_a_resource_without_a_hook_names_itself():
    with pytest.raises(TypeError, match="not callable") as raised:
        one(None).init_resources()
    assert raised.value.__notes__ == ["while starting 'part' of Wrong"]


def test_an_undefined_dependency_names_itself_and_the_container():
    class Library(LifecycleContainer):
        registry = providers.Dependency()
        hits = Resource(hook, registry)

    with pytest.raises(CheckError, match=r"Library(?s:.*)'registry' is undefined"):
        Library().init_resources()


def collect(kept):
    kept.clear()
    gc.collect()


@pytest.mark.leakcheck(ignore="container Container")
def test_a_container_that_is_left_running_names_its_resources_when_it_is_collected():
    container = Container()
    container.init_resources()
    expected = r"Container was garbage collected while running, with 'part'.*shutdown_resources"
    kept = [container]
    del container
    with pytest.warns(ResourceWarning, match=expected):
        collect(kept)


def test_right_use_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            container = Container()
            with running(container):
                container.part()
        gc.collect()
