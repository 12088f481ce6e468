import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, closing, suppress
from copy import copy, deepcopy

import pytest
import time_machine

from metrics import Counter, FloatCounter, Gauge, IntGauge, Meter, UpDownCounter
from metrics.instruments._blocks import NO_BLOCK
from metrics.testing import ManualClock


def value_of(instrument):
    snapshot = instrument.snapshot()
    return snapshot.value if hasattr(snapshot, "value") else snapshot.count


@pytest.fixture(params=[UpDownCounter, Gauge, IntGauge])
def gauge(request):
    return request.param()


@pytest.fixture(params=[Counter, FloatCounter, Meter])
def counter(request):
    return request.param()


def test_a_block_is_in_progress_until_it_ends(gauge):
    gauge.inc(5)
    with gauge.track_inprogress() as entered:
        assert entered is None
        assert value_of(gauge) == 6
        with gauge.track_inprogress():
            assert value_of(gauge) == 7
    assert value_of(gauge) == 5


def test_a_block_that_raises_is_in_progress_no_more(gauge):
    with pytest.raises(KeyboardInterrupt), gauge.track_inprogress():
        raise KeyboardInterrupt
    assert value_of(gauge) == 0


def test_one_block_object_may_be_entered_again_while_it_is_entered(gauge):
    block = gauge.track_inprogress()
    with block, block:
        assert value_of(gauge) == 2
        with block:
            assert value_of(gauge) == 3
    assert value_of(gauge) == 0


def test_recursive_calls_are_in_progress_each(gauge):
    depths = []

    @gauge.track_inprogress()
    def function(depth):
        depths.append(value_of(gauge))
        return depth if depth == 3 else function(depth + 1)

    assert function(1) == 3
    assert depths == [1, 2, 3]
    assert value_of(gauge) == 0


def test_concurrent_tasks_are_in_progress_each_until_they_end_or_are_cancelled(gauge):
    @gauge.track_inprogress()
    async def function(release):
        await release.wait()
        raise LookupError

    async def main():
        release = asyncio.Event()
        never_begun = function(release)
        tasks = [asyncio.create_task(function(release)) for _ in range(3)]
        await asyncio.sleep(0)
        assert value_of(gauge) == 3
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        assert value_of(gauge) == 2
        release.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [
            asyncio.CancelledError,
            LookupError,
            LookupError,
        ]
        never_begun.close()

    asyncio.run(main())
    assert value_of(gauge) == 0


@pytest.mark.usefixtures("eager_switching")
def test_threads_share_a_block_and_a_function(gauge):
    block = gauge.track_inprogress()
    barrier = threading.Barrier(4)

    @block
    def function():
        with block:
            pass

    def work(_number):
        with block:
            barrier.wait(30)
            assert value_of(gauge) >= 4
            barrier.wait(30)
        for _ in range(2_000):
            function()

    with ThreadPoolExecutor(4) as pool:
        assert [*pool.map(work, range(4))] == [None] * 4
    assert value_of(gauge) == 0


def test_a_generator_is_in_progress_from_its_first_value_until_it_ends_or_is_closed(gauge):
    @gauge.track_inprogress()
    def generator():
        yield 1
        yield 2

    ended, abandoned, unused = generator(), generator(), generator()
    assert value_of(gauge) == 0
    next(ended)
    next(abandoned)
    assert value_of(gauge) == 2
    assert [*ended] == [2]
    assert value_of(gauge) == 1
    abandoned.close()
    unused.close()
    assert value_of(gauge) == 0


def test_an_async_generator_is_in_progress_from_its_first_value_until_it_ends_or_is_closed(gauge):
    @gauge.track_inprogress()
    async def generator():
        yield 1
        yield 2

    async def main():
        ended = generator()
        assert value_of(gauge) == 0
        async with aclosing(generator()) as closed:
            await anext(ended)
            await anext(closed)
            assert value_of(gauge) == 2
            assert [each async for each in ended] == [2]
            assert value_of(gauge) == 1

    asyncio.run(main())
    assert value_of(gauge) == 0


@pytest.mark.parametrize("kind", [Gauge, IntGauge])
def test_a_gauge_that_reads_a_function_tracks_nothing(kind):
    gauge = kind(int)
    with pytest.raises(
        TypeError, match=rf"^{kind.__name__}\.track_inprogress\(\): this gauge reads"
    ):
        gauge.track_inprogress()


def test_a_gauge_is_set_to_the_time_of_a_clock():
    gauge = Gauge()
    gauge.set_to_current_time(ManualClock(epoch=1_700_000_000.5))
    assert gauge.value == 1_700_000_000.5
    with time_machine.travel(86_400, tick=False):
        gauge.set_to_current_time()
    assert gauge.value == 86_400.0


def test_a_gauge_that_reads_a_function_is_not_set_to_the_time():
    with pytest.raises(TypeError, match=r"^Gauge\.set_to_current_time\(\): this gauge reads"):
        Gauge(float).set_to_current_time()


def test_an_exception_that_leaves_a_block_is_counted_and_goes_on(counter):
    error = LookupError("gone")
    with pytest.raises(LookupError) as caught, counter.count_exceptions():
        raise error
    assert caught.value is error
    assert value_of(counter) == 1


def test_a_block_that_ends_well_or_handles_its_exception_counts_nothing(counter):
    with counter.count_exceptions() as entered:
        assert entered is None
    with counter.count_exceptions(), suppress(LookupError):
        raise LookupError
    assert value_of(counter) == 0


@pytest.mark.parametrize(
    ("asked", "counted"),
    [
        (LookupError, [LookupError, KeyError, IndexError]),
        (KeyError, [KeyError]),
        ((KeyError, OSError), [KeyError, OSError]),
        ((), []),
        (Exception, [LookupError, KeyError, IndexError, OSError]),
        (asyncio.CancelledError, [asyncio.CancelledError]),
        ((OSError, GeneratorExit), [OSError, GeneratorExit]),
        (
            BaseException,
            [
                LookupError,
                KeyError,
                IndexError,
                OSError,
                asyncio.CancelledError,
                GeneratorExit,
                KeyboardInterrupt,
            ],
        ),
    ],
)
def test_only_exceptions_of_the_classes_that_are_passed_are_counted(asked, counted, counter):
    block = counter.count_exceptions(asked)
    counts = []
    for kind in (
        LookupError,
        KeyError,
        IndexError,
        OSError,
        asyncio.CancelledError,
        GeneratorExit,
        KeyboardInterrupt,
    ):
        before = value_of(counter)
        with pytest.raises(kind), block:
            raise kind
        if value_of(counter) != before:
            counts.append(kind)
    assert counts == counted
    assert value_of(counter) == len(counted)


def test_exceptions_are_counted_by_each_block_that_they_leave(counter):
    block = counter.count_exceptions()
    with pytest.raises(LookupError), block, block:
        raise LookupError
    assert value_of(counter) == 2


def test_exceptions_of_functions_are_counted(counter):
    @counter.count_exceptions(exception=LookupError)
    def function(error):
        if error is not None:
            raise error
        return "result"

    assert function(None) == "result"
    with pytest.raises(KeyError):
        function(KeyError())
    with pytest.raises(OSError):
        function(OSError())
    assert value_of(counter) == 1


def test_exceptions_of_coroutines_are_counted_and_cancellations_only_on_request(counter):
    @counter.count_exceptions()
    async def function(error):
        await asyncio.sleep(0)
        raise error

    async def main(function):
        with pytest.raises(LookupError):
            await function(LookupError())
        with pytest.raises(asyncio.CancelledError):
            await function(asyncio.CancelledError())

    asyncio.run(main(function))
    assert value_of(counter) == 1
    asyncio.run(main(counter.count_exceptions((LookupError, asyncio.CancelledError))(function)))
    # One by the inner function, two by the outer.
    assert value_of(counter) == 4


def test_exceptions_of_generators_are_counted_and_their_end_and_close_are_not(counter):
    @counter.count_exceptions()
    def generator():
        try:
            yield 1
        except ValueError:
            yield 2

    assert [*generator()] == [1]
    with closing(generator()) as closed:
        next(closed)
        assert closed.throw(ValueError()) == 2
    assert value_of(counter) == 0
    failing = generator()
    next(failing)
    with pytest.raises(LookupError):
        failing.throw(LookupError())
    assert value_of(counter) == 1


def test_exceptions_of_async_generators_are_counted_and_their_end_and_close_are_not(counter):
    @counter.count_exceptions()
    async def generator():
        try:
            yield 1
        except ValueError:
            yield 2

    async def main():
        assert [each async for each in generator()] == [1]
        async with aclosing(generator()) as closed:
            await anext(closed)
            assert await closed.athrow(ValueError()) == 2
        assert value_of(counter) == 0
        failing = generator()
        await anext(failing)
        with pytest.raises(LookupError):
            await failing.athrow(LookupError())

    asyncio.run(main())
    assert value_of(counter) == 1


def test_the_close_of_a_generator_is_counted_on_request(counter):
    @counter.count_exceptions(GeneratorExit)
    def generator():
        yield 1

    @counter.count_exceptions(GeneratorExit)
    async def async_generator():
        yield 1

    async def main():
        async with aclosing(async_generator()) as closed:
            await anext(closed)

    with closing(generator()) as closed:
        next(closed)
    assert value_of(counter) == 1
    asyncio.run(main())
    assert value_of(counter) == 2


@pytest.mark.parametrize(
    "wrong", [None, 5, "ValueError", ValueError("gone"), int, (ValueError, int), [ValueError], len]
)
def test_an_argument_that_is_no_class_of_exceptions_is_refused_and_shown(wrong, counter):
    with pytest.raises(TypeError) as caught:
        counter.count_exceptions(wrong)
    shown = int if isinstance(wrong, tuple) else wrong
    message = str(caught.value)
    assert message.startswith(f"{type(counter).__name__}.count_exceptions() takes a class of")
    assert f"got {shown!r}" in message


def test_a_decorator_without_parentheses_is_refused_with_the_way_out(counter):
    with pytest.raises(TypeError, match="parentheses"):

        @counter.count_exceptions
        def function(): ...


def test_a_copy_of_a_block_is_the_block_itself(counter, gauge):
    for block in (counter.count_exceptions(), gauge.track_inprogress(), NO_BLOCK):
        assert copy(block) is deepcopy(block) is block


def test_the_block_of_no_ops_takes_no_time_and_returns_functions_unchanged():
    def function(): ...

    with NO_BLOCK as entered, NO_BLOCK:
        assert entered is NO_BLOCK
    assert NO_BLOCK.seconds == 0.0
    assert NO_BLOCK(function) is function
    with pytest.raises(LookupError), NO_BLOCK:
        raise LookupError
    with pytest.raises(AttributeError):
        NO_BLOCK.seconds = 1.0
