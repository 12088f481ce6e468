"""Overrides that a block does not reset, and modules that it leaves wired, are its leaks."""

import asyncio
import gc
import importlib
import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from weakref import ref

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject

from metrics.lifecycle import LifecycleContainer
from metrics.testing import LeakError, assert_no_leaks, no_leaks, overridden
from metrics.testing.leaks import _overrides as overrides
from tests.testing.leaks.leaving import blamed

FAKE = providers.Object("fake")
IMPORTED = providers.Object("fake of an import")
"""Fake of one test: its overrides are excused in all later tests."""


class Storage(containers.DeclarativeContainer):
    client = providers.Factory(dict)
    name = providers.Dependency(instance_of=str, default="storage")


class Fakes(containers.DeclarativeContainer):
    client = providers.Object("fake client")


class Stock(containers.DeclarativeContainer):
    config = providers.Configuration()
    service = providers.Factory(list)
    other = providers.Singleton(dict)
    storage = providers.Container(Storage, name=providers.Object("of the parent"))
    borrowed = providers.DependenciesContainer()


class Own(LifecycleContainer):
    config = providers.Configuration()
    service = providers.Factory(list)
    other = providers.Singleton(dict)
    storage = providers.Container(Storage, name=providers.Object("of the parent"))
    borrowed = providers.DependenciesContainer()


class Derived(Stock):
    own = providers.Object(1)


def by_hand() -> containers.DynamicContainer:
    container = containers.DynamicContainer()
    container.config = providers.Configuration()
    container.service = providers.Factory(list)
    container.other = providers.Singleton(dict)
    container.storage = providers.Container(Storage)
    container.borrowed = providers.DependenciesContainer()
    return container


MAKERS = {
    "stock": Stock,
    "own": Own,
    "by hand": by_hand,
    "stock class": lambda: Stock,
    "own class": lambda: Own,
}


@pytest.fixture(params=MAKERS)
def container(request: pytest.FixtureRequest) -> Iterator[containers.DynamicContainer]:
    container = MAKERS[request.param]()
    yield container
    for provider in container.providers.values():
        provider.reset_override()


instances = pytest.mark.parametrize("container", ["stock", "own", "by hand"], indirect=True)


def name(container: object) -> str:
    return overrides.container_name(container)


def names(act: Callable[[], object]) -> list[str]:
    """Return the patterns of the leaks of a function, sorted."""
    _, leaks = blamed(act)
    return sorted(leak.pattern for leak in leaks)


def test_an_override_is_blamed_with_its_line(container):
    _, leaks = blamed(lambda: container.service.override("fake"))
    (leak,) = leaks
    assert (leak.kind, leak.name) == ("override", f"{name(container)}.service")
    assert leak.detail == "by Object('fake')"
    assert leak.stack[0].source == '_, leaks = blamed(lambda: container.service.override("fake"))'
    assert f"{leak.kind} {leak.name!r} ({leak.detail}), made at\n" in str(leak)


@pytest.mark.parametrize(
    "override",
    [
        lambda container: container.service.override(providers.Factory(set)),
        lambda container: container.service.override(FAKE),
        lambda container: container.service.override(None),
        lambda container: container.service.override(container.other),
    ],
)
def test_a_provider_may_be_overridden_by_anything(container, override):
    assert names(lambda: override(container)) == [f"override {name(container)}.service"]


def test_several_overrides_of_a_provider_are_each_blamed(container):
    def override() -> None:
        container.service.override(1)
        container.service.override(2)

    assert names(override) == [f"override {name(container)}.service"] * 2


def test_all_providers_of_an_overriding_container_are_blamed():
    class Other(containers.DeclarativeContainer):
        service = providers.Object(1)
        other = providers.Object(2)

    stock = Stock()
    assert names(lambda: stock.override(Other())) == [
        "override Stock.other",
        "override Stock.service",
    ]
    stock.reset_override()
    assert names(lambda: Stock.override(Other)) == [
        "override Stock.other",
        "override Stock.service",
    ]
    Stock.reset_override()
    assert names(lambda: containers.override(Derived)(Other)) == [
        "override Stock.other",
        "override Stock.service",
    ]
    Derived.reset_override()


@instances
def test_overrides_of_several_providers_are_blamed_and_are_a_block(container):
    both = {"service": 1, "other": 2}
    expected = [f"override {name(container)}.{each}" for each in sorted(both)]
    assert names(lambda: container.override_providers(**both)) == expected
    container.reset_override()

    def within() -> None:
        with container.override_providers(**both):
            pass

    assert names(within) == []


def test_providers_of_embedded_and_borrowed_containers_have_dotted_names():
    stock = Stock()
    assert names(lambda: stock.storage.client.override(1)) == ["override Stock.storage.client"]
    stock.storage.client.reset_override()
    assert names(lambda: stock.borrowed.client.override(1)) == ["override Stock.borrowed.client"]
    stock.borrowed.client.reset_override()
    assert names(lambda: stock.storage.override(Fakes())) == [
        "override Stock.storage",
        "override Stock.storage.client",
    ]


def test_a_reset_override_is_no_leak(container):
    def reset_all() -> None:
        container.service.override(1)
        container.service.reset_override()

    def reset_last() -> None:
        container.service.override(1)
        container.service.reset_last_overriding()

    def within() -> None:
        with container.service.override(1):
            container.service()

    for act in (reset_all, reset_last, within):
        assert names(act) == []


@instances
def test_a_block_of_ours_is_no_leak_when_it_has_ended(container):
    def within() -> None:
        with overridden(container, service=1, other={}):
            container.other()

    block = overridden(container, service=1)
    assert names(within) == []
    assert names(block.__enter__) == [f"override {name(container)}.service"]
    block.__exit__(None, None, None)


def test_earlier_overrides_stay_their_owners(container):
    container.service.override(FAKE)

    def again() -> None:
        with container.service.override(FAKE):
            container.service()
        with container.service.override(2):
            container.service()

    def put_back() -> None:
        container.service.reset_override()
        container.service.override(FAKE)

    assert names(again) == []
    assert names(put_back) == []
    assert names(lambda: container.service.override(3)) == [f"override {name(container)}.service"]


def test_a_repeated_override_keeps_the_line_of_the_first(container):
    def override() -> None:
        container.service.override(FAKE)  # the first
        with container.service.override(FAKE):
            container.service()

    _, (leak,) = blamed(override)
    assert leak.stack[0].source.endswith("# the first")


@instances
def test_an_override_goes_with_its_provider(container):
    other = providers.Object(1)
    other.override(FAKE)

    def replace() -> None:
        container.service.override(FAKE)
        container.service = other

    service = container.service
    assert names(replace) == []
    service.reset_override()
    container.service = service


def test_options_of_a_configuration_are_no_overrides(container):
    def configure() -> None:
        container.config.override({"a": {"b": 1}})
        container.config.from_dict({"page": 5})
        container.config.from_value({"page": 6})
        container.config.a.b.override(2)
        container.config.set("a.b", 3)
        container.config.a.from_value({"c": 1})

    assert names(configure) == []


def test_a_container_is_created_with_overrides():
    kept = []

    class Application(containers.DeclarativeContainer):
        service = providers.Factory(list)
        gateways = providers.Container(Storage, client=service)
        use_cases = providers.Container(Stock, borrowed=gateways)
        signup = providers.Factory(dict, client=use_cases.borrowed.client)

    def create() -> None:
        kept.append(Stock(service="fake", borrowed=Fakes()))
        kept.append(Own(service=FAKE, borrowed=Storage()))
        kept.append(Application(service=FAKE))
        kept.append(providers.deepcopy(kept[0]))
        for each in kept[:2]:
            assert each.borrowed.client.overridden
        assert kept[2].use_cases.borrowed.name() == "storage"

    def define() -> None:
        class Defined(containers.DeclarativeContainer):
            storage = providers.Container(Storage, client=providers.Object(1))

        kept.append(Defined)
        kept.append(Defined())

    assert names(create) == []
    assert names(define) == []
    assert kept[-1].storage.client() == 1


def test_only_living_containers_count():
    stock = []

    def create() -> None:
        container = Stock()
        container.service.override(1)
        container.storage.client.override(container.other)
        container.borrowed.override(Storage())
        container.wire(modules=[handlers()])
        stock.append(ref(container))

    assert names(create) == []
    assert stock[0]() is None


def test_records_go_with_their_container():
    # Containers of earlier tests would go as well.
    gc.collect()
    with no_leaks():
        before = len(overrides._overrides), len(overrides._wirings)
        for container in (Stock(), Own(), by_hand()):
            container.service.override(1)
            container.wire(modules=[handlers()])
        del container
        gc.collect()
        assert (len(overrides._overrides), len(overrides._wirings)) == before


def test_a_container_in_a_variable_is_alive():
    kept = []

    def create() -> None:
        kept.append(Stock())
        kept[0].service.override(1)

    assert names(create) == ["override Stock.service"]


def test_a_check_keeps_no_container_alive():
    with no_leaks():
        for container in (Stock(), Own()):
            with no_leaks(ignore=["override", "wiring"]):
                container.service.override(container.borrowed)
                container.wire(modules=[handlers()])
            container.unwire()
        gone = ref(container)
        del container
        gc.collect()
        assert gone() is None


def test_an_import_overrides_for_the_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    Path(tmp_path, "overriding_module.py").write_text(
        "from tests.testing.leaks.test_overrides import IMPORTED, Stock, handlers\n"
        "container = Stock()\n"
        "Stock.service.override(IMPORTED)\n"
        "container.service.override(IMPORTED)\n"
        "container.wire(modules=[handlers()])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)

    def again() -> None:
        container = sys.modules["overriding_module"].container
        container.reset_override()
        container.unwire()
        container.service.override(IMPORTED)
        container.wire(modules=[handlers()])

    try:
        assert names(lambda: importlib.import_module("overriding_module")) == []
        assert names(again) == []
    finally:
        sys.modules.pop("overriding_module", None)
        Stock.reset_override()


def test_patterns_ignore_overrides_and_wirings():
    for pattern in ("override", "override Stock.*", "Stock.service", "@ test_overrides.py"):
        with no_leaks(ignore=pattern):
            stock.service.override(1)
        stock.service.reset_override()
    for pattern in ("wiring", "wiring handlers", "*test_overrides:*"):
        with no_leaks(ignore=pattern if ":" not in pattern else f"@ {pattern}"):
            stock.wire(modules=[handlers()])
        stock.unwire()


def test_the_error_names_the_remedy():
    def act() -> None:
        stock.service.override(1)
        stock.wire(modules=[handlers()])

    _, leaks = blamed(act)
    stock.service.reset_override()
    stock.unwire()
    assert str(LeakError(leaks)).splitlines()[-1] == (
        "Call the provider's reset_override(), or override with metrics.testing.overridden; call "
        "the container's unwire(), or allow it: "
        "ignore=['override Stock.service', 'wiring handlers']"
    )


def test_an_async_block_is_checked():
    async def main() -> None:
        with pytest.raises(LeakError, match=r"override 'Stock\.service'"):
            async with no_leaks():
                stock.service.override(1)
        stock.service.reset_override()
        async with no_leaks():
            with stock.service.override(1):
                await asyncio.sleep(0)

    asyncio.run(main())


def test_a_program_may_end_with_overrides():
    with stock.service.override(1):
        # Servers and containers of other tests run beside it.
        assert_no_leaks(ignore=re.compile("^(?!override|wiring)"))


class Unpresentable:
    def __repr__(self) -> str:
        raise AssertionError


def test_the_overriding_provider_is_described_whatever_it_provides():
    for fake, described in (
        (Unpresentable(), "by Object(<Unpresentable instance at 0x"),
        ("x" * 1000, "by Object('xxxx"),
        (providers.List(1), "by List"),
        (providers.Dependency(), "by Dependency"),
    ):
        _, (leak,) = blamed(lambda fake=fake: stock.service.override(fake))
        stock.service.reset_override()
        assert leak.detail.startswith(described)
        assert len(leak.detail) < 100


def handlers() -> types.ModuleType:
    """Return a module with a function to wire."""
    module = types.ModuleType("handlers")

    def handle(service: list[int] = Provide["service"]) -> list[int]:
        return service

    handle.__module__ = "handlers"
    module.handle = inject(handle)
    return module


def test_a_module_that_stays_wired_is_blamed_with_its_line():
    module = handlers()
    _, (leak,) = blamed(lambda: stock.wire(modules=[module]))
    assert module.handle() == []
    stock.unwire()
    assert (leak.kind, leak.name, leak.detail) == ("wiring", "handlers", "to Stock")
    assert leak.stack[0].source == "_, (leak,) = blamed(lambda: stock.wire(modules=[module]))"
    assert names(lambda: stock.wire(modules=["tests.testing.leaks.leaving"])) == [
        "wiring tests.testing.leaks.leaving"
    ]
    stock.unwire()


def test_packages_and_classes_are_wired_as_well():
    class Views:
        @inject
        def get(self, service: list[int] = Provide["service"]) -> list[int]:
            return service

    assert names(lambda: stock.wire(packages=["email"], modules=[Views])) == [
        "wiring email",
        f"wiring {__name__}.test_packages_and_classes_are_wired_as_well.<locals>.Views",
    ]
    stock.unwire()


def test_a_container_is_wired_when_it_is_created():
    class Wired(containers.DeclarativeContainer):
        wiring_config = containers.WiringConfiguration(modules=["email.header"])
        service = providers.Factory(list)

    kept = []
    assert names(lambda: kept.append(Wired())) == ["wiring email.header"]
    kept.pop().unwire()
    assert names(lambda: bool(Wired())) == []


def test_an_unwired_module_is_no_leak():
    def wire() -> None:
        stock.wire(modules=[handlers()])
        stock.unwire()

    def again() -> None:
        stock.unwire()
        stock.wire(modules=[module])

    module = handlers()
    assert names(wire) == []
    stock.wire(modules=[module])
    assert names(again) == []
    assert names(lambda: stock.wire(modules=["email.header"])) == ["wiring email.header"]
    stock.unwire()


def test_packages_and_modules_are_counted_apart():
    stock.wire(modules=["email.charset", "email.header"])
    assert names(lambda: stock.wire(packages=["email.mime"])) == ["wiring email.mime"]
    stock.unwire()


def test_another_container_answers_for_its_own_wiring():
    module, other = handlers(), Own()
    stock.wire(modules=[module])
    assert names(lambda: other.wire(modules=[module])) == ["wiring handlers"]
    other.unwire()
    stock.unwire()


def test_relative_names_are_of_the_caller_of_wire():
    """dependency_injector looks at the innermost frame for the package."""
    container = containers.DynamicContainer()
    _, (leak,) = blamed(lambda: container.wire(modules=[".leaving"]))
    container.unwire()
    assert leak.name == "tests.testing.leaks.leaving"


stock = Stock()
