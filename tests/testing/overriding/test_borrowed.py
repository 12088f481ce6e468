"""Resources that ran before, or belong to another container, are left to their owner."""

import pytest
from dependency_injector import providers

from metrics.errors import LifecycleError
from metrics.lifecycle import LifecycleContainer, Resource, State, state
from metrics.testing import overridden
from tests.lifecycle.calls import Calls


class Inner(LifecycleContainer):
    clock = providers.Object("clock")
    base = Resource(lambda clock: clock, clock)


class Outer(LifecycleContainer):
    inner = providers.Container(Inner)
    user = Resource(lambda base: base, inner.base)


@pytest.fixture
def outer():
    container = Outer()
    yield container
    container.shutdown_resources()


@pytest.mark.parametrize("kind", [Resource, providers.Resource])
def test_what_a_fake_needs_and_was_up_is_left_up(outer, kind):
    calls = Calls()
    needed = kind(calls.part, "needed")
    needed.init()
    with overridden(outer, user=Resource(calls.part, "fake", needed)):
        outer.init_resources()
        outer.shutdown_resources()
    assert calls.lines == ["start needed", "start fake", "stop fake"]
    needed.shutdown()
    assert calls.lines[3:] == ["stop needed"]


def test_a_resource_that_was_up_keeps_its_name(outer):
    needed = Resource(str)
    fake = Resource(list, needed)
    fake.init()
    with overridden(outer, user=fake):
        assert (needed.record.name, fake.record.name) == ("(str)", "(list)")
    fake.shutdown()
    needed.shutdown()


@pytest.mark.parametrize("kind", [Resource, providers.Resource])
def test_a_fake_that_the_test_starts_afterwards_is_not_the_container_s(outer, kind):
    calls = Calls()
    fake = kind(calls.part, "fake")
    with overridden(outer, user=fake):
        outer.init_resources()
    fake.init()
    outer.shutdown_resources()
    assert fake.initialized
    fake.shutdown()
    assert calls.lines.count("stop fake") == 2


def test_a_container_that_was_up_before_it_stood_in_is_left_up(outer):
    inner = Inner()
    inner.init_resources()
    with overridden(outer, inner=inner):
        outer.init_resources()
        assert outer.user() == "clock"
    assert state(inner, "base") is State.RUNNING
    assert state(outer, "user") is State.STOPPED
    inner.shutdown_resources()


def test_a_resource_that_is_overridden_while_it_is_up_still_holds_what_it_was_given(outer):
    outer.init_resources()
    with (
        overridden(outer, user="fake"),
        pytest.raises(LifecycleError, match="'user'"),
        overridden(outer, {"inner.base": "fake"}),
    ):
        pytest.fail("the block was begun")
    assert outer.user() == "clock"


def test_a_resource_that_is_up_is_left_up_when_something_that_lies_over_it_loses_what_it_needs(
    outer,
):
    outer.init_resources()
    before = outer.user.record.finalizer, outer.inner.base.record.finalizer
    whole = {"inner.clock": "fake", "inner.base": "fake", "user": "fake"}
    first = overridden(outer, whole)
    first.__enter__()
    derived = Resource(str, outer.inner.clock)
    second = overridden(outer, {"inner.base": derived, "user": "other"})
    second.__enter__()
    assert outer.inner.base() == "fake"
    first.__exit__(None, None, None)
    assert state(derived) is State.STOPPED
    assert outer.inner.base() == "clock"
    second.__exit__(None, None, None)
    assert (outer.user.record.finalizer, outer.inner.base.record.finalizer) == before


@pytest.mark.parametrize("kind", [Resource, providers.Resource])
def test_a_resource_in_two_places_is_started_and_stopped_once(outer, kind):
    calls = Calls()
    fake = kind(calls.part, "fake")
    with overridden(outer, {"user": fake, "inner.base": fake}):
        outer.init_resources()
        assert outer.user() == outer.inner.base() == "fake"
    assert calls.lines == ["start fake", "stop fake"]
    assert not fake.initialized


@pytest.mark.parametrize("kind", [Resource, providers.Resource])
def test_what_two_fakes_need_is_started_once_and_stopped_after_both(outer, kind):
    calls = Calls()
    needed = kind(calls.part, "needed")
    fakes = {name: kind(calls.part, name, needed) for name in ("user", "inner.base")}
    with overridden(outer, fakes):
        outer.init_resources()
    assert calls.lines[0] == "start needed"
    assert calls.lines[-1] == "stop needed"
    assert sorted(calls.lines) == sorted(
        f"{phase} {name}"
        for phase in ("start", "stop")
        for name in ("needed", "user", "inner.base")
    )


def test_a_context_manager_in_two_places_is_entered_and_left_once(outer):
    calls = Calls()
    fake = calls.part("fake")
    with overridden(outer, {"user": fake, "inner.base": fake}):
        assert outer.user() == outer.inner.base() == "fake"
    assert calls.lines == ["start fake", "stop fake"]
    assert outer.user.overridden == outer.inner.base.overridden == ()


def test_a_stock_fake_whose_container_was_stopped_inside_can_be_used_afterwards(outer):
    calls = Calls()
    fake = providers.Resource(calls.part, "fake")
    with overridden(outer, user=fake):
        outer.init_resources()
        outer.shutdown_resources()
    assert fake() == "fake"
    outer.shutdown_resources()
    assert fake.initialized
    fake.shutdown()
    assert calls.lines.count("stop fake") == 2
