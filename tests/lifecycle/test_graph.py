"""What a resource needs is found through every provider that may be in between."""

import asyncio
from contextlib import contextmanager

import pytest
from dependency_injector import containers, providers

from metrics.lifecycle import CheckError, LifecycleContainer, Resource


class Journal:
    """Records what its hooks do, and is the same journal in every copy of a container."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[str] = []

    @contextmanager
    def hook(self, name: str, *_needed: object, **_named: object):
        self.started.append(name)
        yield Value(name)
        self.stopped.append(name)

    def part(self, name: str, *needed: object, **named: object) -> Resource:
        return Resource(self.hook, name, *needed, **named)

    def stock_part(self, name: str, *needed: object) -> providers.Resource:
        return providers.Resource(self.hook, name, *needed)

    def __deepcopy__(self, memo: object) -> "Journal":
        return self


class Value:
    """What a resource provides: it has an attribute, an item and methods to get at."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.items = {"key": self}

    def get(self, *_args: object, **_kwargs: object) -> "Value":
        return self


def anything(*args: object, **kwargs: object) -> tuple[object, ...]:
    return (args, kwargs)


class Anything:
    def __init__(self, *args: object, **kwargs: object) -> None:
        self.given = (args, kwargs)


async def coroutine(*args: object) -> object:
    return args


def overriding(provider, by):
    provider.override(by)
    return provider


def lent(inner: type, part, pick):
    """Embed a container, lend it a resource, and return what is picked out of it."""
    return pick(providers.Container(inner, given=part))


class Lifecycled(LifecycleContainer):
    given = providers.Dependency()
    made = providers.Factory(Anything, given)


class Stock(containers.DeclarativeContainer):
    given = providers.Dependency()
    made = providers.Singleton(Anything, given)


class Twice(LifecycleContainer):
    given = providers.Dependency()
    inner = providers.Container(Stock, given=given)


class TwiceStock(containers.DeclarativeContainer):
    given = providers.Dependency()
    inner = providers.Container(Lifecycled, given=given)


class Uses(LifecycleContainer):
    host = providers.DependenciesContainer()
    made = providers.Callable(anything, host.part)


def through_dependencies(part):
    host = providers.DependenciesContainer(part=part)
    return providers.Container(Uses, host=host).made


# How a user comes to need a resource: each returns, for the resource, the arguments of the user.
WAYS = {
    "itself": lambda part: part,
    "Factory": lambda part: providers.Factory(Anything, part),
    "Factory keyword": lambda part: providers.Factory(Anything, x=part),
    "Factory attribute": lambda part: providers.Factory(Anything).add_attributes(x=part),
    "Factory of a provider": lambda part: providers.Factory(part.provided.get),
    "Singleton": lambda part: providers.Singleton(Anything, part),
    "Singleton attribute": lambda part: providers.Singleton(Anything).add_attributes(x=part),
    "ThreadSafeSingleton": lambda part: providers.ThreadSafeSingleton(Anything, x=part),
    "ThreadLocalSingleton": lambda part: providers.ThreadLocalSingleton(Anything, part),
    "ContextLocalSingleton": lambda part: providers.ContextLocalSingleton(Anything, part),
    "Callable": lambda part: providers.Callable(anything, part),
    "Callable of a provider": lambda part: providers.Callable(part.provided.get),
    "List": lambda part: providers.List(1, providers.List(part)),
    "Dict": lambda part: providers.Dict({"x": 1, 2: providers.Dict(x=part)}),
    "Aggregate": lambda part: providers.Aggregate(x=providers.Factory(Anything, part)).x,
    "Aggregate's provider": lambda part: providers.Aggregate(x=part).provider,
    "FactoryAggregate": lambda part: (
        providers.FactoryAggregate(x=providers.Factory(Anything, part)).x
    ),
    "Selector": lambda part: providers.Selector(providers.Object("x"), x=part, y=idle()),
    "selector of a Selector": lambda part: providers.Selector(
        part.provided.name, part=providers.Object(1)
    ),
    "Dependency": lambda part: overriding(providers.Dependency(), part),
    "Dependency default": lambda part: providers.Dependency(default=part),
    "DependenciesContainer": through_dependencies,
    "Container": lambda part: lent(Lifecycled, part, lambda inner: inner.made),
    "stock Container": lambda part: lent(Stock, part, lambda inner: inner.made),
    "nested Container": lambda part: lent(Twice, part, lambda outer: outer.inner.made),
    "stock nested Container": lambda part: lent(TwiceStock, part, lambda outer: outer.inner.made),
    "whole Container": lambda part: lent(Twice, part, lambda outer: outer),
    "provided attribute": lambda part: part.provided.name,
    "provided item": lambda part: part.provided.items["key"],
    "provided call": lambda part: part.provided.get.call(),
    "provided chain": lambda part: part.provided.items["key"].get.call(1).name,
    "argument of a call": lambda part: providers.Singleton(Value, "other").provided.get.call(
        part, x=1
    ),
    "keyword of a call": lambda part: providers.Factory(Value, "other").provided.get.call(x=part),
    "provider": lambda part: part.provider,
    "provider of a Factory": lambda part: providers.Factory(Anything, part).provider,
    "DelegatedFactory": lambda part: providers.DelegatedFactory(Anything, part),
    "DelegatedSingleton": lambda part: providers.DelegatedSingleton(Anything, part),
    "override": lambda part: overriding(providers.Factory(Anything), part),
    "override of an override": lambda part: overriding(
        providers.Object(1), overriding(providers.Factory(Anything), part.provided.name)
    ),
    "AbstractFactory": lambda part: overriding(
        providers.AbstractFactory(Anything), providers.Factory(Anything, part)
    ),
}


def idle():
    return providers.Factory(pytest.fail, "a branch that is not selected was asked for")


def declared(**parts):
    """Return a container that declares resources in this order."""
    return type("Declared", (LifecycleContainer,), parts)()


def user_first(journal: Journal, way: str):
    """Declare the user of a resource before it, and something in between that has no user."""
    part = journal.part("part")
    user = journal.part("user", WAYS[way](part))
    return declared(user=user, other=journal.part("other"), part=part)


@pytest.mark.parametrize("way", WAYS)
def test_a_resource_starts_before_its_user_and_stops_after_it_whatever_is_in_between(way):
    journal = Journal()
    container = user_first(journal, way)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["part", "user", "other"]
    assert journal.stopped == ["other", "user", "part"]


@pytest.mark.parametrize("way", WAYS)
def test_a_user_that_is_requested_starts_what_it_needs_before_it(way):
    journal = Journal()
    container = user_first(journal, way)
    assert container.user().name == "user"
    assert journal.started == ["part", "user"]
    container.shutdown_resources()
    assert journal.stopped == ["user", "part"]


@pytest.mark.parametrize("way", WAYS)
def test_what_came_up_on_demand_stays_first_when_the_others_start(way):
    journal = Journal()
    container = user_first(journal, way)
    container.part()
    container.other()
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["part", "other", "user"]
    assert journal.stopped == ["user", "other", "part"]


def test_a_coroutine_in_between_makes_its_user_asynchronous():
    journal = Journal()
    part = journal.part("part")
    user = journal.part("user", providers.Coroutine(coroutine, part))
    container = declared(user=user, other=journal.part("other"), part=part)

    async def life():
        await container.init_resources()
        await container.shutdown_resources()

    asyncio.run(life())
    assert journal.started == ["part", "user", "other"]
    assert journal.stopped == ["other", "user", "part"]


def test_a_user_behind_a_coroutine_can_be_requested_first():
    journal = Journal()
    part = journal.part("part")
    user = journal.part("user", providers.Coroutine(coroutine, part))
    container = declared(user=user, part=part)

    async def life():
        assert (await container.user()).name == "user"
        await container.shutdown_resources()

    asyncio.run(life())
    assert journal.started == ["part", "user"]
    assert journal.stopped == ["user", "part"]


def test_a_hook_may_be_provided_by_a_resource():
    journal = Journal()
    part = journal.part("part")
    container = declared(user=Resource(part.provided.get.call()), part=part)
    container.init_resources()
    assert container.user().name == "part"
    container.shutdown_resources()
    assert journal.started == journal.stopped == ["part"]


def test_a_resource_of_one_embedded_container_is_lent_to_another():
    journal = Journal()
    lender = providers.Container(
        type("Lender", (LifecycleContainer,), {"part": journal.part("part")})
    )
    borrower = providers.Container(Uses, host=lender)
    container = declared(user=journal.part("user", borrower.made), borrower=borrower, lender=lender)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["part", "user"]
    assert journal.stopped == ["user", "part"]


@pytest.fixture
def selected():
    """A container, whose configuration selects what its user needs, and its journal."""
    journal = Journal()
    config = providers.Configuration()
    one, two = journal.part("one"), journal.part("two")
    choice = providers.Selector(config.choice, one=one, two=two)
    container = declared(
        config=config, user=journal.part("user", choice), choice=choice, one=one, two=two
    )
    yield container, journal
    container.shutdown_resources()
    assert journal.stopped == journal.started[::-1]


@pytest.mark.parametrize("choice", ["one", "two"])
def test_only_the_selected_branch_starts(selected, choice):
    container, journal = selected
    container.config.choice.from_value(choice)
    container.init_resources()
    assert journal.started == [choice, "user"]


def test_only_the_selected_branch_starts_on_demand(selected):
    container, journal = selected
    container.config.choice.from_value("two")
    container.user()
    assert journal.started == ["two", "user"]


def test_no_branch_starts_when_the_selector_itself_is_overridden(selected):
    container, journal = selected
    container.config.choice.from_value("two")
    container.choice.override(providers.Object("fake"))
    container.init_resources()
    assert journal.started == ["user"]


@pytest.mark.parametrize("choice", [None, "three"])
def test_a_selector_without_a_branch_for_its_key_fails_the_start(selected, choice):
    container, journal = selected
    container.config.choice.from_value(choice)
    with pytest.raises(CheckError, match="selector 'choice' has no branch"):
        container.init_resources()
    assert journal.started == []


def test_a_branch_that_is_selected_later_starts_when_it_is_requested(selected):
    container, journal = selected
    container.config.choice.from_value("one")
    container.init_resources()
    container.config.choice.from_value("two")
    assert container.choice().name == "two"
    assert journal.started == ["one", "user", "two"]


def test_a_branch_that_is_not_selected_can_be_requested_by_itself(selected):
    container, journal = selected
    container.config.choice.from_value("one")
    container.init_resources()
    assert container.two().name == "two"
    assert journal.started == ["one", "user", "two"]


def test_a_selection_that_changed_between_two_starts_counts_for_the_second(selected):
    container, journal = selected
    container.config.choice.from_value("one")
    container.init_resources()
    container.shutdown_resources()
    container.config.choice.from_value("two")
    journal.started.clear()
    journal.stopped.clear()
    container.init_resources()
    assert journal.started == ["two", "user"]


def test_a_branch_that_is_not_selected_starts_when_something_else_needs_it(selected):
    container, journal = selected
    container.config.choice.from_value("one")
    container.set_provider("other", journal.part("other", providers.List(container.two)))
    container.init_resources()
    assert journal.started == ["one", "user", "two", "other"]


def test_selectors_in_selectors_start_only_what_is_selected_in_the_end():
    journal = Journal()
    parts = {name: journal.part(name) for name in ("a", "b", "c", "d")}
    left = providers.Selector(providers.Object("x"), x=parts["a"], y=parts["b"])
    right = providers.Selector(providers.Object("x"), x=parts["c"], y=parts["d"])
    choice = providers.Selector(providers.Object("y"), x=left, y=providers.List(right))
    container = declared(**parts, user=journal.part("user", choice), left=left, right=right)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["c", "user"]
    assert journal.stopped == ["user", "c"]


def test_only_the_selected_branch_of_an_embedded_container_starts():
    journal = Journal()
    one, two = journal.part("one"), journal.part("two")
    choice = providers.Selector(providers.Object("two"), one=one, two=two)
    inner = type("Inner", (LifecycleContainer,), {"one": one, "two": two, "choice": choice})
    container = declared(inner=providers.Container(inner))
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == journal.stopped == ["two"]


def test_what_selects_may_be_a_resource_and_a_failure_of_it_leaves_nothing_up():
    journal = Journal()
    base = journal.part("base")

    def fail(_base):
        raise OSError("cannot select")

    choice = providers.Selector(Resource(fail, base), x=journal.part("x"))
    container = declared(first=journal.part("first"), user=journal.part("user", choice), base=base)
    with pytest.raises(OSError, match="cannot select"):
        container.init_resources()
    stopped = [*journal.stopped]
    container.shutdown_resources()
    assert stopped == journal.started[::-1]


def overridden_pair(journal: Journal):
    """Return a container whose `user` needs `real`, which is declared after it."""
    real = journal.part("real")
    return declared(user=journal.part("user", providers.List(real)), real=real)


def test_a_resource_that_is_overridden_by_a_value_does_not_start():
    journal = Journal()
    container = overridden_pair(journal)
    container.real.override(providers.Object("fake"))
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == journal.stopped == ["user"]


@pytest.mark.parametrize("asked", [False, True])
def test_a_resource_that_overrides_another_starts_and_stops_in_its_place(asked):
    journal = Journal()
    container = overridden_pair(journal)
    container.real.override(journal.part("fake", journal.part("base")))
    if asked:
        container.user()
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["base", "fake", "user"]
    assert journal.stopped == ["user", "fake", "base"]


def test_of_several_overrides_the_last_counts_and_behind_it_what_overrides_that():
    journal = Journal()
    container = overridden_pair(journal)
    last = journal.part("last")
    last.override(journal.part("behind"))
    container.real.override(journal.part("first"))
    container.real.override(last)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["behind", "user"]
    assert journal.stopped == ["user", "behind"]


def test_what_overrode_a_resource_is_stopped_after_the_override_has_ended():
    journal = Journal()
    container = overridden_pair(journal)
    with container.real.override(journal.part("fake")):
        container.init_resources()
    assert container.real().name == "real"
    container.shutdown_resources()
    assert journal.started == ["fake", "user", "real"]
    assert journal.stopped == ["real", "user", "fake"]


def test_a_resource_that_is_up_when_it_is_overridden_is_stopped_nevertheless():
    journal = Journal()
    container = overridden_pair(journal)
    container.init_resources()
    container.real.override(journal.part("fake"))
    container.real()
    container.shutdown_resources()
    assert journal.started == ["real", "user", "fake"]
    assert journal.stopped == ["fake", "user", "real"]


def test_a_container_that_overrides_another_lends_its_resources():
    journal = Journal()
    container = overridden_pair(journal)
    fakes = declared(real=journal.part("fake"))
    container.override(fakes)
    container.init_resources()
    container.shutdown_resources()
    fakes.shutdown_resources()
    assert journal.started == ["fake", "user"]
    assert journal.stopped == ["user", "fake"]


@pytest.mark.parametrize("kind", [LifecycleContainer, containers.DeclarativeContainer])
def test_an_embedded_container_may_be_overridden_by_another(kind):
    journal = Journal()
    real = type("Real", (kind,), {"part": journal.part("real")})
    fake = providers.Container(type("Fake", (kind,), {"part": journal.part("fake")}))
    inner = providers.Container(real)
    container = declared(user=journal.part("user", inner.part), inner=inner)
    container.inner.override(fake)
    container.init_resources()
    container.shutdown_resources()
    fake.container.shutdown_resources()  # its resources were only lent
    assert journal.started == ["fake", "user"]
    assert journal.stopped == ["user", "fake"]


def test_overrides_made_on_the_class_hold_in_its_containers():
    journal = Journal()
    part = journal.part("real")
    part.override(journal.part("fake"))
    container = declared(user=journal.part("user", part), part=part)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["fake", "user"]
    assert journal.stopped == ["user", "fake"]


def test_a_resource_that_selects_starts_where_it_is_declared():
    journal = Journal()
    mode = journal.part("mode")
    choice = providers.Selector(mode.provided.name, mode=journal.part("branch"))
    user = journal.part("user", choice)
    container = declared(first=journal.part("first"), user=user, mode=mode)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["first", "mode", "branch", "user"]
    assert journal.stopped == journal.started[::-1]


def test_an_embedded_container_may_be_handed_over_before_it_is_declared():
    journal = Journal()
    inner = providers.Container(Twice, given=(part := journal.part("part")))
    container = declared(user=journal.part("user", inner.inner), inner=inner, part=part)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["part", "user"]
    assert journal.stopped == ["user", "part"]
