"""Signals for the blocks of `running`: one handler of the process, and a stack of blocks.

The handler raises at once where the program's own code runs, in a block or in a hook. In the code
of this package, where an exception could leave a resource between two states, the signal is
recorded and raised at the next checkpoint, or when that code has returned. The second signal of a
block is raised at once, wherever it arrives.
"""

import _thread
import asyncio
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, Protocol, final

from metrics.lifecycle._hooks import HOOK_CALLERS, WAITS
from metrics.lifecycle._record import log_safely

logger = logging.getLogger("metrics.lifecycle")

HERE = str(Path(__file__).parent)

REPEAT_SECONDS = 0.05


class Block(Protocol):
    """Block of `running`, as the handler needs it."""

    signals: tuple[signal.Signals, ...]
    received: signal.Signals | None
    """The signal that ends the block, once it has arrived."""
    ending: BaseException | None
    """The exception that the signal ends the block with."""
    over: bool
    """Whether the block has ended, and its container stops."""

    @property
    def cancel(self) -> Callable[[], None] | None:
        """Ends an async block; None for a sync one, in which the signal is raised."""

    def hanging(self) -> str:
        """Return the names of the hooks that are being entered or exited."""


_blocks: list[Block] = []
# Handlers from before the first block, by signal; the last is the latest. There are several if the
# program installs a handler in a block, keeps it, and begins another block.
_previous: dict[signal.Signals, list[Any]] = {}
# The process that the blocks belong to.
_pid = 0
# Exception of a signal that waits for a checkpoint.
_recorded: BaseException | None = None
# Whether the next signal is the recorded one once more, and not a second one.
_again = False
# Held while it is sent, so that it never arrives when the handler is gone. Reentrant: the handler
# may interrupt its holder.
_repeating = threading.RLock()
# The last exception that a second signal raised.
_breakthrough: BaseException | None = None


def push(block: Block) -> None:
    """Let a block receive signals; threads other than the main one leave signals alone."""
    global _pid, _breakthrough  # noqa: PLW0603 - a process has one set of signal handlers
    if not block.signals or threading.current_thread() is not threading.main_thread():
        return
    if _pid != os.getpid():
        # The blocks of a parent process do not end in its child.
        _blocks.clear()
        _pid = os.getpid()
    if not _blocks:
        _breakthrough = None
    _blocks.append(block)
    for number in block.signals:
        installed = signal.getsignal(number)
        # None is a handler that was not installed from Python and could not be restored.
        if installed not in (signal.SIG_IGN, None, handle):
            _previous.setdefault(number, []).append(installed)
            signal.signal(number, handle)


def remove(block: Block) -> None:
    """End a block, wherever it is in the stack, and restore the handlers that no block needs."""
    if block not in _blocks:
        return
    _blocks.remove(block)
    if threading.current_thread() is not threading.main_thread():
        return
    for number in block.signals:
        needed = any(number in other.signals for other in _blocks)
        if not needed and _previous.get(number) and signal.getsignal(number) is handle:
            # Known until it is installed: a signal may arrive in between.
            signal.signal(number, _previous[number][-1])
            _previous[number].pop()


def handle(number: int, frame: FrameType | None) -> None:
    """End the innermost block that takes a signal, or hand it to the handler from before."""
    if is_repeated():
        if interruptible(frame) and not any(block.over for block in _blocks[-1:]):
            checkpoint()
        return
    arrived = signal.Signals(number)
    ending = KeyboardInterrupt() if arrived is signal.SIGINT else SystemExit(128 + number)
    listening = [block for block in _blocks if arrived in block.signals]
    if not listening:
        hand_on(arrived, frame)
    elif _pid != os.getpid():
        raise ending  # the blocks belong to the parent process
    elif listening[-1].received is not None:
        break_through(listening[-1], arrived, ending)
        raise ending
    elif listening[-1].cancel is not None:
        cancel_tasks(listening, arrived, ending)
    else:
        receive(listening[-1], arrived, ending, frame)


def receive(
    block: Block, number: signal.Signals, ending: BaseException, frame: FrameType | None
) -> None:
    """End a sync block, at once or as soon as an exception can do no harm."""
    block.received, block.ending = number, ending
    # Cleanup is not cut short by the first signal.
    if block.over or not interruptible(frame):
        record(ending, number)
        return
    raise ending


def cancel_tasks(listening: list[Block], number: signal.Signals, ending: BaseException) -> None:
    """End the innermost async blocks: their tasks are side by side, and a signal is for all."""
    for block in reversed(listening):
        if block.cancel is None:
            return
        if block.received is None:
            block.received, block.ending = number, ending
            block.cancel()


def hand_on(number: signal.Signals, frame: FrameType | None) -> None:
    """Treat a signal as it would have been treated before the first block."""
    handlers = _previous.get(number)
    previous = handlers[-1] if handlers else signal.SIG_DFL
    if callable(previous):
        previous(number, frame)
    elif previous is signal.SIG_DFL:
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def break_through(block: Block, number: signal.Signals, ending: BaseException) -> None:
    """Note that a second signal ends the block, and log the hooks that hold it up."""
    global _breakthrough  # noqa: PLW0603 - the process has one
    forget(_recorded)
    _breakthrough = ending
    block.ending = ending
    hanging = block.hanging()
    log_safely(
        logger.warning,
        "second signal, %s: ending at once%s",
        number.name,
        f", although {hanging}" if hanging else "",
    )


def broke_through(error: BaseException | None = None) -> bool:
    """Return whether a second signal has ended a block, or raised this very exception."""
    if error is None:
        return _breakthrough is not None and bool(_blocks)
    return error is _breakthrough


def record(ending: BaseException, number: signal.Signals) -> None:
    """Keep an exception for the next checkpoint, or for the return of the code of this package."""
    global _recorded  # noqa: PLW0603 - signals are the main thread's alone
    _recorded = ending
    # Not threading.Thread: its start() takes locks that the signal may have interrupted.
    _thread.start_new_thread(repeat, (ending, number))


def repeat(ending: BaseException, number: signal.Signals) -> None:
    """Send a recorded signal once more, until its exception has been raised."""
    global _again  # noqa: PLW0603 - the process has one
    wait = REPEAT_SECONDS
    while True:
        time.sleep(wait)
        with _repeating:
            if _recorded is not ending:
                return
            _again = True
            signal.pthread_kill(threading.main_thread().ident or 0, number)
        wait = min(2 * wait, 1.0)


def is_repeated() -> bool:
    """Return whether a signal is the recorded one once more, and not another one."""
    global _again
    again, _again = _again, False
    return again


def checkpoint() -> None:
    """Raise the signal that has arrived in the code of this package, if any has.

    Raises:
        KeyboardInterrupt: for SIGINT.
        SystemExit: for other signals.
    """
    if _recorded is not None and threading.current_thread() is threading.main_thread():
        ending = _recorded
        forget(ending)
        raise ending


def forget(ending: BaseException | None) -> None:
    """Raise a recorded exception no more, because its block raises it."""
    global _recorded  # noqa: PLW0603 - signals are the main thread's alone
    if _recorded is ending and ending is not None:
        with _repeating:
            _recorded = None


@final
class Wakeup:
    """Wakes an event loop when a signal arrives.

    A signal that arrives just before the loop goes to sleep would be handled when it wakes up by
    itself: an event loop takes care of that only for its own signal handlers.

    Args:
        loop: the event loop that runs the caller, in the main thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        loop.add_reader(self._reader, self._drain)

    def _drain(self) -> None:
        with suppress(BlockingIOError):
            self._reader.recv(4096)

    def close(self) -> None:
        """Take the descriptor away, unless another one has been installed since."""
        installed = signal.set_wakeup_fd(-1)
        if installed != self._writer.fileno():
            signal.set_wakeup_fd(installed)
        if not self._loop.is_closed():
            self._loop.remove_reader(self._reader)
        self._reader.close()
        self._writer.close()


def wakeup(loop: asyncio.AbstractEventLoop) -> Wakeup | None:
    """Return an object that wakes a loop for signals; None if it is woken already, or cannot be."""
    if threading.current_thread() is not threading.main_thread():
        return None
    installed = signal.set_wakeup_fd(-1)
    if installed != -1:
        # A loop that an exception of a handler has interrupted may have left a closed one, whose
        # number another file may have by now.
        with suppress(OSError, ValueError):
            signal.set_wakeup_fd(installed)
            return None
    try:
        return Wakeup(loop)
    except (NotImplementedError, OSError):
        return None  # the proactor of Windows has no readers, and no need of them


def interruptible(frame: FrameType | None) -> bool:
    """Return whether an exception may be raised in a frame: not in the code of this package."""
    callee: FrameType | None = None
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(HERE) and code not in WAITS:
            in_hook = code in HOOK_CALLERS and callee is not None
            return in_hook and not traces(callee, frame)
        callee, frame = frame, frame.f_back
    return True


def traces(callee: FrameType | None, caller: FrameType) -> bool:
    """Return whether a frame is the trace function of its caller, of a debugger for example."""
    trace = getattr(caller.f_trace, "__func__", caller.f_trace)
    return callee is not None and callee.f_code is getattr(trace, "__code__", None)


def after_fork() -> None:
    """Record no signal of the parent process."""
    global _again, _breakthrough, _recorded, _repeating  # noqa: PLW0603 - the process has one
    _again, _breakthrough, _recorded = False, None, None
    _repeating = threading.RLock()
