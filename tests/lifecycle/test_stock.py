"""What dependency-injector's own resources and containers declare starts and stops in its place."""

import asyncio

import pytest
from dependency_injector import containers, providers, resources

from metrics.lifecycle import LifecycleContainer, NotRunningError, Resource, State, state


class Journal:
    """Records what its hooks do, and is the same journal in every copy of a container."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[str] = []

    def hook(self, name: str, *_needed: object):
        self.started.append(name)
        yield name
        self.stopped.append(name)

    async def async_hook(self, name: str, *_needed: object):
        self.started.append(name)
        yield name
        self.stopped.append(name)

    def part(self, name: str, *needed: object) -> Resource:
        return Resource(self.hook, name, *needed)

    def stock(self, name: str, *needed: object) -> providers.Resource:
        return providers.Resource(self.hook, name, *needed)

    def async_stock(self, name: str, *needed: object) -> providers.Resource:
        return providers.Resource(self.async_hook, name, *needed)

    def __deepcopy__(self, memo: object) -> "Journal":
        return self


class OldStyle(resources.Resource):
    def init(self, journal, name, *_needed):
        journal.started.append(name)
        return journal, name

    def shutdown(self, resource):
        journal, name = resource
        journal.stopped.append(name)


@pytest.fixture
def journal():
    return Journal()


def declared(**parts):
    """Return a container that declares resources in this order."""
    return type("Declared", (LifecycleContainer,), parts)()


def stock_container(**parts):
    return type("Stock", (containers.DeclarativeContainer,), parts)


def sandwich(journal, stock):
    """A stock resource that needs one of the library's resources and is needed by another."""
    below = journal.part("below")
    middle = stock("middle", providers.List(below))
    return declared(
        top=journal.part("top", middle), other=journal.stock("other"), middle=middle, below=below
    )


def test_a_stock_resource_starts_and_stops_between_what_it_needs_and_its_user(journal):
    container = sandwich(journal, journal.stock)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["below", "middle", "top", "other"]
    assert journal.stopped == ["other", "top", "middle", "below"]


def test_a_resource_class_of_dependency_injector_starts_and_stops_in_its_place(journal):
    def stock(*arguments):
        return providers.Resource(OldStyle, journal, *arguments)

    container = sandwich(journal, stock)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["below", "middle", "top", "other"]
    assert journal.stopped == ["other", "top", "middle", "below"]


@pytest.mark.parametrize("asked", [["top"], ["middle", "top"], ["below", "middle", "top"]])
@pytest.mark.parametrize("then_init", [False, True])
def test_a_stock_resource_that_came_up_on_demand_stops_in_its_place(journal, asked, then_init):
    container = sandwich(journal, journal.stock)
    for name in asked:
        assert getattr(container, name)() == name
    assert journal.started == ["below", "middle", "top"]
    if then_init:
        container.init_resources()
    container.shutdown_resources()
    assert journal.stopped == ["other", "top", "middle", "below"][1 - then_init :]
    assert journal.started == journal.stopped[::-1]


def test_a_stock_resource_that_came_up_alone_stops_after_what_comes_up_for_it_later(journal):
    container = sandwich(journal, journal.stock)
    container.middle()
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["below", "middle", "top", "other"]
    assert journal.stopped == ["other", "top", "middle", "below"]


def test_a_stock_resource_that_nobody_requested_is_stopped_after_the_start_on_the_provider(journal):
    container = declared(stock=journal.stock("stock"))
    container.stock.init()
    container.shutdown_resources()
    assert journal.started == journal.stopped == ["stock"]


def test_a_stock_resource_that_was_stopped_by_itself_is_not_stopped_again(journal):
    container = sandwich(journal, journal.stock)
    container.init_resources()
    container.other.shutdown()
    container.shutdown_resources()
    assert journal.stopped == ["other", "top", "middle", "below"]


def test_stock_resources_start_again_after_a_stop(journal):
    container = sandwich(journal, journal.stock)
    for _ in range(2):
        container.init_resources()
        container.shutdown_resources()
    assert journal.started == ["below", "middle", "top", "other"] * 2
    assert journal.stopped == ["other", "top", "middle", "below"] * 2


def test_the_state_of_a_stock_resource_can_be_read(journal):
    container = sandwich(journal, journal.stock)
    assert state(container, "middle") is State.NEW
    container.init_resources()
    assert state(container, "middle") is State.RUNNING
    container.shutdown_resources()
    assert state(container, "middle") is State.STOPPED
    with pytest.raises(NotRunningError, match="top"):
        container.top()


def run_async(container, *asked):
    async def life():
        for name in asked:
            assert await getattr(container, name)() == name
        await container.init_resources()
        await container.shutdown_resources()

    asyncio.run(life())


@pytest.mark.parametrize("asked", [[], ["top"], ["middle", "top"]])
def test_an_async_stock_resource_starts_and_stops_in_its_place(journal, asked):
    run_async(sandwich(journal, journal.async_stock), *asked)
    assert journal.started == ["below", "middle", "top", "other"]
    assert journal.stopped == ["other", "top", "middle", "below"]


def test_an_async_stock_resource_that_came_up_on_demand_is_stopped(journal):
    container = declared(stock=journal.async_stock("stock"))

    async def life():
        assert await container.stock() == "stock"
        await container.shutdown_resources()

    asyncio.run(life())
    assert journal.started == journal.stopped == ["stock"]


def outer_with(journal, kind):
    """A container between the resources that it is lent and the resource that uses it."""
    given = providers.Dependency()
    inner = type(
        "Inner",
        (kind,),
        {
            "user": (user := journal.stock("inner user")),
            "own": journal.part("inner own"),
            "stock": (stock := journal.stock("inner stock", given)),
            "given": given,
        },
    )
    user.add_args(stock)
    below = journal.part("below")
    embedded = providers.Container(inner, given=below)
    return declared(
        first=journal.part("first", embedded.user),
        inner=embedded,
        below=below,
        last=journal.stock("last"),
    )


ORDER = ["below", "inner stock", "inner user", "first", "inner own", "last"]


@pytest.mark.parametrize("kind", [containers.DeclarativeContainer, LifecycleContainer])
def test_an_embedded_container_starts_and_stops_in_its_place(journal, kind):
    container = outer_with(journal, kind)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ORDER
    assert journal.stopped == ORDER[::-1]


@pytest.mark.parametrize("kind", [containers.DeclarativeContainer, LifecycleContainer])
def test_resources_of_an_embedded_container_that_came_up_on_demand_stop_in_their_place(
    journal, kind
):
    container = outer_with(journal, kind)
    container.inner.user()
    assert journal.started == ["below", "inner stock", "inner user"]
    container.shutdown_resources()
    assert journal.stopped == ["inner user", "inner stock", "below"]


def test_what_a_stock_container_started_by_itself_is_stopped_by_the_outer_one(journal):
    container = outer_with(journal, containers.DeclarativeContainer)
    container.inner().init_resources()
    assert set(journal.started) == {"below", "inner stock", "inner user", "inner own"}
    container.init_resources()
    container.shutdown_resources()
    assert sorted(journal.stopped) == sorted(ORDER)
    place = journal.stopped.index
    assert place("first") < place("inner user") < place("inner stock") < place("below")


def test_stock_and_lifecycle_containers_nest_twice_in_each_other(journal):
    given = providers.Dependency()
    innermost = stock_container(given=given, stock=journal.stock("innermost", given))
    middle_given = providers.Dependency()
    middle = type(
        "Middle",
        (LifecycleContainer,),
        {
            "given": middle_given,
            "inner": (inner := providers.Container(innermost, given=middle_given)),
            "part": journal.part("middle", inner.stock),
        },
    )
    outer_given = providers.Dependency()
    outer = stock_container(
        given=outer_given,
        middle=(embedded := providers.Container(middle, given=outer_given)),
        stock=journal.stock("outer", embedded.part),
    )
    below = journal.part("below")
    outermost = providers.Container(outer, given=below)
    container = declared(outer=outermost, top=journal.part("top", outermost.stock), below=below)
    container.init_resources()
    container.shutdown_resources()
    assert journal.started == ["below", "innermost", "middle", "outer", "top"]
    assert journal.stopped == ["top", "outer", "middle", "innermost", "below"]


def test_resources_in_a_stock_container_inside_a_stock_container_are_started_and_stopped(journal):
    inner = stock_container(part=journal.part("part"), stock=journal.stock("stock"))
    outer = stock_container(inner=providers.Container(inner))
    container = declared(outer=providers.Container(outer))
    container.init_resources()
    assert state(container, "outer.inner.stock") is State.RUNNING
    container.shutdown_resources()
    assert journal.started == ["part", "stock"]
    assert journal.stopped == ["stock", "part"]


def test_only_resources_of_a_type_are_started(journal):
    container = declared(stock=journal.stock("stock"), part=journal.part("part"))
    container.init_resources(Resource)
    assert journal.started == ["part"]
    container.shutdown_resources()
    assert journal.stopped == ["part"]
