"""`overridden` as a decorator of tests, of fixtures and of whole classes."""

import asyncio
import inspect
from contextlib import asynccontextmanager
from functools import partial, wraps

import pytest
from dependency_injector import providers

from metrics.lifecycle import LifecycleContainer
from metrics.testing import overridden


class Container(LifecycleContainer):
    resource = providers.Object("real")
    user = providers.Factory(dict, resource=resource)
    other = providers.Object("other")


container = Container()
around = overridden(container, other="fake")


@pytest.fixture
@overridden(container, other="fixture's")
def decorated_fixture():
    yield container.other()
    assert container.other() == "fixture's"


@overridden(container, resource="fake")
def test_a_test_is_decorated(decorated_fixture):
    assert container.user() == {"resource": "fake"}
    assert container.other() == decorated_fixture == "fixture's"


class Inherited:
    def test_its_inherited_methods_are_decorated(self):
        assert container.resource() == "fake"


@overridden(container, resource="fake")
class TestDecorated(Inherited):
    tests = ("named like a test",)

    def test_its_methods_are_decorated(self, decorated_fixture):
        assert container.resource() == self.ask() == "fake"

    @staticmethod
    def test_its_static_methods_are_decorated(decorated_fixture):
        assert container.resource() == "fake"

    @classmethod
    def test_its_class_methods_are_decorated(cls, decorated_fixture):
        assert issubclass(cls, TestDecorated)
        assert container.resource() == "fake"

    def ask(self):
        return container.resource()


def test_only_the_tests_of_a_class_are_decorated_and_not_those_of_its_base():
    assert TestDecorated().ask() == "real"
    assert TestDecorated.tests == ("named like a test",)
    with pytest.raises(AssertionError):
        Inherited().test_its_inherited_methods_are_decorated()


def test_every_kind_of_function_is_decorated_and_stays_what_it_is():
    @around
    def plain(one, *, two):
        """Say so."""
        return container.other(), one, two

    @around
    async def coroutine():
        await asyncio.sleep(0)
        return container.other()

    @around
    def generator():
        got = yield container.other()
        return got

    @around
    async def asynchronous():
        yield container.other()
        yield container.other()

    async def main():
        return await asyncio.gather(coroutine()), [value async for value in asynchronous()]

    assert plain(1, two=2) == ("fake", 1, 2)
    assert (plain.__name__, plain.__doc__) == ("plain", "Say so.")
    assert list(inspect.signature(plain).parameters) == ["one", "two"]
    assert asyncio.run(main()) == (["fake"], ["fake", "fake"])
    assert inspect.iscoroutinefunction(coroutine)
    assert inspect.isasyncgenfunction(asynchronous)
    started = generator()
    assert next(started) == "fake"
    with pytest.raises(StopIteration) as stopped:
        started.send("got")
    assert stopped.value.value == "got"
    assert container.other() == "other"


def test_a_decorated_function_may_call_itself():
    @overridden(container, other="fake")
    def count(n):
        return len(container.providers["other"].overridden) + (count(n - 1) if n else 0)

    assert count(2) == 1 + 2 + 3
    assert container.other() == "other"


def test_an_async_generator_is_given_what_is_sent_and_raised_and_ends_within_its_block():
    seen = []

    @around
    async def sent_to():
        try:
            while True:
                seen.append((yield container.other()))
        finally:
            await asyncio.sleep(0)
            seen.append(container.other())

    @asynccontextmanager
    @around
    async def raised_in():
        try:
            yield
        except ZeroDivisionError as error:
            seen.append(type(error))
            raise

    async def main() -> None:
        values = sent_to()
        assert await anext(values) == "fake"
        assert await values.asend("sent") == "fake"
        await values.aclose()
        with pytest.raises(ZeroDivisionError):
            async with raised_in():
                raise ZeroDivisionError

    asyncio.run(main())
    assert seen == ["sent", "fake", ZeroDivisionError]
    assert container.other() == "other"


@pytest.mark.parametrize("end", ["close", "forget", "throw"])
def test_a_generator_that_is_not_run_to_its_end_is_put_back(end):
    @around
    def generator():
        yield container.other()

    values = generator()
    assert next(values) == "fake"
    if end == "close":
        values.close()
    elif end == "throw":
        with pytest.raises(KeyboardInterrupt):
            values.throw(KeyboardInterrupt())
    del values
    assert container.other() == "other"


def test_a_method_and_a_partial_function_are_functions():
    class Asking:
        def ask(self, *_):
            return container.other()

    async def ask(*given):
        return container.other(), *given

    assert around(Asking().ask)() == "fake"
    assert asyncio.run(around(partial(ask, 1))(2)) == ("fake", 1, 2)


def test_a_coroutine_that_would_run_after_the_block_is_an_error():
    async def ask():
        return container.other()

    @around
    @wraps(ask)
    def hidden():
        return ask()

    with pytest.raises(TypeError, match=r"would run after the end of the block: put this below"):
        hidden()
    assert container.other() == "other"


class Callable:
    def __call__(self) -> None:
        pytest.fail("called")


@pytest.mark.parametrize("other", [staticmethod(len), property(len), Callable(), 3])
def test_what_is_no_function_is_refused(other):
    with pytest.raises(TypeError, match=r"only functions and classes can be .*: put this below"):
        around(other)
