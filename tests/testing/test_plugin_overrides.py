"""Runs of pytest find the tests and fixtures that leave providers overridden and modules wired."""

import pytest

from tests.testing.planted import Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")

APPLICATION = """
import sys
from dependency_injector import containers, providers
from dependency_injector.wiring import Provide, inject
from metrics.lifecycle import LifecycleContainer

class Gateways(containers.DeclarativeContainer):
    client = providers.Factory(dict)

class Stock(containers.DeclarativeContainer):
    config = providers.Configuration()
    service = providers.Factory(list)
    gateways = providers.Container(Gateways)

class Own(LifecycleContainer):
    service = providers.Factory(list)

@inject
def handle(service: list = Provide["service"]):
    return service

class Fakes(containers.DeclarativeContainer):
    service = providers.Object("fake of the run")

Own.override(Fakes)
stock, own = Stock(), Own()
stock.wire(modules=[__name__])

def fakes():
    class Fakes(containers.DeclarativeContainer):
        service = providers.Object("fake")
    return Fakes

def create():
    container = Stock(service="fake")
    container.wire(modules=["email.header"])
    return container
"""

FOLLOWING = """
import pytest
from application import *

stoppers += [each.reset_override for each in (stock, own, Stock, Own)]
stoppers.append(stock.unwire)
"""


def test_the_test_that_overrides_is_blamed_and_the_next_is_not(suite: Suite):
    guilty = {
        "stock": ("stock.service.override('fake')", "override 'Stock.service'"),
        "own": ("own.service.override('fake')", "override 'Own.service'"),
        "class": ("Stock.service.override('fake')", "override 'Stock.service'"),
        "container": ("Stock.override(fakes())", "override 'Stock.service'"),
        "embedded": ("stock.gateways.client.override(1)", "override 'Stock.gateways.client'"),
        "several": ("stock.override_providers(service=1)", "override 'Stock.service'"),
        "wiring": ("stock.wire(packages=('email',))", "wiring 'email'"),
        "created": ("kept.append(create())", "wiring 'email.header'"),
    }
    suite.add("application", APPLICATION)
    tests = "".join(
        f"""
def test_{name}(): {line}
def test_after_{name}(): stock.service(), own.service(), handle()
@pytest.mark.asyncio
async def test_async_{name}(): {line}
def test_after_async_{name}(): stock.service(), own.service(), handle()
"""
        for name, (line, _) in guilty.items()
    )
    run = suite.checked(
        f"{FOLLOWING}kept = []{tests}\ndef test_last(): pass\n",
        *("-p", "asyncio", "-o", "asyncio_default_fixture_loop_scope=function"),
    )
    # A module that is wired again by the same container was wired before.
    count = 2 * len(guilty) - 1
    run.assert_outcomes(passed=4 * len(guilty) + 1, errors=count)
    for name, (line, leak) in guilty.items():
        run.stdout.fnmatch_lines_random([f"test_*{name} left behind: {leak}", f"      *{line}"])
    assert "test_after" not in str(run.stdout)
    assert "leaks of the session" not in str(run.stdout)


def test_tests_that_reset_or_drop_are_clean(suite: Suite):
    suite.add("application", APPLICATION)
    run = suite.checked(
        f"""{FOLLOWING}
from metrics.testing import overridden

@pytest.fixture
def faked():
    with stock.service.override(1):
        yield

@pytest.fixture
def ours():
    with overridden(stock, service=2):
        yield

@pytest.fixture
def container():
    return create()

def test_block():
    with stock.service.override(1): pass
def test_fixture(faked): assert handle() == 1
def test_ours(ours): assert handle() == 2
def test_reset():
    stock.service.override(1)
    stock.service.reset_override()
def test_created(container):
    container.service.override(2)
    container.config.from_dict(dict(a=1))
def test_options(): stock.config.from_dict(dict(page=5))
def test_rewired():
    stock.unwire()
    stock.wire(modules=["application"])
@pytest.mark.leakcheck(ignore="override Stock.*")
def test_ignored(): stock.service.override(3)
@pytest.mark.leakcheck(expected="wiring email.charset")
def test_expected(): stock.wire(modules=["email.charset"])
def test_last(): pass
"""
    )
    run.assert_outcomes(passed=10)
    assert "left behind" not in str(run.stdout)


def test_a_wider_fixture_answers_for_its_overrides(suite: Suite):
    suite.add("application", APPLICATION)
    run = suite.checked(
        f"""{FOLLOWING}
@pytest.fixture(scope="module")
def clean():
    with stock.service.override(1):
        stock.wire(modules=["email.charset"])
        yield
        stock.unwire()

@pytest.fixture(scope="class")
def guilty(clean):
    stock.gateways.client.override(2)
    container = create()
    yield container

class Test:
    def test_first(self, guilty): pass
    def test_second(self, guilty):
        with stock.gateways.client.override(3): pass
        with stock.service.override(3): pass
    def test_last(self, guilty): guilty.service.override(4)
def test_next(clean): assert stock.service() == 1
""",
        ordered=True,
    )
    run.assert_outcomes(passed=4, errors=1)
    run.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of Test.test_last*",
            "class-scoped fixture 'guilty' left behind: override 'Stock.gateways.client'",
            "*stock.gateways.client.override(2)",
        ]
    )


def test_a_hook_that_overrides_is_reported_at_the_end_of_the_run(suite: Suite):
    suite.add("application", APPLICATION)
    suite.add(
        "conftest",
        """
import application
def pytest_collection_finish():
    application.stock.service.override(1)
""",
    )
    run = suite.checked("def test_nothing(): pass")
    run.assert_outcomes(passed=1)
    assert run.ret == 1
    run.stdout.fnmatch_lines(
        [
            "*leaks of the session*",
            "the session left behind: override 'Stock.service' (by Object(1)), made at",
            "*application.stock.service.override(1)",
            "Call the provider's reset_override(), or *, or allow it in leakcheck_ignore",
        ]
    )
    assert "wiring" not in str(run.stdout)
