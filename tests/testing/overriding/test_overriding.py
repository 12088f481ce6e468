"""What `overridden` accepts, what it provides, and that it puts back exactly what was there."""

import pytest
from dependency_injector import providers

from metrics import resources
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource, State, state
from metrics.testing import ManualClock, ManualTicker, overridden
from tests.lifecycle.calls import Calls


class Application(LifecycleContainer):
    config = providers.Configuration()
    metrics = providers.Container(MetricsContainer, config=config)
    requests = Resource(resources.meter, metrics.registry, "requests")
    service = providers.Singleton(dict, clock=metrics.clock)


@pytest.fixture
def application():
    container = Application()
    yield container
    container.shutdown_resources()


def stacks(container):
    walked = [*container.providers.values(), *container.metrics.providers.values()]
    return {provider: provider.overridden for provider in walked}


def test_an_application_runs_on_a_clock_and_a_ticker_of_the_test(application):
    before, clock = stacks(application), ManualClock()
    ticker = ManualTicker(clock=clock)
    with overridden(application, {"metrics.clock": clock, "metrics.ticker": ticker}) as container:
        assert container is application
        application.init_resources()
        application.requests().mark(300)
        ticker.advance(5)
        assert application.requests().snapshot().rate1 == pytest.approx(60.0)
        application.shutdown_resources()
        assert ticker.running
    assert not ticker.running
    assert stacks(application) == before


def test_a_class_in_a_provider_is_a_value(application):
    with overridden(application, requests=providers.Object(dict)):
        assert application.requests() is dict
        with overridden(application, requests=providers.Object(list)):
            assert application.requests() is list


def test_a_context_manager_is_entered_for_the_block_and_survives_the_container_s_stops(application):
    calls = Calls()
    with overridden(application, requests=calls.part("fake")):
        assert calls.lines == ["start fake"]
        for _ in range(2):
            application.init_resources()
            assert application.requests() == "fake"
            application.shutdown_resources()
        assert calls.lines == ["start fake"]
    assert calls.lines == ["start fake", "stop fake"]


@pytest.mark.parametrize("kind", [Resource, providers.Resource])
def test_a_resource_starts_with_the_container_and_is_stopped_once_at_the_end(application, kind):
    calls = Calls()
    fake = kind(calls.part, "fake")
    for _ in range(2):
        calls.lines.clear()
        with overridden(application, requests=fake):
            assert calls.lines == []
            application.init_resources()
            assert calls.lines == ["start fake"]
        assert calls.lines == ["start fake", "stop fake"]
        application.shutdown_resources()
        application.init_resources()
        application.shutdown_resources()
        assert calls.lines == ["start fake", "stop fake"]
        assert not fake.initialized


@pytest.mark.parametrize("kind", [Resource, providers.Resource])
def test_a_resource_that_was_up_before_is_left_up(application, kind):
    calls = Calls()
    fake = kind(calls.part, "fake")
    fake.init()
    with overridden(application, requests=providers.Callable(str, fake)):
        application.init_resources()
        assert application.requests() == "fake"
        application.shutdown_resources()
    assert calls.lines == ["start fake"]
    fake.shutdown()
    assert calls.lines == ["start fake", "stop fake"]


def test_a_resource_that_nobody_has_asked_for_can_be_asked_for_afterwards(application):
    calls = Calls()
    fake = Resource(calls.part, "fake")
    with overridden(application, requests=fake):
        application.service()
    assert state(fake) is State.NEW
    assert calls.lines == []
    assert fake() == "fake"
    fake.shutdown()


def test_a_resource_of_another_container_is_left_to_it(application):
    other = Application()
    with overridden(application, metrics=other.metrics):
        application.init_resources()
        assert application.metrics.registry() is other.metrics.registry()
        application.shutdown_resources()
    assert not other.metrics.registry.initialized
    with overridden(application, {"metrics.registry": other.metrics.registry}):
        application.init_resources()
    assert state(other, "metrics.registry") is State.RUNNING
    other.shutdown_resources()


def test_a_container_in_place_of_an_embedded_one_replaces_what_is_in_both(application):
    fake = MetricsContainer()
    with overridden(application, metrics=fake):
        assert application.metrics() is fake
        application.init_resources()
        assert application.metrics.registry() is fake.registry()
        assert fake.registry().names() == ("requests",)
    assert application.metrics() is application.metrics.container
    assert not fake.ticker.initialized


def test_a_singleton_is_made_anew_inside_and_is_the_same_as_before_afterwards(application):
    service, clock = application.service(), ManualClock()
    with overridden(application, {"metrics.clock": clock, "metrics.ticker": ManualTicker()}):
        inside = application.service()
        assert inside["clock"] is clock
        assert application.service() is inside
    assert application.service() is service


def test_a_singleton_first_made_inside_is_not_kept(application):
    with overridden(application, {"metrics.clock": "fake"}):
        inside = application.service()
    assert application.service() is not inside
    assert application.service()["clock"] is application.metrics.clock()


def test_what_holds_a_fake_is_stopped_at_the_end_and_can_be_asked_for_again(application):
    calls = Calls()
    with overridden(application, {"metrics.ticker": ManualTicker(), "service": calls.part("fake")}):
        calls.actions["stop fake"] = lambda: calls.lines.append(state(application, "requests"))
        application.requests()
        registry = application.metrics.registry()
    assert calls.lines[1:] == ["stop fake", State.STOPPED]
    assert state(application, "requests") is State.STOPPED
    assert state(application) is State.NEW
    assert application.metrics.registry() is not registry
    application.requests().mark()
    assert application.metrics.ticker().running


def test_what_was_stopped_before_is_stopped_afterwards(application):
    application.init_resources()
    application.shutdown_resources()
    with overridden(application, {"metrics.ticker": ManualTicker()}):
        application.init_resources()
    assert state(application, "requests") is State.STOPPED
