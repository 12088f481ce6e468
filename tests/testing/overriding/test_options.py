"""Options of a configuration are replaced one by one, and the other ones stay in use."""

import re
from threading import Lock

import pytest
from dependency_injector import containers, providers

from metrics.errors import LifecycleError
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource, State, state
from metrics.testing import overridden


class Inner(LifecycleContainer):
    config = providers.Configuration()
    client = Resource(lambda url: url, config.url)


class Application(LifecycleContainer):
    config = providers.Configuration()
    inner = providers.Container(Inner, config=config.inner)
    database = Resource(lambda dsn: dsn, config.dsn)
    pages = Resource(lambda size: size, config.page.size.as_int())
    listing = providers.Factory(dict, size=config.page.size, dsn=config.dsn)
    whole = Resource(dict, config.limits)


class StockInner(containers.DeclarativeContainer):
    config = providers.Configuration()
    client = providers.Resource(lambda url: url, config.url)


class StockApplication(containers.DeclarativeContainer):
    config = providers.Configuration()
    inner = providers.Container(StockInner, config=config.inner)
    database = providers.Resource(lambda dsn: dsn, config.dsn)
    pages = providers.Resource(lambda size: size, config.page.size.as_int())
    listing = providers.Factory(dict, size=config.page.size, dsn=config.dsn)
    whole = providers.Resource(dict, config.limits)


VALUES = {
    "dsn": "db://",
    "page": {"size": "10", "first": 1},
    "inner": {"url": "http://", "retries": 3},
    "limits": {"users": 1},
}


@pytest.fixture(params=[Application, StockApplication])
def application(request):
    container = request.param()
    container.config.from_dict(VALUES)
    yield container
    container.shutdown_resources()


def refused(application, name, *resources):
    return pytest.raises(
        LifecycleError,
        match=rf"cannot override '{re.escape(name)}': running resources? "
        + ", ".join(f"'{re.escape(each)}'" for each in resources)
        + r" already uses?",
    )


def test_an_option_is_replaced_while_a_running_resource_uses_another(application):
    application.database.init()
    with overridden(application, {"config.page.size": 5}):
        assert application.listing() == {"size": 5, "dsn": "db://"}
        assert application.pages() == 5
    assert application.database.initialized
    assert not application.pages.initialized
    assert application.listing() == {"size": "10", "dsn": "db://"}


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("config.dsn", "database"),
        ("config.page.size", "pages"),
        ("config.page", "pages"),
        ("config.page.size.unit", "pages"),
        ("config.limits.users", "whole"),
        ("config.inner.url", "inner.client"),
        ("config.inner", "inner.client"),
        ("inner.config.url", "inner.client"),
    ],
)
def test_an_option_that_a_running_resource_uses_is_refused_by_its_name(application, name, resource):
    application.init_resources()
    with refused(application, name, resource), overridden(application, {name: 1}):
        pytest.fail("the block was begun")
    assert application.config() == VALUES


@pytest.mark.parametrize(
    "name", ["config.page.first", "config.other", "config.inner.retries", "inner.config.retries"]
)
def test_an_option_that_no_running_resource_uses_is_replaced(application, name):
    application.init_resources()
    with overridden(application, {name: 7}):
        assert application.database() == "db://"
    assert application.inner.client.initialized


def test_a_whole_configuration_is_refused_while_any_option_of_it_is_in_use(application):
    application.inner.client.init()
    with (
        refused(application, "config", "inner.client"),
        overridden(application, config={"dsn": "x"}),
    ):
        pytest.fail("the block was begun")


def test_a_message_names_every_requested_option(application):
    application.database.init()
    with (
        pytest.raises(
            LifecycleError, match=r"^cannot override 'config.page.size', 'config.dsn': .* them;"
        ),
        overridden(application, {"config.page.size": 1, "config.dsn": ""}),
    ):
        pytest.fail("the block was begun")


def test_a_resource_that_starts_inside_is_stopped_if_it_uses_a_replaced_option(application):
    with overridden(application, {"config.page.size": 5}):
        assert (application.pages(), application.database()) == (5, "db://")
    assert not application.pages.initialized
    assert application.database.initialized
    assert application.pages() == 10


def test_of_blocks_over_one_another_each_stops_what_uses_its_own_options(application):
    outer = overridden(application, {"config.page.size": 5})
    inner = overridden(application, {"config.dsn": "fake"})
    outer.__enter__()
    inner.__enter__()
    assert (application.pages(), application.database()) == (5, "fake")
    outer.__exit__(None, None, None)
    assert not application.pages.initialized
    assert (application.pages(), application.database()) == (10, "fake")
    inner.__exit__(None, None, None)
    assert application.pages.initialized
    assert not application.database.initialized
    assert application.config() == VALUES


def test_an_option_that_a_later_block_replaces_too_is_stopped_by_that(application):
    outer = overridden(application, {"config.page.size": 5, "config.dsn": "outer"})
    inner = overridden(application, {"config.page": {"size": 6}})
    outer.__enter__()
    inner.__enter__()
    assert (application.pages(), application.database()) == (6, "outer")
    outer.__exit__(None, None, None)
    assert application.pages.initialized
    assert not application.database.initialized
    inner.__exit__(None, None, None)
    assert not application.pages.initialized


def test_singletons_keep_their_product_unless_they_use_a_replaced_option():
    class Holding(containers.DeclarativeContainer):
        config = providers.Configuration(default={"a": 1, "b": 2})
        of_a = providers.Singleton(list, providers.List(config.a))
        of_b = providers.Singleton(list, providers.List(config.b))

    holding = Holding()
    of_a, of_b = holding.of_a(), holding.of_b()
    with overridden(holding, {"config.a": 5}):
        assert holding.of_a() == [5]
        assert holding.of_b() is of_b
    assert holding.of_a() is of_a


def test_a_required_option_that_was_read_before_is_replaced_and_put_back():
    class Required(LifecycleContainer):
        config = providers.Configuration()
        made = providers.Factory(dict, size=config.size.required().as_int())

    container = Required()
    container.config.from_dict({"size": 1})
    assert container.made() == {"size": 1}
    with overridden(container, {"config.size": 2}):
        assert container.made() == {"size": 2}
    assert container.made() == {"size": 1}


def test_an_option_whose_name_is_provided_may_be_any():
    class Named(LifecycleContainer):
        config = providers.Configuration()
        selected = providers.Object("a")
        resource = Resource(str, config.sections[selected])

    container = Named()
    container.config.from_dict({"sections": {"a": "one", "b": "two"}})
    assert container.resource() == "one"
    for name in ("config.sections.a", "selected"):
        with refused(container, name, "resource"), overridden(container, {name: "b"}):
            pytest.fail("the block was begun")
    with overridden(container, {"config.other": 1}):
        assert state(container, "resource") is State.RUNNING
    container.shutdown_resources()
    with overridden(container, selected="b"):
        container.init_resources()
        assert container.resource() == "two"
    container.init_resources()
    assert container.resource() == "one"
    container.shutdown_resources()


def strict():
    configuration = providers.Configuration(strict=True)
    configuration.from_dict({"page": {"size": 10, "free": {}}})
    return configuration


def with_defaults():
    return providers.Configuration(default={"page": {"size": 10, "free": {}}})


class Typed(containers.DeclarativeContainer):
    config = providers.Configuration()
    made = providers.Factory(dict, dsn=config.db.dsn, all=config.section)


@pytest.fixture(params=[strict, with_defaults])
def typed(request):
    class Container(LifecycleContainer):
        config = request.param()
        made = providers.Factory(dict, dsn=config.db.dsn, all=config.section)

    return Container()


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("config.paeg", "did you mean 'config.page'?"),
        ("config.page.siez", "did you mean 'config.page.size'?"),
        ("config.page.size.unit", "did you mean 'config.page.size'?"),
        ("config.db.nsd", "did you mean 'config.db.dsn'?"),
        ("config.zzz", "it has config.db, config.db.dsn, config.page, config.page.free"),
    ],
)
def test_an_unknown_option_is_an_error_if_the_options_are_known(typed, name, hint):
    with pytest.raises(KeyError) as caught:
        overridden(typed, {"config.page.size": 1, name: 1})
    (message,) = caught.value.args
    assert message.startswith(f"there is no option {name!r} in the configuration, which ")
    assert hint in message


@pytest.mark.parametrize(
    "name",
    [
        "config.page", "config.page.size", "config.page.free.any", "config.db", "config.db.dsn",
        "config.section", "config.section.any.deep",
    ],
)  # fmt: skip
def test_an_option_that_has_a_value_or_is_read_is_known(typed, name):
    typed.config.db.dsn.from_value("db://")
    typed.config.section.from_value({})
    value = {"dsn": 1} if name == "config.db" else 1
    with overridden(typed, {name: value}):
        assert typed.made()


def test_any_option_may_be_replaced_in_a_configuration_of_unknown_options():
    container = Typed()
    with overridden(container, {"config.paeg": 1}):
        assert container.config.paeg() == 1


class Metered(LifecycleContainer):
    config = providers.Configuration()
    metrics = providers.Container(MetricsContainer, config=config)


@pytest.fixture
def metered():
    return Metered()


def test_an_option_of_the_configuration_is_set_and_the_others_stay(metered):
    metered.config.from_dict({"metrics": {"prefix": "a"}, "debug": True})
    before = metered.config()
    outer = overridden(metered, {"config.metrics.prefix": "b", "config.new.deep": 1})
    inner = overridden(metered, {"config.debug": False})
    outer.__enter__()
    assert metered.config.metrics.prefix() == "b"
    inner.__enter__()
    assert metered.config() == {
        "metrics": {"prefix": "b"}, "debug": False, "new": {"deep": 1}}  # fmt: skip
    outer.__exit__(None, None, None)
    assert metered.config.metrics.prefix() == "a"
    assert metered.config.debug() is False
    inner.__exit__(None, None, None)
    assert metered.config() == before


def test_the_other_options_are_those_that_were_there_of_whatever_kind(metered):
    metered.config.from_dict({"pool": {"lock": (lock := Lock()), "size": 1}})
    for name in ("config.pool.size", "metrics.config.pool.size"):
        with overridden(metered, {name: 2}):
            assert metered.metrics.config.pool.size() == 2
            assert metered.config.pool.lock() is lock
        assert metered.config() == {"pool": {"lock": lock, "size": 1}}


def test_a_whole_configuration_is_replaced(metered):
    metered.config.from_dict({"debug": True})
    with overridden(metered, config={"other": 1}):
        assert metered.config.debug() is None
        assert metered.config.other() == 1
    assert metered.config.debug() is True
