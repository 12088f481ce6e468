"""What was up before, or is somebody else's, is left to whoever has started it."""

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
    assert state(outer, "user") is State.NEW
    inner.shutdown_resources()


def test_a_part_that_is_overridden_while_it_is_up_still_holds_what_it_was_given(outer):
    outer.init_resources()
    with (
        overridden(outer, user="fake"),
        pytest.raises(LifecycleError, match="'user'"),
        overridden(outer, {"inner.base": "fake"}),
    ):
        pytest.fail("the block was begun")
    assert outer.user() == "clock"
