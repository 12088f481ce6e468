"""Calls of the program's own functions, which gauges and health checks hold.

Never compiled: mypyc drops the cause of `raise ... from`.
"""

import sys
from collections.abc import Callable
from types import FrameType, TracebackType

SIGNALS = "metrics.lifecycle._signals"
"""Module that raises the signals of `running`, also the ones that it has postponed."""


def call(function: Callable[[], object]) -> object:
    """Return the result of a program's function; its cancellation or exit becomes an error.

    Readers treat an `Exception` as the failure of one value. `asyncio.CancelledError`,
    `trio.Cancelled` and `SystemExit` are none, and one function that raises them would end every
    read of a registry. Signals still end the program: KeyboardInterrupt propagates, and so does a
    SystemExit that the handler of a signal raised while the function ran.

    Raises:
        RuntimeError: the function was cancelled or raised SystemExit, which is the cause.
        BaseException: any other exception of the function, as it is.
    """
    try:
        return function()
    except Exception:
        raise
    except BaseException as error:
        if is_cancellation(error) or (isinstance(error, SystemExit) and not is_signal(error)):
            raise RuntimeError(
                f"{function!r} raised {error!r}, which ends tasks and programs; "
                "raise an Exception instead"
            ) from error
        raise


def is_cancellation(error: BaseException) -> bool:
    """Return whether an exception is the cancellation of asyncio or of trio."""
    # Neither is imported for this: an exception of a module that is not loaded cannot be raised.
    for module, name in (("asyncio", "CancelledError"), ("trio", "Cancelled")):
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type) and isinstance(error, kind):
            return True
    return False


def is_signal(error: BaseException) -> bool:
    """Return whether the handler of a signal raised an exception.

    The interpreter passes the interrupted frame, its caller, to a handler, and no other code passes
    a frame to the function that it calls. The lifecycle also raises a signal later, from a module
    of its own. A handler without Python frames, or one that deletes its argument, is not found.
    """
    traceback: TracebackType | None = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if is_handler(frame) or frame.f_globals.get("__name__") == SIGNALS:
            return True
        traceback = traceback.tb_next
    return False


def is_handler(frame: FrameType) -> bool:
    """Return whether the caller of a frame is among the frame's arguments."""
    caller = frame.f_back
    if caller is None:
        return False
    code = frame.f_code
    # Positional and keyword-only parameters come first, then `*args`.
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & VARIADIC)
    for name in code.co_varnames[:count]:
        value = frame.f_locals.get(name)
        if any(each is caller for each in (value if type(value) is tuple else (value,))):
            return True
    return False


VARIADIC = 0x04
"""Flag of the code of functions with a parameter `*args` (`inspect.CO_VARARGS`)."""
