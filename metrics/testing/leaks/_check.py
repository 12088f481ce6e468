"""Leak check: the objects that a block starts or opens, and leaves behind."""

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from time import sleep
from typing import Any, Self, TypeVar, final

from metrics.testing.leaks._allowances import GRACE, Ignored, patterns, seconds
from metrics.testing.leaks._blocking import BlockedLoop, BlockingWatch
from metrics.testing.leaks._excuses import started_by, without_excused
from metrics.testing.leaks._inventory import (
    HIDDEN,
    Inventory,
    Key,
    is_single_threaded,
    native_threads,
    running_containers,
    take,
    tasks_of,
)
from metrics.testing.leaks._naming import Leak, leak_of, with_context
from metrics.testing.leaks._origins import Stack, here, recording, running_loop
from metrics.testing.leaks._owners import owners
from metrics.testing.leaks._process_wide import is_idle

F = TypeVar("F", bound=Callable[..., Any])

FIRST_PAUSE = 0.0005
LONGEST_PAUSE = 0.02

IN_COROUTINE = (
    "Write `async with no_leaks()` in a coroutine: its event loop stands still in a plain `with`, "
    "and its tasks cannot end"
)

YOUNG = 1
"""Oldest generation of the garbage collector that is collected at once, in some 0.1 ms."""

PATIENCE = 0.01
"""Seconds that threads and tasks have to end before young garbage is collected, which may hold open
files."""

THREADS_PATIENCE = 0.05
"""Seconds after which all garbage is collected although threads are left, which mostly end late. A
collection looks at every object of the process, and takes longer than most tests."""

OLDEST = 2
"""The garbage collector's generation of all objects."""

START_PAUSES = 50
"""Pauses in which a thread may begin to run that the system has and Python does not list yet."""


class LeakError(AssertionError):
    """Error that names the leaks of a block, a test or a fixture.

    Args:
        leaks: the leaks.
        subject: the block, test or fixture that has left them.
        advice: another remedy than to stop or close them.
    """

    def __init__(self, leaks: Iterable[Leak], subject: str = "the block", advice: str = "") -> None:
        self.leaks = tuple(leaks)
        self._subject = subject
        self._advice = advice
        named = ", ".join(f"{leak.kind} {leak.name!r}" for leak in self.leaks)
        listed = "".join(f"  {leak}\n" for leak in self.leaks)
        allowed = list(dict.fromkeys(leak.allowance for leak in self.leaks))
        remedies = "; ".join(dict.fromkeys(leak.remedy for leak in self.leaks))
        message = (
            f"{subject} left behind: {named}\n{listed}"
            f"{remedies[:1].upper()}{remedies[1:]}, or allow it: ignore={allowed!r}"
        )
        super().__init__(f"{message}\n{advice}" if advice else message)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.leaks, self._subject, self._advice), vars(self)


def no_leaks(
    *,
    ignore: Ignored | Iterable[Ignored] = (),
    grace: float = GRACE,
    blocking: float | None = None,
    origins: bool = True,
) -> "NoLeaks":
    """Fail when a `with` block or a decorated test leaves objects that were not there before.

    Leaks are threads, also daemons and threads of executors; child processes; event loops that are
    not closed, and tasks that are not done; sockets and other descriptors; running containers and
    initialized resources; overrides of a living container's providers that were not reset, and
    modules that are still wired to it, unless an import made them. Earlier threads, tasks and
    executors answer for all objects that they start, but for files and for threads without an
    object in Python. Where the system does not list open files (Windows), sockets are the only
    descriptors that are compared.

    In a coroutine write `async with`: its event loop goes on during the check, so that tasks can
    end. A block that raises is not checked.

    Args:
        ignore: patterns for objects that may be left: `fnmatch` patterns or compiled regular
            expressions, for a name (`"worker-*"`), a kind (`"pipe"`), or both
            (`"socket 127.0.0.1:*"`); or for the stack that started it (`"@ package/module.py"`,
            `"thread @ module:function"`).
        grace: seconds to wait for objects that are ending; the wait ends with them.
        blocking: seconds that one callback may hold an asyncio event loop of this thread; more is
            reported with the stack that held it. Unlimited by default, and with 0. Loops of uvloop
            are not watched.
        origins: whether to record the line that starts each object, which takes some microseconds.
            Without, as in a server that runs for months, earlier threads and tasks answer for
            nothing, and event loops that are not closed are reported as their descriptors.

    Raises:
        LeakError: the leaks, and the lines that started them.
        TypeError: `ignore` is no pattern.
        ValueError: `grace` or `blocking` is no number, or negative.
    """
    return NoLeaks(ignore, grace, blocking, origins=origins)


def assert_no_leaks(*, ignore: Ignored | Iterable[Ignored] = (), grace: float = GRACE) -> None:
    """Fail when a thread, task, process or container runs beside the caller, at a program's end.

    Files, sockets, overrides and wirings are not checked, because a program has some all the
    time: `no_leaks` compares.

    Args:
        ignore: see `no_leaks`.
        grace: see `no_leaks`.

    Raises:
        LeakError: the running objects.
        TypeError: `ignore` is no pattern.
        ValueError: `grace` is no number, or negative.
    """
    check = Check(ignore, grace, {}, descriptors=False)
    check.verify("the program")


@final
class Check:
    """Comparison of the present inventory with an earlier one.

    Args:
        ignore: see `no_leaks`.
        grace: see `no_leaks`.
        before: the earlier inventory; the present one by default.
        among: the objects that can be leaks; all by default.
        descriptors: whether files and sockets are compared.
        excusing: whether earlier threads and tasks answer for the objects that they start.
    """

    def __init__(
        self,
        ignore: Ignored | Iterable[Ignored] = (),
        grace: float = GRACE,
        before: Inventory | None = None,
        *,
        among: Inventory | None = None,
        descriptors: bool = True,
        excusing: bool = True,
    ) -> None:
        self._ignored = patterns(ignore)
        self._grace = seconds(grace)
        self._among = among
        self._descriptors = descriptors
        self._before = take(descriptors=descriptors) if before is None else before
        self._left: Inventory = {}
        self._found: Inventory = {}
        self._skipped: Inventory = {}
        self.used: set[Ignored] = set()
        """Patterns that have matched."""
        self._threads: list[threading.Thread] = []
        self._unlisted = self._unlisted_before = unlisted_threads(self._before)
        # An idle thread may be given a job that does not return, and the block answers for it.
        self._before = {
            key: obj
            for key, obj in self._before.items()
            if key.kind != "thread" or not is_idle(obj)
        }
        self._opened = True
        self._excusing = excusing
        # The task and the thread of the block; kept, so that no other has their identity.
        self._here = here()
        # Threads and tasks are compared by identity: equality may be defined in odd ways.
        self._own = {id(each) for each in self._here}

    def ignore(self, *ignored: Ignored) -> None:
        """Allow objects that one of these patterns matches."""
        self._ignored += patterns(ignored)

    def exclude(self, objects: Inventory) -> None:
        """Exclude objects that another test or fixture answers for."""
        self._before |= objects

    def skip_descriptors(self) -> None:
        """Compare no files and sockets any more, because a traceback may keep them open."""
        self._opened = False

    @property
    def found(self) -> Inventory:
        """All objects that the latest comparison has found, also the allowed ones."""
        return self._found | self._skipped

    def leaks(self, release: Callable[[], object] | None = None) -> list[Leak]:
        """Return the leaks, after a wait for objects that are about to end.

        Args:
            release: called before the second comparison, to drop references to objects.
        """
        for pause in self._pauses(release):
            self._wait(pause)
        return self._leaks()

    def _wait(self, pause: float) -> None:
        """Wait until a thread ends that is left, or for a pause."""
        # A thread's end is noticed at once; a sleep would take twice as long on average.
        if self._threads:
            self._threads[0].join(pause)
        elif pause:
            sleep(pause)

    async def leaks_async(self) -> list[Leak]:
        """Return the leaks; the event loop goes on meanwhile."""
        for pause in self._pauses(in_loop=True):
            await run_for(pause)
        return self._leaks()

    def tasks(self, loop: Any) -> list[Leak]:
        """Return the tasks that are left in an event loop that does not run."""
        for pause in self._pauses(loop=loop):
            loop.run_until_complete(run_for(pause))
        return self._leaks()

    def blocked(self, loops: Iterable[BlockedLoop]) -> list[Leak]:
        """Return the blocked event loops that no pattern allows."""
        return [leak for leak, stack in loops if not self._is_allowed(leak, stack)]

    def _is_allowed(self, leak: Leak, stack: Stack) -> bool:
        """Return whether a pattern allows a leak, and note the patterns that do."""
        matching = [each for each in self._ignored if leak.is_ignored(each, stack)]
        self.used.update(matching)
        return bool(matching)

    def verify(self, subject: str = "the block") -> None:
        """Raise LeakError if there are leaks."""
        if leaks := self.leaks():
            raise LeakError(leaks, subject, IN_COROUTINE if running_loop() else "")

    def _leaks(self) -> list[Leak]:
        """Return the leaks of the latest comparison, with the context that only a report needs."""
        return [
            with_context(leak_of(key, obj), key, obj, started_by(key, obj))
            for key, obj in self._left.items()
        ]

    def _pauses(
        self,
        release: Callable[[], object] | None = None,
        *,
        loop: Any = None,
        in_loop: bool = False,
    ) -> Iterator[float]:
        """Yield the seconds to wait before each comparison, until nothing is left or time is up.

        Pauses are added up, instead of asking a clock that a test may have stopped.
        """
        spent, pause, collected, starting = 0.0, FIRST_PAUSE, -1, 0
        while (left := self._compare(loop)) or (
            starting < START_PAUSES and self._has_starting(loop)
        ):
            if not left:
                starting += 1
                yield FIRST_PAUSE
                continue
            # Only threads and the files that they close, processes, and tasks end by themselves.
            looping = in_loop or loop is not None
            runs = looping or any(key.kind == "process" for key in left)
            over = spent >= self._grace or not (runs or not is_single_threaded())
            thread = self._threads[0] if self._threads else None
            patience = PATIENCE if thread is None else THREADS_PATIENCE
            if collected < 0:
                collected = 0
                if release is not None:
                    release()
                if thread is not None or looping:
                    yield 0.0 if thread is None else min(PATIENCE, self._grace)
                    continue
            young = (thread is None and not looping) or spent >= PATIENCE
            if collected < YOUNG and (young or over):
                gc.collect(YOUNG)
                collected = YOUNG
            elif collected < OLDEST and (spent >= patience or over):
                gc.collect()
                collected = OLDEST
            elif over:
                return
            else:
                yield pause if thread is None else LONGEST_PAUSE
                # A thread that has ended did not take the whole pause, and others may follow.
                if thread is None or thread.is_alive():
                    spent += pause if thread is None else LONGEST_PAUSE
                pause = min(2 * pause, LONGEST_PAUSE)

    def _has_starting(self, loop: Any) -> bool:
        """Return whether the system has more threads than before, none of which Python lists."""
        return loop is None and self._unlisted > self._unlisted_before

    def _compare(self, loop: Any) -> Inventory:
        """Return the present leaks, or only the leaked tasks of an event loop."""
        self._found, self._skipped, self._threads = {}, {}, []
        self._left = left = self._new(loop)
        if left and self._ignored:
            self._left = left = {
                key: obj for key, obj in left.items() if not self._is_ignored(key, obj)
            }
        for obj in left.values():
            if isinstance(obj, threading.Thread) and obj is not threading.current_thread():
                self._threads.append(obj)
        return left

    def _new(self, loop: Any) -> Inventory:
        """Return the new objects that no other object accounts for."""
        if loop is None:
            now = take(descriptors=self._descriptors)
            self._unlisted = unlisted_threads(now)
        else:
            now = {Key("task", id(task)): task for task in tasks_of(loop)}
        left = {key: obj for key, obj in now.items() if key not in self._before}
        if not self._opened:
            self._skipped = {key: left[key] for key in left if key.kind == "descriptor"}
            left = {key: left[key] for key in left if key.kind != "descriptor"}
        if left and loop is None:
            self._drop_known_without_frame(left, now)
        if not left:
            return left
        if loop is not None:
            # The tasks of their resources end with the loop, and the resources stay entered.
            now.update((Key("container", which), use) for which, use in running_containers())
        belonging = owners(now)
        if (among := self._among) is not None:
            left = {
                key: obj for key, obj in left.items() if key in among or belonging.get(key) in among
            }
        known = identities(self._before) | {id(threading.main_thread())} - self._own
        excusing = known if self._excusing else set()
        self._found = without_excused(left, belonging, excusing, self._own)
        return self._found

    def _is_ignored(self, key: Key, obj: Any) -> bool:
        """Return whether a pattern allows an object."""
        origin = started_by(key, obj)
        return self._is_allowed(leak_of(key, obj), origin.stack if origin else ())

    def _drop_known_without_frame(self, left: Inventory, now: Inventory) -> None:
        """Drop threads that were there before without a frame, and have one now."""
        hidden = [key for key in self._before if is_hidden(key) and key not in now]
        shown = [key for key in left if key.kind == "thread" and isinstance(left[key], int)]
        for key, _ in zip(shown, hidden, strict=False):
            del left[key]


@final
class NoLeaks:
    """Context manager and decorator of `no_leaks`."""

    def __init__(
        self,
        ignore: Ignored | Iterable[Ignored],
        grace: float,
        blocking: float | None = None,
        *,
        origins: bool = True,
    ) -> None:
        self._ignored = patterns(ignore)
        self._grace = seconds(grace)
        self._blocking = seconds(blocking or 0.0, "blocking")
        self._origins = origins
        self._recording = ExitStack()
        self._check: Check | None = None
        self._watch: BlockingWatch | None = None

    def __enter__(self) -> Self:
        if self._check is not None:
            raise RuntimeError("this block has been entered already; call no_leaks() for each")
        with ExitStack() as entered:
            if self._origins:
                entered.enter_context(recording())
            self._check = Check(self._ignored, self._grace)
            if self._blocking:
                self._watch = BlockingWatch(self._blocking).start()
            self._recording = entered.pop_all()
        return self

    def _leave(self) -> tuple[Check | None, list[Leak]]:
        """Return the check of the block, and the event loops that it has blocked."""
        check, self._check = self._check, None
        watch, self._watch = self._watch, None
        blocked = watch.stop() if watch is not None else []
        return check, check.blocked(blocked) if check is not None else []

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        check, blocked = self._leave()
        with self._recording:
            if error is None and check is not None and (leaks := [*blocked, *check.leaks()]):
                raise LeakError(leaks, advice=IN_COROUTINE if running_loop() else "")

    def __call__(self, decorated: F) -> F:
        """Check each call of a function, sync or async, or of a class' methods `test...`.

        Raises:
            TypeError: it is no function or class, such as the result of another decorator.
        """
        from metrics.testing._decorated import decorate  # noqa: PLC0415 - few decorate

        # Each call has a block of its own, because there may be several at a time.
        block = partial(NoLeaks, self._ignored, self._grace, self._blocking, origins=self._origins)
        return decorate(decorated, block)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        check, blocked = self._leave()
        with self._recording:
            if error is not None or check is None:
                return
            if leaks := [*blocked, *await check.leaks_async()]:
                raise LeakError(leaks)


async def run_for(seconds: float) -> None:
    """Let an event loop run, without its clock: a test may have stopped that."""
    import asyncio  # noqa: PLC0415 - loaded by whoever made the loop

    spent = 0.0
    while spent < seconds:
        await asyncio.sleep(0)
        sleep(FIRST_PAUSE)  # noqa: ASYNC251 - time has to pass, and asyncio's may stand still
        spent += FIRST_PAUSE
    await asyncio.sleep(0)


def unlisted_threads(objects: Inventory) -> int:
    """Return the number of the process' threads that an inventory lacks, this one included."""
    native = native_threads()
    return native - sum(1 for key in objects if key.kind == "thread") if native > 1 else 1


def is_hidden(key: Key) -> bool:
    """Return whether a key is of a thread without a frame, of which only the number is known."""
    return isinstance(key.identity, tuple) and key.identity[0] == HIDDEN


def identities(objects: Inventory) -> set[int]:
    """Return the identities of the threads and tasks of an inventory."""
    return {id(obj) for key, obj in objects.items() if key.kind in {"thread", "task"}}
