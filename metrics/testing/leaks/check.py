"""The leak check: what is there after a block and was not there before it."""

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from time import sleep
from types import TracebackType
from typing import Any, Self, TypeVar, final

from metrics.testing.leaks.allowances import GRACE, Ignored, patterns, seconds
from metrics.testing.leaks.excuses import without_excused
from metrics.testing.leaks.inventory import (
    Inventory,
    Key,
    is_single_threaded,
    running_containers,
    take,
    tasks_of,
)
from metrics.testing.leaks.naming import Leak, named
from metrics.testing.leaks.origins import here, recorded, running_loop
from metrics.testing.leaks.owners import owners

F = TypeVar("F", bound=Callable[..., Any])

FIRST_PAUSE = 0.0005
LONGEST_PAUSE = 0.02

IN_COROUTINE = (
    "Write `async with no_leaks()` in a coroutine: its event loop stands still in a plain `with`, "
    "and what runs in it cannot end"
)

PATIENCE = 0.01
"""Seconds after which garbage is collected, because it may hold what is left."""


class LeakError(AssertionError):
    """Something was left behind.

    Args:
        leaks: what it was.
        what: who has left it.
        advice: what to do, beside to stop it.
    """

    def __init__(self, leaks: Iterable[Leak], what: str = "the block", advice: str = "") -> None:
        self.leaks = tuple(leaks)
        self._what = what
        self._advice = advice
        named = ", ".join(f"{leak.kind} {leak.name!r}" for leak in self.leaks)
        listed = "".join(f"  {leak}\n" for leak in self.leaks)
        allowed = list(dict.fromkeys(leak.pattern for leak in self.leaks))
        message = (
            f"{what} left behind: {named}\n{listed}"
            f"Stop or close what was started, or allow it: ignore={allowed!r}"
        )
        super().__init__(f"{message}\n{advice}" if advice else message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.leaks, self._what, self._advice), vars(self)


def no_leaks(*, ignore: Ignored | Iterable[Ignored] = (), grace: float = GRACE) -> "NoLeaks":
    """Fail when a `with` block, or a test that is decorated, leaves what was not there before it.

    That are threads, daemons too, and those of executors; child processes; event loops that are not
    closed, and tasks that are not done; sockets and other descriptors; running containers and
    initialized resources. What threads, tasks and executors start that were there before is theirs,
    but for files and for what has no object in Python. Where the system does not list what is open
    (Windows), of descriptors only sockets are seen.

    In a coroutine write `async with`: what runs in the event loop can only end when the check does
    not hold it up. A block that raises is not checked.

    Args:
        ignore: patterns for what may be left: `fnmatch` patterns or compiled regular expressions,
            for a name (`"worker-*"`) or a kind and a name (`"socket 127.0.0.1:*"`).
        grace: seconds that things may take to end; it takes no longer than they do.

    Raises:
        LeakError: what was left, and where it was started.
        TypeError: `ignore` is no pattern.
        ValueError: `grace` is no number, or negative.
    """
    return NoLeaks(ignore, grace)


def assert_no_leaks(*, ignore: Ignored | Iterable[Ignored] = (), grace: float = GRACE) -> None:
    """Fail when anything runs beside the calling thread: at the end of a program, or of its tests.

    Files and sockets are not looked at, because some were open before: `no_leaks` compares.

    Args:
        ignore: see `no_leaks`.
        grace: see `no_leaks`.

    Raises:
        LeakError: what runs.
        TypeError: `ignore` is no pattern.
        ValueError: `grace` is no number, or negative.
    """
    check = Check(ignore, grace, {}, descriptors=False)
    check.verify("the program")


@final
class Check:
    """Compares what there is with what there was.

    Args:
        ignore: see `no_leaks`.
        grace: see `no_leaks`.
        before: what there was; what there is now by default.
        among: what may be left; everything by default.
        descriptors: whether files and sockets are compared.
    """

    def __init__(
        self,
        ignore: Ignored | Iterable[Ignored] = (),
        grace: float = GRACE,
        before: Inventory | None = None,
        *,
        among: Inventory | None = None,
        descriptors: bool = True,
    ) -> None:
        self._ignored = patterns(ignore)
        self._grace = seconds(grace)
        self._among = among
        self._descriptors = descriptors
        self._before = take(descriptors=descriptors) if before is None else before
        # What was left when last looked at.
        self._left: list[Leak] = []
        # What runs the block; kept, so that no other can have its identity.
        self._here = here()
        # Threads and tasks are not asked for equality: it may be defined in odd ways.
        self._own = {id(each) for each in self._here}
        self._known = identities(self._before) | {id(threading.main_thread())} - self._own

    def ignore(self, *ignored: Ignored) -> None:
        """Blame nobody for what one of these patterns is for."""
        self._ignored += patterns(ignored)

    def lend(self, things: Inventory) -> None:
        """Blame nobody for things that somebody else answers for."""
        self._before |= things
        self._known |= identities(things)

    def leaks(self) -> list[Leak]:
        """Return what is left, when what is ending has been given its time to end."""
        for pause in self._pauses():
            sleep(pause)
        return self._left

    async def leaks_async(self) -> list[Leak]:
        """Return what is left; the event loop goes on meanwhile."""
        for pause in self._pauses(in_loop=True):
            await run_for(pause)
        return self._left

    def tasks(self, loop: Any) -> list[Leak]:
        """Return the tasks that are left in an event loop that does not run."""
        for pause in self._pauses(loop):
            loop.run_until_complete(run_for(pause))
        return self._left

    def verify(self, what: str = "the block") -> None:
        """Raise LeakError if something is left."""
        if leaks := self.leaks():
            raise LeakError(leaks, what, IN_COROUTINE if running_loop() else "")

    def _pauses(self, loop: Any = None, *, in_loop: bool = False) -> Iterator[float]:
        """Yield how long to wait before looking again, until nothing is left or time is up.

        Pauses are added up, instead of asking a clock that a test may have stopped.
        """
        spent, pause, collected = 0.0, FIRST_PAUSE, False
        while left := self._look(loop):
            # Nothing ends by itself but threads, what threads close, processes and tasks.
            runs = in_loop or loop is not None or any(leak.kind == "process" for leak in left)
            over = spent >= self._grace or not (runs or not is_single_threaded())
            if not collected and (spent >= PATIENCE or over):
                gc.collect()
                collected = True
            elif over:
                return
            else:
                yield pause
                spent += pause
                pause = min(2 * pause, LONGEST_PAUSE)

    def _look(self, loop: Any) -> list[Leak]:
        """Return what is left now, or only the tasks that are left in an event loop."""
        self._left = self._left_in(loop)
        return self._left

    def _left_in(self, loop: Any) -> list[Leak]:
        if loop is None:
            now = take(descriptors=self._descriptors)
            left = {key: thing for key, thing in now.items() if key not in self._before}
        else:
            now = {Key("task", id(task)): task for task in tasks_of(loop)}
            left = {key: thing for key, thing in now.items() if key not in self._before}
            # The tasks of their resources end with the loop, and the resources stay entered.
            now.update((Key("container", which), use) for which, use in running_containers())
        if not left:
            return []
        belonging = owners(now)
        if (among := self._among) is not None:
            left = {
                key: thing
                for key, thing in left.items()
                if key in among or belonging.get(key) in among
            }
        left = without_excused(left, belonging, self._known, self._own)
        leaks = [named(key, thing) for key, thing in left.items()]
        return [leak for leak in leaks if not leak.is_ignored(self._ignored)]


@final
class NoLeaks:
    """See `no_leaks`."""

    def __init__(self, ignore: Ignored | Iterable[Ignored], grace: float) -> None:
        self._ignored = patterns(ignore)
        self._grace = seconds(grace)
        self._recording = ExitStack()
        self._check: Check | None = None

    def __enter__(self) -> Self:
        if self._check is not None:
            raise RuntimeError("this block has been entered already; call no_leaks() for each")
        with ExitStack() as entered:
            entered.enter_context(recorded())
            self._check = Check(self._ignored, self._grace)
            self._recording = entered.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        check, self._check = self._check, None
        with self._recording:
            if error is None and check is not None:
                check.verify()

    def __call__(self, decorated: F) -> F:
        """Check each call of a function, sync or async, or of a class' methods `test...`.

        Raises:
            TypeError: it is something else, such as what another decorator has made of a function.
        """
        from metrics.testing._decorated import decorate  # noqa: PLC0415 - few decorate

        # Each call has a block of its own, because there may be several at a time.
        return decorate(decorated, lambda: NoLeaks(self._ignored, self._grace))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        check, self._check = self._check, None
        with self._recording:
            if error is None and check is not None and (leaks := await check.leaks_async()):
                raise LeakError(leaks)


async def run_for(seconds: float) -> None:
    """Let an event loop run, which is not asked for its time: a test may have stopped that."""
    import asyncio  # noqa: PLC0415 - loaded by whoever made the loop

    spent = 0.0
    while spent < seconds:
        await asyncio.sleep(0)
        sleep(FIRST_PAUSE)  # noqa: ASYNC251 - time has to pass, and asyncio's may stand still
        spent += FIRST_PAUSE
    await asyncio.sleep(0)


def identities(things: Inventory) -> set[int]:
    """Return the identities of the threads and tasks among things."""
    return {id(thing) for key, thing in things.items() if key.kind in {"thread", "task"}}
