import asyncio
import inspect
from contextlib import aclosing, closing

import pytest

from metrics import Counter, Gauge, Histogram, ResettingTimer, Timer
from metrics.testing import ManualClock


class Bench:
    """A timer, and work that takes time on its clock."""

    def __init__(self, make):
        self.clock = ManualClock()
        self.timer = make(clock=self.clock)

    def work(self, seconds=1):
        self.clock.advance(seconds)

    def durations(self):
        snapshot = self.timer.snapshot()
        return getattr(snapshot, "durations", snapshot).values


def sampling_timer(clock):
    return Timer(Histogram(), clock=clock)


@pytest.fixture(params=[sampling_timer, ResettingTimer])
def bench(request):
    return Bench(request.param)


def functions():
    """Return one function of each kind that can be timed."""

    def plain(a: int, *, b: str = "x") -> str:
        """Say plain."""

    async def coroutine(a: int, *, b: str = "x") -> str:
        """Say coroutine."""

    def generator(a: int, *, b: str = "x"):
        """Say generator."""
        yield a

    async def async_generator(a: int, *, b: str = "x"):
        """Say async generator."""
        yield a

    return [plain, coroutine, generator, async_generator]


DECORATORS = {
    "timed": lambda: Timer().timed,
    "track_inprogress()": lambda: Gauge().track_inprogress(),
    "count_exceptions()": lambda: Counter().count_exceptions(),
}
decorators = pytest.mark.parametrize("name", DECORATORS)


@decorators
@pytest.mark.parametrize("function", functions(), ids=lambda function: function.__name__)
def test_a_decorated_function_looks_and_is_of_the_kind_it_was(function, name):
    decorated = DECORATORS[name]()(function)
    assert decorated is not function
    assert inspect.signature(decorated) == inspect.signature(function)
    for attribute in ("__name__", "__qualname__", "__doc__", "__module__", "__annotations__"):
        assert getattr(decorated, attribute) == getattr(function, attribute)
    for question in (
        inspect.iscoroutinefunction,
        inspect.isgeneratorfunction,
        inspect.isasyncgenfunction,
        inspect.isfunction,
    ):
        assert question(decorated) is question(function)
    assert decorated.__wrapped__ is function


def test_a_function_is_timed_and_its_arguments_and_result_pass(bench):
    @bench.timer.timed
    def function(a, *rest, key=None):
        bench.work(2)
        return a, rest, key

    assert function(1, 2, 3, key=4) == (1, (2, 3), 4)
    assert bench.durations() == (2.0,)


def test_a_function_that_raises_is_timed_too(bench):
    @bench.timer.timed
    def function():
        bench.work(3)
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        function()
    assert bench.durations() == (3.0,)


def test_a_coroutine_is_timed_with_its_awaits(bench):
    @bench.timer.timed
    async def function(a):
        bench.work(1)
        await asyncio.sleep(0)
        bench.work(2)
        return a

    async def main():
        coroutine = function("result")
        bench.work(50)
        return await coroutine

    assert asyncio.run(main()) == "result"
    assert bench.durations() == (3.0,)


def test_a_coroutine_that_fails_or_is_cancelled_is_timed_too(bench):
    started = asyncio.Event()

    @bench.timer.timed
    async def function(*, fail):
        bench.work(1)
        if fail:
            raise LookupError
        started.set()
        await asyncio.Event().wait()

    async def main():
        with pytest.raises(LookupError):
            await function(fail=True)
        task = asyncio.create_task(function(fail=False))
        await started.wait()
        bench.work(4)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert bench.durations() == (1.0, 5.0)


def echo(bench, log):
    """Return a timed generator that yields what it is sent, or the name of what is thrown."""

    @bench.timer.timed
    def generator():
        answer = "first"
        try:
            while answer != "end":
                try:
                    answer = yield answer
                    bench.work(1)
                except ValueError as error:
                    answer = f"caught {error}"
        finally:
            log.append("closed")
        return "result"

    return generator()


def test_a_generator_is_timed_from_its_first_value_to_its_end(bench):
    @bench.timer.timed
    def generator():
        bench.work(1)
        yield "a"
        bench.work(2)

    values = generator()
    bench.work(50)
    assert next(values) == "a"
    assert bench.durations() == ()
    bench.work(4)
    assert [*values] == []
    assert bench.durations() == (7.0,)


def test_send_throw_and_the_return_value_reach_and_leave_a_generator(bench):
    log = []
    generator = echo(bench, log)
    assert next(generator) == "first"
    assert generator.send("second") == "second"
    assert generator.throw(ValueError("thrown")) == "caught thrown"
    with pytest.raises(StopIteration) as stopped:
        generator.send("end")
    assert stopped.value.value == "result"
    assert log == ["closed"]
    assert bench.durations() == (2.0,)


def test_a_generator_that_is_closed_is_closed_inside_and_timed(bench):
    log = []
    with closing(echo(bench, log)) as generator:
        next(generator)
        bench.work(3)
    assert log == ["closed"]
    assert bench.durations() == (3.0,)


def test_a_generator_that_raises_is_timed_too(bench):
    generator = echo(bench, [])
    next(generator)
    generator.send("x")
    with pytest.raises(LookupError):
        generator.throw(LookupError())
    assert bench.durations() == (1.0,)


def test_a_generator_never_begun_is_not_timed(bench):
    echo(bench, []).close()
    assert bench.timer.count == 0


def async_echo(bench, log):
    """Return the same as `echo`, but async."""

    @bench.timer.timed
    async def generator():
        answer = "first"
        try:
            while answer != "end":
                try:
                    answer = yield answer
                    bench.work(1)
                    await asyncio.sleep(0)
                except ValueError as error:
                    answer = f"caught {error}"
        finally:
            await asyncio.sleep(0)
            log.append("closed")

    return generator()


def test_an_async_generator_is_timed_from_its_first_value_to_its_end(bench):
    @bench.timer.timed
    async def generator(values):
        for value in values:
            bench.work(1)
            await asyncio.sleep(0)
            yield value

    async def main():
        values = generator("abc")
        bench.work(50)
        return [value async for value in values]

    assert asyncio.run(main()) == ["a", "b", "c"]
    assert bench.durations() == (3.0,)


def test_asend_and_athrow_reach_an_async_generator(bench):
    log = []

    async def main():
        generator = async_echo(bench, log)
        assert await anext(generator) == "first"
        assert await generator.asend("second") == "second"
        assert await generator.athrow(ValueError("thrown")) == "caught thrown"
        with pytest.raises(StopAsyncIteration):
            await generator.asend("end")

    asyncio.run(main())
    assert log == ["closed"]
    assert bench.durations() == (2.0,)


def test_an_async_generator_that_is_closed_is_closed_inside_and_timed(bench):
    log = []

    async def main():
        async with aclosing(async_echo(bench, log)) as generator:
            await anext(generator)
            bench.work(3)
        assert log == ["closed"]

    asyncio.run(main())
    assert bench.durations() == (3.0,)


def test_an_async_generator_that_raises_is_timed_too(bench):
    log = []

    async def main():
        generator = async_echo(bench, log)
        await anext(generator)
        await generator.asend("x")
        with pytest.raises(LookupError, match="gone"):
            await generator.athrow(LookupError("gone"))

    asyncio.run(main())
    assert log == ["closed"]
    assert bench.durations() == (1.0,)


def test_methods_of_every_kind_are_timed(bench):
    class Service:
        @bench.timer.timed
        def method(self, a):
            bench.work(1)
            return self, a

        @staticmethod
        @bench.timer.timed
        def static(a):
            bench.work(2)
            return a

        @classmethod
        @bench.timer.timed
        def of_class(cls, a):
            bench.work(3)
            return cls, a

    service = Service()
    assert service.method("a") == (service, "a")
    assert service.static("b") == Service.static("b") == "b"
    assert service.of_class("c") == (Service, "c")
    assert bench.durations() == (1.0, 2.0, 2.0, 3.0)


@decorators
@pytest.mark.parametrize("kind", [classmethod, staticmethod])
def test_a_classmethod_or_staticmethod_object_is_refused_with_the_way_out(kind, name):
    with pytest.raises(TypeError, match=rf"{kind.__name__}.*below @classmethod or @staticmethod"):
        DECORATORS[name]()(kind(print))


@decorators
@pytest.mark.parametrize("wrong", [None, 5, "function", property(lambda self: 1)])
def test_an_object_that_cannot_be_called_is_refused_and_shown(wrong, name):
    with pytest.raises(TypeError) as caught:
        DECORATORS[name]()(wrong)
    assert str(caught.value).startswith(f"{name} takes a function, got {wrong!r}; ")


@decorators
def test_decorators_apply_to_each_other_in_any_order(name):
    outer = DECORATORS[name]()
    for make in DECORATORS.values():

        @outer
        @make()
        async def coroutine(a):
            await asyncio.sleep(0)
            return a

        @outer
        @make()
        def generator(a):
            return (yield a)

        assert asyncio.run(coroutine(1)) == 1
        assert [*generator(2)] == [2]


@decorators
def test_an_object_with_an_async_call_method_is_awaited_within_the_block(name):
    class Handler:
        async def __call__(self, a):
            await asyncio.sleep(0)
            return a

    decorated = DECORATORS[name]()(Handler())
    assert inspect.iscoroutinefunction(decorated)
    assert asyncio.run(decorated(3)) == 3
