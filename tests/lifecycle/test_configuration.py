"""A container is configured as people do, and a misspelt option is an error before the start."""

import pytest
from dependency_injector import containers, providers
from pydantic_settings import BaseSettings

import metrics.resources._foundation
from metrics import Meter, Registry, Ticker, resources
from metrics.errors import CheckError
from metrics.lifecycle import (
    Fault,
    LifecycleContainer,
    MetricsContainer,
    Resource,
    check,
    running,
    state,
)
from metrics.testing import ManualTicker

ALL = "options: enabled, labels, prefix, tick_interval"


class Container(MetricsContainer):
    config = MetricsContainer.config
    requests = Resource(resources.meter, MetricsContainer.registry, "rpc/requests")
    db = Resource(dict, url=config.db.url, size=config.pool_size)


class Host(LifecycleContainer):
    config = providers.Configuration()
    metrics = providers.Container(MetricsContainer, config=config.metrics)
    requests = Resource(resources.meter, metrics.registry, "rpc/requests")


@pytest.fixture
def constant(monkeypatch):
    """Record the constant labels that registries are created with."""
    given = []

    def create(*args, **kwargs):
        given.append(kwargs.pop("labels", None))
        return Registry(*args, **kwargs)

    monkeypatch.setattr(metrics.resources._foundation, "Registry", create)
    return given


def configured(container_class, values):
    container = container_class()
    container.config.from_dict({"metrics": values} if container_class is Host else values)
    return container


def misspelt(container):
    """Return the misspelt options that keep a container from starting, as `check()` finds them."""
    found = check(container)
    with pytest.raises(CheckError) as raised:
        container.init_resources()
    assert state(container) in {"NEW", "STOPPED"}
    assert raised.value.problems == found
    assert {problem.fault for problem in found} == {Fault.UNKNOWN_OPTION}
    return [problem.name for problem in found]


def starts(container):
    assert check(container) == ()
    with running(container):
        pass


# Values.


@pytest.mark.parametrize("container_class", [MetricsContainer, Container, Host])
@pytest.mark.parametrize(
    ("value", "enabled"),
    [
        (None, True),
        ("", True),
        (True, True),
        (1, True),
        ("true", True),
        (" ON ", True),
        (False, False),
        (0, False),
        ("0", False),
        ("false", False),
        ("No", False),
    ],
)
def test_enabled_takes_switches_and_their_text(container_class, value, enabled):
    container = configured(container_class, {"enabled": value})
    assert check(container) == ()
    with running(container):
        inner = container.metrics if container_class is Host else container
        assert inner.registry().enabled is enabled
        assert inner.ticker().running is enabled


@pytest.mark.parametrize(
    ("variable", "enabled"), [(None, True), ("", True), ("false", False), ("1", True)]
)
def test_a_variable_of_the_environment_switches_it(monkeypatch, variable, enabled):
    if variable is not None:
        monkeypatch.setenv("METRICS_ENABLED", variable)
    for container, option in (
        ((one := Container()), one.config.enabled),
        ((two := Host()).metrics, two.config.metrics.enabled),
    ):
        if container is not one:
            two.config.from_dict({"metrics": {}})
        option.from_env("METRICS_ENABLED")
        assert container.registry().enabled is enabled
        container.shutdown_resources()


def test_a_variable_converted_by_its_reader_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("METRICS_ENABLED", "")
    container = Container()
    container.config.enabled.from_env("METRICS_ENABLED", as_=bool)
    container.config.tick_interval.from_env("METRICS_INTERVAL", "2", as_=float)
    with running(container):
        assert not container.registry().enabled
        assert container.ticker().interval == 2.0


@pytest.mark.parametrize(
    ("value", "interval"),
    [(None, 5.0), ("", 5.0), (2, 2.0), ("2.5", 2.5), ("500ms", 0.5), ("1m30s", 90.0)],
)
@pytest.mark.parametrize("container_class", [MetricsContainer, Container, Host])
def test_tick_interval_takes_numbers_durations_and_text(container_class, value, interval):
    container = configured(container_class, {"tick_interval": value})
    inner = container.metrics if container_class is Host else container
    with running(container):
        assert inner.ticker().interval == interval


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("enabled", "maybe", ValueError),
        ("enabled", 2, ValueError),
        ("enabled", [], TypeError),
        ("tick_interval", "soon", ValueError),
        ("tick_interval", 0, ValueError),
        ("tick_interval", True, TypeError),
        ("labels", "shop", ValueError),
        ("labels", ["shop"], TypeError),
        ("labels", {"a": ["b"]}, TypeError),
    ],
)
@pytest.mark.parametrize("container_class", [MetricsContainer, Container, Host])
def test_a_wrong_value_fails_the_start_and_is_named(container_class, option, value, error):
    container = configured(container_class, {option: value})
    with pytest.raises(error, match=f"invalid .*{option}.*: use ") as raised:
        container.init_resources()
    assert any("while starting" in note for note in raised.value.__notes__)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {}),
        ("", {}),
        ({}, {}),
        ({"service": "shop", "shard": 3}, {"service": "shop", "shard": "3"}),
        ("service=shop,zone=eu", {"service": "shop", "zone": "eu"}),
    ],
)
@pytest.mark.parametrize("container_class", [MetricsContainer, Container, Host])
def test_constant_labels_reach_the_registry(constant, container_class, value, expected):
    with running(configured(container_class, {"labels": value})):
        assert constant == [expected]


def test_constant_labels_may_be_set_one_by_one(constant, monkeypatch):
    monkeypatch.setenv("ZONE", "eu")
    container = Container()
    container.config.labels.zone.from_env("ZONE")
    container.config.labels.rack.from_env("NO_SUCH_VARIABLE")
    container.config.labels.shard.from_value(3)
    with running(container):
        assert constant == [{"zone": "eu", "shard": "3"}]


def test_hooks_take_the_same_values():
    with resources.ticker("250ms", enabled="yes") as ticker:
        assert isinstance(ticker, Ticker)
        assert ticker.interval == 0.25
        assert ticker.running
    with resources.registry("app", enabled="off", labels={}) as registry:
        assert isinstance(registry.meter("x"), Meter)
        assert not registry.enabled


def test_every_option_of_the_class_is_known():
    read = {
        need.get_name_segments()[0]
        for provider in (MetricsContainer.ticker, MetricsContainer.registry)
        for need in provider.related
        if isinstance(need, providers.ConfigurationOption)
    }
    assert set(MetricsContainer._known_options) == read


# Misspelt options.


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("tick_intervall", " did you mean 'tick_interval'?"),
        ("interval", " did you mean 'tick_interval'?"),
        ("TICK_INTERVAL", " did you mean 'tick_interval'?"),
        ("tick-interval", " did you mean 'tick_interval'?"),
        ("enable", " did you mean 'enabled'?"),
        ("lables", " did you mean 'labels'?"),
        ("db", ""),
        (5, ""),
    ],
)
def test_an_unknown_key_of_the_class_itself_is_an_error_that_names_the_options(key, hint):
    for container_class, prefix in ((MetricsContainer, ""), (Host, "metrics.")):
        container = configured(container_class, {key: 1, "prefix": "app"})
        assert misspelt(container) == [f"{prefix}config.{key}"]
        (problem,) = check(container)
        assert str(problem) == f"unknown option {key!r} of MetricsContainer;{hint} {ALL}"


def test_the_error_has_a_line_for_each_key_and_shows_no_value():
    container = configured(MetricsContainer, {"tick_intervall": "s3cret", "prefx": "s3cret"})
    with pytest.raises(CheckError, match="MetricsContainer has 2 problems") as raised:
        container.init_resources()
    assert "s3cret" not in str(raised.value)
    assert str(raised.value).count("\n") == 2


@pytest.mark.parametrize("key", ["tick_intervall", "enable", "Enabled", "label", "prefx"])
def test_a_key_of_a_subclass_that_resembles_an_unset_option_is_misspelt(key):
    assert misspelt(configured(Container, {key: 1})) == [f"config.{key}"]


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"db": {"url": "x", "tick_intervall": 1}, "pool_size": 5},
        {"log_level": "info", "host": "::1", "port": 1, "run_for": None, "interval": 5},
        {"prefix": "app", "prefixes": ["app"]},
        {"enabled": True, "prefix": "app", "db": {"labels": 1, "lables": 2}},
    ],
)
def test_a_subclass_may_have_options_of_its_own(values):
    starts(configured(Container, values))


def test_a_key_that_a_declaration_reads_is_no_misspelling():
    class Shop(MetricsContainer):
        config = MetricsContainer.config
        one = Resource(dict, a=config.ticks_interval, b=config.table.x)
        two = providers.Singleton(dict, providers.List(config.enables.as_int()))
        three = providers.Selector(config.lable, x=Resource(dict))
        four = providers.Factory(dict, config.prefixed.required())

    starts(configured(Shop, {"ticks_interval": 1, "enables": 1, "lable": "x", "prefixed": 1}))
    values = {"enabler": 1, "lable": "x", "prefixed": 1}
    assert misspelt(configured(Shop, values)) == ["config.enabler"]


def test_a_key_that_an_overridden_declaration_reads_is_no_misspelling():
    class Shop(Host):
        config = Host.config
        reporter = Resource(dict, interval=config.metrics.report_interval)

    container = configured(Shop, {})
    container.config.from_dict({"metrics": {"report_interval": 1}})
    starts(container)
    container.reporter.override(providers.Object(None))
    starts(container)


def test_a_key_that_is_wired_by_the_class_is_no_misspelling():
    class Shop(MetricsContainer):
        config = MetricsContainer.config

    _ = Shop.config.prefixing
    starts(configured(Shop, {"prefixing": 1}))


def test_a_configuration_that_is_passed_on_as_a_whole_has_no_unknown_keys():
    class Shop(MetricsContainer):
        config = MetricsContainer.config
        settings = providers.Factory(dict, config)

    starts(configured(Shop, {"tick_intervall": 1}))


def test_a_host_that_shares_its_whole_configuration_may_have_other_keys():
    class Db(LifecycleContainer):
        config = providers.Configuration()
        pool = Resource(dict, url=config.url, size=config.lable)

    class Sharing(LifecycleContainer):
        config = providers.Configuration()
        metrics = providers.Container(MetricsContainer, config=config)
        db = providers.Container(Db, config=config)

    container = Sharing()
    container.config.from_dict({"url": "x", "port": 1, "lable": 1})
    starts(container)
    container.config.from_dict({"tick_intervall": 1})
    assert misspelt(container) == ["metrics.config.tick_intervall"]


def test_sections_of_nested_hosts_are_followed():
    class Outer(LifecycleContainer):
        config = providers.Configuration()
        host = providers.Container(Host, config=config.host)
        rate = Resource(dict, rate=config.host.metrics.rate)

    container = Outer()
    container.config.from_dict({"metrics": {}, "host": {"metrics": {"rate": 1}, "other": 1}})
    starts(container)
    container.config.from_dict({"host": {"metrics": {"rates": 1}}})
    assert misspelt(container) == ["host.metrics.config.rates"]


def test_an_embedded_container_that_starts_alone_cannot_know_the_keys_its_host_reads():
    host = configured(Host, {"rates": 1})
    host.metrics.init_resources()
    assert host.metrics.ticker().running
    host.shutdown_resources()
    host = configured(Host, {"tick_intervall": 1})
    with pytest.raises(CheckError, match="did you mean 'tick_interval'"):
        host.metrics.init_resources()


def test_a_section_that_is_unset_or_no_section_has_no_unknown_keys():
    starts(Host())
    host = Host()
    host.config.from_dict({"metrics": None})
    assert Fault.UNKNOWN_OPTION not in {problem.fault for problem in check(host)}
    host.config.from_dict({"metrics": "off"})
    assert Fault.UNKNOWN_OPTION not in {problem.fault for problem in check(host)}


def test_a_class_is_checked_once_it_has_values():
    @containers.copy(MetricsContainer)
    class Shop(MetricsContainer):
        pass

    assert check(Shop) == check(MetricsContainer) == ()
    Shop.config.from_dict({"tick_intervall": 1})
    assert [problem.name for problem in check(Shop)] == ["config.tick_intervall"]


@pytest.mark.parametrize("load", ["variable", "pydantic", "json"])
def test_keys_are_checked_wherever_they_come_from(load, monkeypatch, tmp_path):
    container = Host()
    if load == "variable":
        container.config.from_dict({"metrics": {}})
        container.config.metrics.tick_intervall.from_env("NO_SUCH_VARIABLE")
    elif load == "pydantic":

        class Settings(BaseSettings):
            metrics: dict[str, object] = {"tick_intervall": "1s"}

        container.config.from_pydantic(Settings())
    else:
        (tmp_path / "config.json").write_text('{"metrics": {"tick_intervall": 1}}')
        container.config.from_json(str(tmp_path / "config.json"))
    assert misspelt(container) == ["metrics.config.tick_intervall"]


async def starts_async(container):
    async with running(container):
        pass


def test_an_async_start_finds_them_as_well():
    import asyncio

    with pytest.raises(CheckError, match="unknown option 'prefx' of MetricsContainer"):
        asyncio.run(starts_async(configured(Container, {"prefx": "app"})))
    asyncio.run(starts_async(configured(Container, {"prefix": "app"})))


def test_a_restart_reads_the_configuration_again():
    container = configured(Container, {"enabled": "off", "tick_interval": "1s"})
    starts(container)
    with container.config.override({"enabled": "on", "tick_interval": "2s"}), running(container):
        assert container.registry().enabled
        assert container.ticker().interval == 2.0
    with (
        container.config.override({"enabeld": "on"}),
        pytest.raises(CheckError, match="did you mean 'enabled'"),
    ):
        container.init_resources()
    starts(container)


def test_a_test_overrides_options_and_resources():
    container = configured(Container, {"tick_interval": "1m"})
    ticker = ManualTicker()
    with (
        container.ticker.override(providers.Object(ticker)),
        container.config.prefix.override("test"),
        running(container),
    ):
        container.requests().mark(5)
        ticker.tick()
        assert container.requests().snapshot().rate1 == 1.0
        assert container.registry().names() == ("test/rpc/requests",)
    starts(container)


def test_a_start_of_other_resources_does_not_read_the_configuration_of_the_metrics():
    class Special(Resource):
        pass

    class Shop(LifecycleContainer):
        config = providers.Configuration()
        metrics = providers.Container(MetricsContainer, config=config.metrics)
        other = Special(dict)

    container = configured(Shop, {})
    container.config.from_dict({"metrics": {"prefx": 1}})
    container.init_resources(Special)
    container.shutdown_resources()


def test_a_running_container_is_not_checked_again():
    container = configured(Container, {})
    with running(container):
        container.config.from_dict({"prefx": 1})
        container.init_resources()
    assert misspelt(configured(Container, {"prefx": 1})) == ["config.prefx"]
