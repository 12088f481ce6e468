"""Calls with a bound: a call that never returns fails its test instead of holding the suite."""

import asyncio
import threading

# Proves that nothing hangs; no test that passes comes near it.
LONG = 20


def within(function, *arguments, seconds=LONG, **options):
    """Call a function in a thread of its own; return its result or raise its exception."""
    results, errors = [], []

    def call() -> None:
        try:
            results.append(function(*arguments, **options))
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    thread = threading.Thread(target=call, name="bounded", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise AssertionError(f"{function!r} has not returned after {seconds} seconds")
    if errors:
        raise errors[0]
    return results[0]


def run(coroutine):
    """Run a coroutine in an event loop of its own, as `asyncio.run`; return its result."""
    return within(asyncio.run, coroutine)


def errors_of(error):
    """Return the exceptions that a tree of exception groups contains, or the exception itself."""
    if not isinstance(error, BaseExceptionGroup):
        return [error]
    return [leaf for child in error.exceptions for leaf in errors_of(child)]
