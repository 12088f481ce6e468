"""What `overridden` refuses, and what it reports: all is put back in any case."""

import asyncio
from contextlib import asynccontextmanager, contextmanager

import pytest
from dependency_injector import containers, providers

from metrics import resources
from metrics.errors import LifecycleError, ShutdownError
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource, State, state
from metrics.testing import ManualTicker, overridden
from tests.lifecycle.calls import Calls


class Application(LifecycleContainer):
    config = providers.Configuration()
    metrics = providers.Container(MetricsContainer, config=config)
    requests = Resource(resources.meter, metrics.registry, "requests")
    service = providers.Singleton(dict, clock=metrics.clock)


class Stock(containers.DeclarativeContainer):
    service = providers.Object(1)


@pytest.fixture
def application():
    container = Application()
    yield container
    container.shutdown_resources()


def stacks(container):
    walked = [*container.providers.values(), *container.metrics.providers.values()]
    return {provider: provider.overridden for provider in walked}


@pytest.mark.parametrize(
    ("name", "suggested"),
    [
        ("servise", "'service'"),
        ("metrics.tiker", "'metrics.ticker'"),
        ("ticker", "'metrics.ticker'"),
        ("zzz", "it has config, metrics, requests, service, metrics.config"),
    ],
)
def test_an_unknown_name_is_an_error_that_suggests_the_right_one(application, name, suggested):
    before = stacks(application)
    with pytest.raises(KeyError, match=suggested):
        overridden(application, {"service": 1, name: 2})
    assert stacks(application) == before


def test_what_does_not_fit_is_an_error(application):
    cases = [
        (TypeError, "takes an instance", lambda: overridden(application, metrics=1)),
        (TypeError, "names of providers, got 3", lambda: overridden(application, {3: 1})),
        (TypeError, r"'service' was given the class dict: .*, dict\(\.\.\.\), or providers\.Object",
            lambda: overridden(application, service=dict)),
        (TypeError, "takes a value", lambda: overridden(
            application, {"config.debug": providers.Object(1)})),
        (TypeError, r"call the class, Application\(\)", lambda: overridden(Application, service=1)),
        (TypeError, r"call the class, Stock\(\)", lambda: overridden(Stock, service=1)),
        (TypeError, r"with a dot, {'inner\.name'", lambda: overridden(
            application.metrics, clock=1)),
        (TypeError, "takes an instance of a container, got 3", lambda: overridden(3, service=1)),
        (TypeError, "functions and classes", lambda: overridden(
            application, service=1)(staticmethod(len))),
        (ValueError, "by itself", lambda: overridden(application, service=application.service)),
        (ValueError, "given twice", lambda: overridden(application, {"service": 1}, service=2)),
        (ValueError, "are the same", lambda: overridden(
            application, {"config": {}, "config.debug": 2})),
        (ValueError, "'config.a' and 'config.a.b' overlap", lambda: overridden(
            application, {"config.a": {}, "config.ab": 1, "config.a.b": 2})),
        (ValueError, "'config.a.b' and 'config.a' overlap", lambda: overridden(
            application, {"config.a.b": 2, "config.a": {}})),
        (TypeError, "takes names and replacements .* or a dict, got 3", lambda: overridden(
            application, 3)),
        (TypeError, "or a dict, got 'service'", lambda: overridden(application, "service")),
    ]  # fmt: skip
    for error, message, call in cases:
        with pytest.raises(error, match=message):
            call()


def test_what_would_be_given_itself_is_refused(application):
    service, requests = application.service, application.requests
    before = stacks(application)
    with pytest.raises(
        ValueError, match=r"cannot override 'service' by .* depends on it .*: request"
    ):
        overridden(application, service=providers.Factory(dict, real=service))
    with pytest.raises(ValueError, match=r"cannot override 'requests' by .* depends on it"):
        overridden(application, requests=service, service=requests)
    assert stacks(application) == before
    # Who is handed a provider asks it when it likes.
    for handed in (service.provider, providers.Object(service)):
        with overridden(application, service=providers.Factory(dict, later=handed)):
            assert application.service().keys() == {"later"}
    with overridden(application, requests=service):
        assert application.requests() is service()


def test_when_one_fake_fails_to_start_all_is_put_back_and_the_others_are_stopped(application):
    calls, before = Calls(), stacks(application)
    calls.fail("start second")
    fakes = {"requests": calls.part("first"), "service": calls.part("second")}
    with (
        pytest.raises(OSError, match="start second"),
        overridden(application, {"metrics.clock": 1, **fakes}),
    ):
        pytest.fail("the block was begun")
    assert calls.lines == ["start first", "start second", "stop first"]
    assert stacks(application) == before
    with overridden(application, requests=1):
        assert application.requests() == 1


def test_what_was_given_the_real_one_and_is_up_is_not_overridden(application):
    application.init_resources()
    calls = Calls()
    before = stacks(application)
    with (
        pytest.raises(LifecycleError, match=r"'metrics.ticker'.*'requests'.*stop it first"),
        overridden(application, {"metrics.ticker": calls.part("fake")}),
    ):
        pytest.fail("the block was begun")
    assert calls.lines == []
    assert stacks(application) == before
    # Nobody else was given the meter.
    with overridden(application, requests=7):
        assert application.requests() == 7
    assert state(application, "requests") is State.RUNNING


@pytest.mark.parametrize("phase", ["start", "stop"])
def test_nothing_is_overridden_while_the_container_starts_or_stops(phase):
    class Container(LifecycleContainer):
        other = providers.Object(1)

        @contextmanager
        @staticmethod
        def hook():
            run("start")
            yield
            run("stop")

        resource = Resource(hook)

    refused = []

    def run(now) -> None:
        if now == phase:
            with pytest.raises(
                LifecycleError, match=r"cannot override 'other': Container is ST.*; override before"
            ):
                overridden(container, other=2).__enter__()
            refused.append(now)

    container = Container()
    container.init_resources()
    container.shutdown_resources()
    assert refused == [phase]
    assert container.other.overridden == ()


def test_the_block_s_exception_goes_on_with_a_note_of_a_fake_that_failed_to_stop(application):
    seen = []

    @contextmanager
    def fake():
        try:
            yield
        except ZeroDivisionError as error:
            seen.append(error)
            raise OSError("stop fake") from None

    with (
        pytest.raises(ZeroDivisionError) as raised,
        overridden(application, requests=fake()),
    ):
        raise ZeroDivisionError
    assert seen == [raised.value]
    (note,) = raised.value.__notes__
    assert "overridden() ended: OSError('stop fake') while stopping 'requests' (tests." in note
    assert note.endswith(".fake) of Fakes")
    assert application.requests.overridden == ()


def test_fakes_that_fail_to_stop_are_reported_and_all_is_put_back(application):
    calls, before = Calls(), stacks(application)
    calls.fail("stop a")
    calls.fail("stop b")
    with (
        pytest.raises(ShutdownError, match="2 of 3 resources of Fakes failed") as raised,
        overridden(
            application, {
                "requests": calls.part("a"), "service": calls.part("c"),
                "metrics.clock": calls.part("b")}),
    ):  # fmt: skip
        pass
    assert [str(error) for error in raised.value.exceptions] == ["stop b", "stop a"]
    assert "stop c" in calls.lines
    assert stacks(application) == before


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, LifecycleError, StopIteration])
@pytest.mark.parametrize("manual", [ManualTicker, lambda: Calls().part("fake")])
def test_the_block_s_exception_is_no_failure_of_a_fake(application, kind, manual, caplog):
    with pytest.raises(kind) as raised, overridden(application, service=manual()):
        raise kind("of the test")
    assert not getattr(raised.value, "__notes__", [])
    assert not caplog.records


@pytest.mark.parametrize("kind", [ValueError, RuntimeError, LifecycleError])
def test_the_block_s_exception_is_no_failure_of_an_async_fake(application, kind, caplog):
    caplog.set_level("ERROR")

    async def main() -> None:
        with pytest.raises(kind) as raised:
            async with overridden(application, service=async_fake()):
                raise kind("of the test")
        assert not getattr(raised.value, "__notes__", [])

    asyncio.run(main())
    assert not caplog.records


@asynccontextmanager
async def async_fake():
    yield "fake"
