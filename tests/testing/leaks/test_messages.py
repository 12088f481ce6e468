"""The error and the block, as they are used: decorating, in coroutines, sent to other processes."""

import asyncio
import inspect
import pickle
from contextlib import ExitStack

import pytest

from metrics.testing import Leak, LeakError, no_leaks
from metrics.testing.leaks import _check as leaks
from tests.testing.leaks.leaving import listener, process, thread


def test_a_function_is_checked_in_each_call():
    with ExitStack() as left:

        @no_leaks(grace=0.0)
        def leave(number: int, *, guilty: bool) -> int:
            """Leave a thread."""
            if guilty:
                left.enter_context(thread())
            return number

        assert leave(3, guilty=False) == 3
        with pytest.raises(LeakError, match="waiting"):
            leave(4, guilty=True)
        assert leave(5, guilty=False) == 5
    assert leave.__doc__ == "Leave a thread."
    assert list(inspect.signature(leave).parameters) == ["number", "guilty"]


def test_a_coroutine_function_is_checked_and_may_wait():
    tasks: list[asyncio.Task[None]] = []

    @no_leaks(grace=60.0)
    async def ends() -> int:
        tasks.append(asyncio.create_task(asyncio.sleep(0)))
        return 3

    @no_leaks(grace=0.0)
    async def goes_on() -> None:
        tasks.append(asyncio.create_task(asyncio.sleep(60), name="started"))

    assert asyncio.run(ends()) == 3
    with pytest.raises(LeakError, match="task 'started'"):
        asyncio.run(goes_on())


def test_a_class_of_tests_is_checked():
    with ExitStack() as left:

        @no_leaks(ignore="other", grace=0.0)
        class Tests:
            def test_guilty(self) -> None:
                left.enter_context(thread())

            def leave(self) -> None:
                left.enter_context(thread())

        Tests().leave()
        with pytest.raises(LeakError, match="waiting"):
            Tests().test_guilty()


def test_what_is_neither_a_function_nor_a_class_is_not_decorated():
    with pytest.raises(TypeError, match="only functions and classes can be decorated"):
        no_leaks()(3)


def test_a_plain_block_in_a_coroutine_advises_an_async_one():
    async def main() -> None:
        with no_leaks():
            kept.append(asyncio.create_task(asyncio.sleep(0)))

    kept: list[asyncio.Task[None]] = []
    with pytest.raises(LeakError, match=r"Write `async with no_leaks\(\)`"):
        asyncio.run(main())


def test_no_other_block_advises_it():
    with ExitStack() as left, pytest.raises(LeakError) as caught, no_leaks(grace=0.0):
        left.enter_context(thread())
    assert "async with" not in str(caught.value)


def test_an_error_is_the_same_in_another_process():
    error = None
    with listener():
        try:
            leaks.Check(grace=0.0, before={}).verify("it")
        except LeakError as caught:
            error = caught
    error.add_note("noted")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is LeakError
    assert str(copy) == str(error)
    assert copy.leaks == error.leaks
    assert any(leak.stack for leak in copy.leaks)
    assert copy.__notes__ == ["noted"]


def test_an_error_ends_with_what_else_may_be_done():
    error = pickle.loads(pickle.dumps(LeakError([Leak("file", "a")], "x", "Or not.")))
    assert str(error).startswith("x left behind: file 'a'")
    assert str(error).endswith("ignore=['file a']\nOr not.")


@pytest.mark.parametrize("alone", [True, False])
def test_what_nobody_can_close_is_not_waited_for(alone: bool, monkeypatch: pytest.MonkeyPatch):
    looks: list[float] = []
    monkeypatch.setattr(leaks, "sleep", looks.append)
    monkeypatch.setattr(leaks, "is_single_threaded", lambda: alone)
    with ExitStack() as left:
        with pytest.raises(LeakError), no_leaks(grace=0.1):
            left.enter_context(listener())
        assert bool(looks) is not alone
        looks.clear()
        with pytest.raises(LeakError), no_leaks(grace=0.1):
            left.enter_context(process())
    assert sum(looks) >= 0.1
