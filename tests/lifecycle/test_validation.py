"""A container with a fault that can be seen beforehand does not start, and calls no hook."""

import asyncio
import contextlib
import functools
import typing
from collections.abc import Iterator
from contextlib import asynccontextmanager, contextmanager
from unittest import mock

import pytest
from dependency_injector import containers, providers
from dependency_injector import resources as stock
from hypothesis import given, settings

from metrics import Registry, Ticker, resources
from metrics.clock import Clock, SystemClock
from metrics.errors import CheckError, LifecycleError
from metrics.lifecycle import Fault, LifecycleContainer, MetricsContainer, Resource, check, state
from metrics.reporters import log
from metrics.testing import ManualClock, ManualTicker
from tests.lifecycle.test_order_properties import drawn


@contextmanager
def hook(*_args, **_kwargs):
    yield object()


async def async_hook(*_args):
    yield object()


def made_of(**declared):
    container = LifecycleContainer()
    for name, provider in declared.items():
        container.set_provider(name, provider)
    return container


def found(container):
    return [(problem.fault, problem.name) for problem in check(container)]


def refused(container):
    """Return the problems that keep a container from starting, all of which `check()` reports."""
    with pytest.raises(CheckError) as raised:
        container.init_resources()
    assert state(container) == "NEW"
    assert set(raised.value.problems) <= set(check(container))
    return [(problem.fault, problem.name) for problem in raised.value.problems]


def starts(container):
    assert check(container) == ()
    start_and_stop(container)


def start_and_stop(container):
    container.init_resources()
    container.shutdown_resources()


def test_nothing_starts_when_a_later_resource_could_not():
    started = []

    class Container(LifecycleContainer):
        registry = providers.Dependency()
        first = Resource(started.append, "first")
        second = Resource(hook, registry)

    assert refused(Container()) == [(Fault.UNDEFINED, "registry")]
    assert started == []
    start_and_stop(Container(registry=1))
    assert started == ["first"]


def test_the_error_names_the_container_and_has_a_line_for_each_problem():
    class Shop(LifecycleContainer):
        registry = providers.Dependency()
        config = providers.Configuration(strict=True)
        one = Resource(hook, registry)
        two = Resource(hook, config.url)

    container = Shop()
    with pytest.raises(LifecycleError) as raised:
        container.init_resources()
    assert isinstance(raised.value, CheckError)
    first, *lines = str(raised.value).splitlines()
    assert first == "Shop has 2 problems and was not started:"
    assert lines == [f"  {problem}" for problem in raised.value.problems]
    assert "dependency 'registry' is undefined: give the container a provider" in lines[0]
    assert "option 'config.url' is undefined: its configuration is strict; set it" in lines[1]
    container.registry.override(1)
    with pytest.raises(CheckError, match=r"^Shop has a problem and was not started:\n  config"):
        container.init_resources()


def test_an_async_start_is_refused_before_it_is_awaited():
    async def start():
        container = made_of(a=Resource(async_hook), b=Resource(async_hook, providers.Dependency()))
        with pytest.raises(CheckError):
            await container.init_resources()
        assert state(container) == "NEW"

    asyncio.run(start())


@settings(deadline=None, max_examples=100)
@given(drawn())
def test_a_sound_container_has_no_problems_whatever_it_declares(drawn):
    assert check(drawn.container) == ()
    starts(drawn.container)


@settings(deadline=None, max_examples=50)
@given(drawn(asynchronous=True))
def test_a_sound_async_container_has_no_problems_whatever_it_declares(drawn):
    async def life():
        await drawn.container.init_resources()
        assert check(drawn.container) == ()
        await drawn.container.shutdown_resources()

    assert check(drawn.container) == ()
    asyncio.run(life())


# Dependencies.

REACHED = {
    "by itself": lambda needed: Resource(hook, needed),
    "keyword": lambda needed: Resource(hook, x=needed),
    "stock resource": lambda needed: providers.Resource(hook, needed),
    "factory": lambda needed: Resource(hook, providers.Factory(dict, x=needed)),
    "attribute": lambda needed: Resource(hook, providers.Factory(dict).add_attributes(x=needed)),
    "singleton": lambda needed: Resource(hook, providers.Singleton(dict, x=needed)),
    "callable": lambda needed: Resource(hook, providers.Callable(dict, x=needed)),
    "list": lambda needed: Resource(hook, providers.List(needed)),
    "dict": lambda needed: Resource(hook, providers.Dict(x=needed)),
    "selector": lambda needed: Resource(hook, providers.Selector(lambda: "x", x=needed)),
    "attribute of it": lambda needed: Resource(hook, needed.provided.x[0].call()),
    "argument of a method": lambda needed: Resource(
        hook, providers.Object(dict).provided.get.call(needed)
    ),
    "dependency": lambda needed: Resource(hook, providers.Dependency(default=needed)),
    "override": lambda needed: overridden(Resource(hook), providers.Factory(dict, x=needed)),
    "resource": lambda needed: Resource(hook, Resource(hook, needed)),
}


def overridden(provider, by):
    provider.override(by)
    return Resource(hook, provider)


@pytest.mark.parametrize("reach", REACHED.values(), ids=REACHED)
def test_an_undefined_dependency_is_found_however_a_resource_needs_it(reach):
    missing = providers.Dependency()
    assert (Fault.UNDEFINED, "missing") in refused(made_of(missing=missing, user=reach(missing)))


def test_an_undefined_dependency_that_no_resource_needs_is_reported_and_does_not_stop_the_start():
    missing = providers.Dependency()
    beside = {
        "made": providers.Factory(dict, x=missing),
        "handed": Resource(hook, missing.provider, providers.Factory(dict, missing).provider),
        "idle": Resource(hook, providers.Selector(lambda: "a", a=Resource(hook), b=missing)),
    }
    container = made_of(missing=missing, **beside)
    assert found(container) == [(Fault.UNDEFINED, "missing")]
    start_and_stop(container)


def test_a_start_of_some_resources_is_checked_for_those_only():
    class Special(Resource):
        pass

    container = made_of(some=Special(hook), other=Resource(hook, providers.Dependency()))
    container.init_resources(Special)
    assert state(container, "some") == "RUNNING"
    container.shutdown_resources()


def test_a_resource_that_runs_is_not_checked_again():
    missing = providers.Dependency()
    container = made_of(missing=missing, user=Resource(hook, missing))
    with missing.override(1):
        container.user()
    container.init_resources()
    container.shutdown_resources()
    assert refused_again(container) == [(Fault.UNDEFINED, "missing")]


def refused_again(container):
    with pytest.raises(CheckError) as raised:
        container.init_resources()
    assert state(container) == "STOPPED"
    return [(problem.fault, problem.name) for problem in raised.value.problems]


def test_a_dependency_of_an_embedded_container_is_named_with_the_container():
    class Library(LifecycleContainer):
        outside = providers.DependenciesContainer()
        hits = Resource(hook, outside.registry)

    class Host(LifecycleContainer):
        library = providers.Container(Library)

    assert refused(Host()) == [(Fault.UNDEFINED, "library.outside.registry")]


def test_an_abstract_provider_is_undefined_until_it_is_overridden():
    abstract = providers.AbstractFactory(dict)
    container = made_of(abstract=abstract, user=Resource(hook, abstract))
    assert refused(container) == [(Fault.UNDEFINED, "abstract")]
    assert "override it" in str(check(container)[0])
    abstract.override(providers.Factory(dict))
    starts(container)


# Configuration.


def test_an_undefined_required_option_is_found():
    class Container(LifecycleContainer):
        config = providers.Configuration()
        resource = Resource(hook, config.db.url.required(), config.db.port.required().as_int())

    container = Container()
    expected = [(Fault.MISSING_OPTION, "config.db.url"), (Fault.MISSING_OPTION, "config.db.port")]
    assert refused(container) == expected
    container.config.from_dict({"db": {"url": "x"}})
    assert refused(container) == expected[1:]
    container.config.from_dict({"db": {"port": 1}})
    starts(container)


def test_an_undefined_option_of_a_strict_configuration_is_found_and_of_another_one_is_none():
    class Container(LifecycleContainer):
        config = providers.Configuration()
        resource = Resource(hook, config.db.url)

    starts(Container())
    strict = Container()
    strict.config.set_strict(True)
    assert refused(strict) == [(Fault.MISSING_OPTION, "config.db.url")]
    strict.config.db.url.override(None)
    starts(strict)


@pytest.mark.parametrize("value", ["text", None, 5])
def test_an_option_of_a_value_that_is_no_section_is_found_without_showing_the_value(value):
    class Container(LifecycleContainer):
        config = providers.Configuration()
        resource = Resource(hook, config.db.url)

    container = Container()
    container.config.from_dict({"db": value})
    assert refused(container) == [(Fault.MISSING_OPTION, "config.db.url")]
    (problem,) = check(container)
    assert f"'db' is a {type(value).__name__}, not a section" in str(problem)


def test_options_of_an_embedded_container_are_those_of_its_host():
    class Inner(LifecycleContainer):
        config = providers.Configuration()
        resource = Resource(hook, config.url.required())

    class Host(LifecycleContainer):
        config = providers.Configuration()
        inner = providers.Container(Inner, config=config.inner)

    host = Host()
    assert refused(host) == [(Fault.MISSING_OPTION, "inner.config.url")]
    host.config.from_dict({"inner": {"url": "x"}})
    starts(host)
    strict = Host()
    strict.config.set_strict(True)
    assert refused(strict) == [(Fault.MISSING_OPTION, "config.inner")]


def test_options_of_branches_that_are_not_selected_may_be_undefined():
    class Container(LifecycleContainer):
        config = providers.Configuration(strict=True)
        redis = Resource(hook, config.redis.url)
        memory = Resource(hook, config.memory.size)
        cache = providers.Selector(config.cache, redis=redis, memory=memory)
        user = Resource(hook, cache)

    container = Container()
    container.config.from_dict({"cache": "memory", "memory": {"size": 1}})
    starts(container)
    container.config.cache.override("redis")
    assert (Fault.MISSING_OPTION, "config.redis.url") in found(container)


def test_a_class_is_not_blamed_for_options_that_its_instances_will_have():
    class Container(LifecycleContainer):
        config = providers.Configuration()
        resource = Resource(hook, config.url.required())
        choice = providers.Selector(config.kind, a=Resource(hook))
        user = Resource(hook, choice)

    assert check(Container) == ()
    assert found(Container()) == [
        (Fault.MISSING_OPTION, "config.url"),
        (Fault.NO_BRANCH, "choice"),
    ]


@pytest.mark.parametrize(
    "option",
    [
        lambda config: config.url,
        lambda config: config.url.required(),
        lambda config: config.db.url.required(),
        lambda config: config.url.required().as_(str),
    ],
)
def test_a_restart_reads_options_again(option):
    seen = []

    class Container(LifecycleContainer):
        config = providers.Configuration()
        resource = Resource(seen.append, providers.List(option(config)))

    container = Container()
    for value in ("first", "second"):
        container.config.from_dict({"url": value, "db": {"url": value}})
        start_and_stop(container)
    # Changed in place, which dependency-injector does not notice.
    container.config().update(url="third", db={"url": "third"})
    start_and_stop(container)
    assert seen == [["first"], ["second"], ["third"]]


def test_a_restart_finds_an_option_that_has_been_taken_away():
    class Container(LifecycleContainer):
        config = providers.Configuration()
        resource = Resource(hook, config.url.required())

    container = Container()
    with container.config.override({"url": "x"}):
        start_and_stop(container)
    assert refused_again(container) == [(Fault.MISSING_OPTION, "config.url")]


def test_a_restart_selects_by_the_option_as_it_is_now():
    seen = []

    class Container(LifecycleContainer):
        config = providers.Configuration()
        one = Resource(seen.append, "one")
        two = Resource(seen.append, "two")
        choice = providers.Selector(config.kind.required(), one=one, two=two)

    container = Container()
    for kind in ("one", "two"):
        container.config.kind.override(kind)
        start_and_stop(container)
    assert seen == ["one", "two"]


# Selectors.


@pytest.mark.parametrize("kind", ["redsi", None])
def test_a_needed_selector_whose_key_matches_no_branch_is_found(kind):
    class Container(LifecycleContainer):
        config = providers.Configuration()
        cache = providers.Selector(config.cache, redis=Resource(hook), memory=Resource(hook))
        user = Resource(hook, cache)

    container = Container()
    container.config.cache.override(kind)
    assert refused(container) == [(Fault.NO_BRANCH, "cache")]
    (problem,) = check(container)
    assert str(problem).endswith(f"for its key {kind!r}: select one of 'redis', 'memory'")


def test_a_selector_that_nothing_needs_may_be_switched_off_and_must_not_be_misspelt():
    class Container(LifecycleContainer):
        config = providers.Configuration()
        reporter = providers.Selector(config.kind, graphite=Resource(hook), influx=Resource(hook))

    container = Container()
    start_and_stop(container)
    container.config.kind.override("grafite")
    with pytest.raises(CheckError, match="'reporter' has no branch for its key 'grafite'"):
        container.init_resources()
    container.config.kind.override("graphite")
    starts(container)


def test_a_selector_that_depends_on_a_resource_is_not_called_before_the_start():
    chosen = Resource(lambda: "one")
    selector = providers.Selector(chosen, two=Resource(hook))
    container = made_of(chosen=chosen, selector=selector, user=Resource(hook))
    starts(container)


def test_a_key_that_depends_on_the_moment_is_not_judged_unless_the_start_needs_it():
    keys = iter(["none"] * 99)
    selector = providers.Selector(lambda: next(keys), one=Resource(hook))
    starts(made_of(selector=selector))
    with pytest.raises(CheckError, match="no branch for its key 'none'"):
        made_of(selector=selector, user=Resource(hook, selector)).init_resources()


# Signatures.


def two(first, second):
    yield first, second


def keyword(*, name):
    yield name


def optional(first, second=None, *, third=3):
    yield first, second, third


@asynccontextmanager
async def async_two(first, second):
    yield first, second


class Made:
    def __init__(self, first, second):
        pass

    def method(self, first):
        return first

    def __call__(self, first):
        return first


class Old(stock.Resource):
    def init(self, first, second):
        return first, second

    def shutdown(self, resource):
        pass


MISFITS = {
    "missing": (two, (1,), {}, "missing a required argument: 'second'"),
    "too many": (two, (1, 2, 3), {}, "too many positional arguments"),
    "unknown": (two, (1, 2), {"x": 3}, "unexpected keyword argument 'x'"),
    "twice": (two, (1, 2), {"first": 3}, "multiple values for argument 'first'"),
    "keyword missing": (keyword, (), {}, "missing a required.*'name'"),
    "keyword by position": (keyword, (1,), {}, "too many positional arguments"),
    "context manager": (contextmanager(two), (1,), {}, "'second'"),
    "async context manager": (async_two, (1,), {}, "'second'"),
    "class": (Made, (1,), {}, "'second'"),
    "method": (Made(1, 2).method, (1, 2), {}, "too many"),
    "callable instance": (Made(1, 2), (1, 2), {}, "too many"),
    "partial": (functools.partial(two, 1), (2, 3), {}, "too many"),
    "partial of a context manager": (functools.partial(contextmanager(two), 1), (), {}, "'second'"),
    "partial keyword": (functools.partial(two, second=1), (), {}, "'first'"),
    "lambda": (lambda: 1, (1,), {}, "too many"),
    "dependency-injector's class": (Old, (1,), {}, "'second'"),
}


@pytest.mark.parametrize("kind", [Resource, providers.Resource])
@pytest.mark.parametrize(("of", "args", "kwargs", "why"), MISFITS.values(), ids=MISFITS)
def test_arguments_that_do_not_bind_are_found(of, args, kwargs, why, kind):
    container = made_of(resource=kind(of, *args, **kwargs))
    assert found(container) == [(Fault.SIGNATURE, "resource")]
    with pytest.raises(CheckError, match=why) as raised:
        container.init_resources()
    assert "'resource'" in str(raised.value)


def adding(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function("added", *args)

    return wrapper


def signed(*args):
    return args


signed.__signature__ = "made by a library that knows better"


class Open(type):
    def __call__(cls, *args):
        return args


class Loose(metaclass=Open):
    def __init__(self, first):
        pass


class Pair(typing.NamedTuple):
    first: int
    second: int = 2


FITTING = {
    "optional": (optional, (1,), {}),
    "all": (optional, (1, 2), {"third": 3}),
    "a decorator that gives arguments": (adding(two), (1,), {}),
    "partial that is replaced": (functools.partial(two, second=1), (1,), {"second": 2}),
    "its own signature": (signed, (1, 2), {}),
    "builtin": (print, (), {"end": ""}),
    "type": (dict, (), {"x": 1}),
    "metaclass": (Loose, (1, 2, 3), {}),
    "named tuple": (Pair, (1,), {}),
    "mock": (mock.MagicMock(), (1, 2), {"x": 3}),
    "lru_cache": (functools.lru_cache(lambda first: first), (1,), {}),
    "dependency-injector's class": (Old, (1, 2), {}),
    "exit stack": (contextlib.ExitStack, (), {}),
}


@pytest.mark.parametrize(("of", "args", "kwargs"), FITTING.values(), ids=FITTING)
def test_arguments_that_may_bind_are_no_problem(of, args, kwargs):
    starts(made_of(resource=Resource(of, *args, **kwargs)))


def test_a_factory_that_a_start_calls_has_to_have_all_arguments_and_another_one_has_not():
    factory = providers.Factory(Made, 1)
    starts(made_of(factory=factory, handed=Resource(hook, factory.provider)))
    container = made_of(factory=factory, user=Resource(hook, factory))
    assert refused(container) == [(Fault.SIGNATURE, "factory")]
    surplus = made_of(factory=providers.Factory(Made, 1, 2, 3))
    assert found(surplus) == [(Fault.SIGNATURE, "factory")]
    start_and_stop(surplus)


def test_a_provider_that_calls_in_a_way_of_its_own_is_not_judged():
    class Filling(providers.Factory):
        def _provide(self, args, kwargs):
            return super()._provide((*args, 2), kwargs)

    factory = Filling(Made, 1)
    assert isinstance(factory(), Made)
    container = made_of(user=Resource(hook, factory, providers.List(factory)))
    assert check(container) == ()


# Types of arguments.


def pulse(registry: Registry, ticker: Ticker) -> Iterator[Ticker]:
    assert registry
    yield ticker


def quoted(registry: "Registry", clock: "Clock | None" = None) -> "Iterator[Registry]":
    assert clock is None
    yield registry


class Base(MetricsContainer):
    registry = MetricsContainer.registry
    ticker = MetricsContainer.ticker


SWAPPED = {
    "by keyword": lambda r, t: Resource(resources.meter, registry=t, ticker=r, name="x"),
    "of a program's hook": lambda r, t: Resource(pulse, t, r),
    "stock": lambda r, t: providers.Resource(pulse, t, r),
    "partial": lambda r, t: Resource(functools.partial(pulse, ticker=1), t),
    "string annotation": lambda r, t: Resource(quoted, t),
    "wrong optional": lambda r, t: Resource(quoted, r, clock=t),
    "dependency": lambda r, t: Resource(pulse, providers.Dependency(default=t), t),
    "through a hook's return annotation": lambda r, t: Resource(pulse, Resource(pulse, r, t), t),
    "object": lambda r, t: Resource(pulse, providers.Object(Ticker()), t),
    "plain value": lambda r, t: Resource(pulse, Ticker(), t),
    "factory": lambda r, t: Resource(pulse, providers.Factory(Ticker), t),
    "test's ticker": lambda r, t: Resource(pulse, providers.Singleton(ManualTicker), t),
    "clock": lambda r, t: Resource(resources.counter, providers.Object(SystemClock()), "x"),
    "name for a registry": lambda r, t: Resource(resources.counter, "x", r),
    "registry for a name": lambda r, t: Resource(resources.counter, r, r),
    "nothing for a registry": lambda r, t: Resource(resources.counter, None, "x"),
}


@pytest.mark.parametrize("declare", SWAPPED.values(), ids=SWAPPED)
def test_an_argument_of_another_type_than_the_hook_takes_is_found(declare):
    base = Base()
    base.set_provider("resource", declare(base.registry, base.ticker))
    assert refused(base) == [(Fault.WRONG_ARGUMENT, "resource")]


def test_a_swapped_registry_and_ticker_are_told_to_be_swapped():
    class Container(MetricsContainer):
        resource = Resource(
            resources.meter,
            registry=MetricsContainer.ticker,
            ticker=MetricsContainer.registry,
            name="x",
        )

    (problem,) = check(Container())
    assert str(problem) == (
        "argument 'registry' of 'resource' (metrics.resources.meter) takes a Registry, "
        "got a Ticker from 'ticker': swap it with argument 'ticker'"
    )


class FakeRegistry:
    """Has the one method of a registry that a hook of a test uses."""

    def counter(self, name):
        return name


class FakeTicker:
    """Gets its methods when it is made."""

    def __init__(self):
        self.interval = 5.0
        self.add = self.discard = print


def any_ticker(ticker: typing.Any, registry: object, clock: Clock) -> Iterator[typing.Any]:
    assert registry
    assert clock
    yield ticker


def unannotated(registry, ticker):
    yield registry, ticker


PASSING = {
    "as it should be": lambda r, t: Resource(pulse, r, t),
    "fakes": lambda r, t: Resource(
        pulse, providers.Factory(FakeRegistry), providers.Factory(FakeTicker)
    ),
    "mocks": lambda r, t: Resource(pulse, mock.MagicMock(), providers.Factory(mock.Mock)),
    "manual ticker": lambda r, t: Resource(
        resources.meter, registry=r, ticker=providers.Singleton(ManualTicker), name="x"
    ),
    "manual clock": lambda r, t: Resource(any_ticker, 1, t, providers.Singleton(ManualClock)),
    "not annotated": lambda r, t: Resource(unannotated, t, r),
    "any": lambda r, t: Resource(pulse, Resource(any_ticker, r, r, SystemClock()), t),
    "optional": lambda r, t: Resource(quoted, r, None),
    "handed over": lambda r, t: Resource(unannotated, t.provider, r.provider),
    "a literal in a program's own hook": lambda r, t: Resource(pulse, "registry", 5),
    "attribute": lambda r, t: Resource(pulse, r, t.provided.interval),
    "option": lambda r, t: Resource(resources.counter, r, providers.Callable(lambda: "x")),
}


@pytest.mark.parametrize("declare", PASSING.values(), ids=PASSING)
def test_an_argument_that_may_fit_is_no_problem(declare):
    base = Base()
    base.set_provider("resource", declare(base.registry, base.ticker))
    starts(base)


def test_an_overridden_provider_is_not_judged_by_what_it_was():
    class Container(MetricsContainer):
        swapped = Resource(pulse, MetricsContainer.ticker, MetricsContainer.registry)

    container = Container()
    container.ticker.override(providers.Object(FakeRegistry()))
    container.registry.override(providers.Object(FakeTicker()))
    starts(container)
    other = Container()
    other.swapped.override(1)
    starts(other)


# Hooks that are declared with another provider than a resource.

LIBRARY_HOOKS = {
    "meter": lambda registry: (resources.counter, registry, "x"),
    "partial": lambda registry: (functools.partial(resources.counter, name="x"), registry),
    "reporter": lambda registry: (log.to_logger, registry),
}


@pytest.mark.parametrize("kind", [providers.Singleton, providers.Factory, providers.Callable])
@pytest.mark.parametrize("declare", LIBRARY_HOOKS.values(), ids=LIBRARY_HOOKS)
def test_a_hook_of_the_library_is_to_be_declared_with_a_resource(declare, kind):
    base = Base()
    base.set_provider("resource", kind(*declare(base.registry)))
    assert refused(base) == [(Fault.NOT_A_RESOURCE, "resource")]
    assert str(check(base)[0]).endswith("nothing enters: declare it with Resource")
    assert kind.__name__ in str(check(base)[0])


@pytest.mark.parametrize("of", [hook, async_two, functools.partial(hook, 1)])
def test_a_singleton_of_a_context_manager_is_to_be_declared_with_a_resource(of):
    assert refused(made_of(resource=providers.Singleton(of, 1, 2)))[0][0] is Fault.NOT_A_RESOURCE


def test_a_factory_of_a_program_s_own_context_manager_is_reported_and_may_be_meant():
    container = made_of(session=providers.Factory(hook))
    assert found(container) == [(Fault.NOT_A_RESOURCE, "session")]
    container.init_resources()
    with container.session():
        pass
    container.shutdown_resources()


@pytest.mark.parametrize(
    "declare",
    [
        lambda base: {"resource": providers.Factory(resources.counter, base.registry)},
        lambda base: {
            "resource": providers.Factory(resources.counter, base.registry, "x").provider
        },
        lambda base: {
            "resource": (factory := providers.Factory(resources.counter, base.registry, "x")),
            "user": Resource(hook, factory.provider),
        },
        lambda base: {"resource": providers.DelegatedFactory(hook), "user": Resource(hook)},
        lambda _: {"resource": providers.Factory(two, 1, 2)},
        lambda _: {"resource": providers.Singleton(Made, 1, 2)},
    ],
)
def test_a_factory_whose_callers_can_enter_what_it_makes_is_no_problem(declare):
    base = Base()
    for name, provider in declare(base).items():
        base.set_provider(name, provider)
    assert found(base) == []
    start_and_stop(base)


# Redeclarations.


def journal_ticker(started, *needed):
    started.append("ticker")
    yield needed


def declared_twice():
    started = []

    class Parent(LifecycleContainer):
        ticker = Resource(journal_ticker, providers.Object(started))
        registry = Resource(hook, providers.Factory(dict, x=ticker))

    return Parent, started


def test_a_resource_that_is_redeclared_while_another_uses_the_hidden_one_is_found():
    parent, _ = declared_twice()

    class Child(parent):
        ticker = Resource(hook)

    for container in (Child, Child()):
        (problem,) = check(container)
        assert problem[:2] == (Fault.REDECLARED, "ticker")
        assert "redeclared in Child" in str(problem)
        assert "'(dict)' still uses Parent.ticker, which starts as well" in str(problem)
        assert "@containers.copy(Parent)" in str(problem)
    assert refused(Child()) == [(Fault.REDECLARED, "ticker")]


def test_two_tickers_of_the_library_are_found_also_in_an_embedded_container():
    class Child(MetricsContainer):
        ticker = Resource(resources.ticker, interval=1.0)

    class Host(LifecycleContainer):
        metrics = providers.Container(Child)

    assert refused(Child()) == [(Fault.REDECLARED, "ticker")]
    assert refused(Host()) == [(Fault.REDECLARED, "metrics.ticker")]
    assert "'metrics.registry' still uses" in str(check(Host())[0])


def test_a_manual_ticker_in_a_subclass_does_not_hide_that_the_real_one_starts():
    class Child(MetricsContainer):
        ticker = providers.Singleton(ManualTicker)

    assert refused(Child()) == [(Fault.REDECLARED, "ticker")]


def test_what_is_redeclared_and_starts_nothing_is_reported_only():
    class Child(MetricsContainer):
        config = providers.Configuration()
        clock = providers.Object(ManualClock())

    container = Child()
    assert found(container) == [(Fault.REDECLARED, "config"), (Fault.REDECLARED, "clock")]
    assert "'ticker', 'registry' still use MetricsContainer.config: " in str(check(container)[0])
    start_and_stop(container)


def test_the_remedies_for_a_redeclaration_are_remedies():
    parent, started = declared_twice()

    class Both(parent):
        ticker = Resource(hook)
        registry = Resource(hook, ticker)

    @containers.copy(parent)
    class Copied(parent):
        ticker = Resource(hook)

    class Overridden(parent):
        pass

    overridden = Overridden()
    overridden.ticker.override(Resource(hook))
    for container in (Both(), Copied(), overridden):
        starts(container)
    assert check(Both) == check(Copied) == ()
    assert started == []


def test_a_container_that_is_overridden_by_another_redeclares_nothing():
    parent, started = declared_twice()

    class Other(LifecycleContainer):
        ticker = Resource(hook)

    parent.override(Other)
    starts(parent())
    assert started == []


def test_a_redeclaration_that_wraps_the_hidden_one_is_no_problem_unless_others_go_past_it():
    _, started = declared_twice()

    class Parent(LifecycleContainer):
        ticker = Resource(journal_ticker, providers.Object(started))

    class Wrapping(Parent):
        ticker = Resource(journal_ticker, providers.Object(started), Parent.ticker)
        user = Resource(hook, ticker)

    starts(Wrapping())
    assert check(Wrapping) == ()
    assert started == ["ticker", "ticker"]

    class PastIt(Wrapping):
        other = Resource(hook, Parent.ticker)

    assert refused(PastIt()) == [(Fault.REDECLARED, "ticker")]


def test_an_instance_whose_users_of_the_hidden_one_are_overridden_starts():
    parent, started = declared_twice()

    class Child(parent):
        ticker = Resource(hook)

    container = Child()
    container.registry.override(providers.Object(1))
    starts(container)
    assert started == []


def test_a_hidden_resource_that_is_kept_under_another_name_is_not_hidden():
    parent, _ = declared_twice()

    class Child(parent):
        old_ticker = parent.ticker
        ticker = Resource(hook)

    starts(Child())


# Cycles.


def test_a_cycle_that_a_start_runs_into_is_found_before_it():
    started = []
    first, second = Resource(hook), Resource(hook)
    first.add_args(providers.Singleton(dict, x=second))
    second.add_args(first)
    container = made_of(before=Resource(started.append, 1), first=first, second=second)
    with pytest.raises(CheckError, match=r"first needs .*: 'first' needs itself to start"):
        container.init_resources()
    assert started == []
    assert state(container) == "NEW"


def test_a_cycle_that_no_resource_runs_into_does_not_stop_the_start():
    one, other = providers.Factory(dict), providers.Factory(dict)
    one.add_kwargs(x=other)
    other.add_kwargs(x=one)
    container = made_of(resource=Resource(hook, one.provider), one=one, other=other)
    assert [fault for fault, _ in found(container)] == [Fault.CYCLE]
    start_and_stop(container)
