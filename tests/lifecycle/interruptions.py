"""Starts and stops that a signal interrupts at many opcodes, for processes of their own."""

# ruff: noqa: BLE001 - whatever a run raises is compared with the expected end.

import asyncio
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Any

from metrics.lifecycle import LifecycleError, State, running, state
from tests.lifecycle.opcodes import (
    ARRIVALS,
    Interruption,
    Live,
    async_container,
    left_over,
    points,
    sync_container,
    unsettled,
)

SECONDS = 20.0

# How a container starts and stops: with its limits, hooks run in the calling thread or in others.
LIMITS: dict[str, dict[str, float]] = {
    "sync": {},
    "stopped in the calling thread": {"timeout": inf},
    "started in another thread": {"timeout": SECONDS, "start_timeout": SECONDS},
    "async": {},
}

Run = Callable[[Any, dict[str, float]], None]


def sync_block(container: Any, limits: dict[str, float]) -> None:
    with running(container, **limits):
        pass


def async_block(container: Any, limits: dict[str, float]) -> None:
    async def main() -> None:
        async with running(container, **limits):
            await asyncio.sleep(0)

    asyncio.run(main())


def sync_start_and_stop(container: Any, limits: dict[str, float]) -> None:
    options = {"timeout": limits["start_timeout"]} if "start_timeout" in limits else {}
    container.init_resources(**options)
    container.shutdown_resources(timeout=limits.get("timeout"))


def async_start_and_stop(container: Any, limits: dict[str, float]) -> None:
    async def main() -> None:
        await container.init_resources()
        await container.shutdown_resources()

    asyncio.run(main())


def stop(container: Any, mode: str) -> None:
    if mode == "async":

        async def main() -> None:
            await container.shutdown_resources()

        asyncio.run(main())
    else:
        container.shutdown_resources()


def points_of(make: Callable[[Live], Any], run: Run, limits: dict[str, float]) -> list[int]:
    """Return opcodes of a run at which a signal may do harm."""
    # The first run fills caches, and has opcodes that the later ones lack.
    run(make(Live()), limits)
    counted = Interruption()
    live = Live(counted)
    container = make(live)
    with counted:
        run(container, limits)
    assert live.names == set()
    assert live.starts == live.stops > 0
    assert counted.count > 0
    return points(counted.count, live.entered_at)


def interrupt_blocks(mode: str) -> None:
    """Send SIGTERM at many opcodes of `running()` blocks."""
    earlier: list[int] = []

    def handle(number: int, _frame: object) -> None:
        earlier.append(number)

    signal.signal(signal.SIGTERM, handle)
    make, run = (async_container, async_block) if mode == "async" else (sync_container, sync_block)
    limits = LIMITS[mode]
    problems = []
    for index, at in enumerate(points_of(make, run, limits)):
        live, ends = Live(), []
        container = make(live)
        earlier.clear()
        interruption = Interruption(at, ARRIVALS[index % 2](signal.SIGTERM))
        try:
            with interruption:
                run(container, limits)
        except BaseException as error:
            ends.append(repr(error))
        # The signal ends the block, or belongs to the handler of the time before or after it.
        received = [*ends, *map(str, earlier)]
        found = {
            "lost or twice": [*received, "sent"] if len(received) != interruption.sent else [],
            "other errors": [end for end in ends if end != "SystemExit(143)"],
            "still running": left_over(live),
            "unequal": [live.starts, live.stops] if live.starts != live.stops else [],
            "unsettled": unsettled(container),
            "handler": [] if signal.getsignal(signal.SIGTERM) is handle else ["kept"],
        }
        problems += problems_at(at, index, found)
    assert not problems, "\n".join(problems[:10])


def is_artefact(error: BaseException) -> bool:
    """Return whether CPython 3.11 has raised an error, because a signal came amid tracing."""
    return isinstance(error, TypeError) and "'list' object is not callable" in str(error)


def end_of(error: BaseException) -> str:
    """Return a name for an interrupt, and a traceback for every other exception."""
    if isinstance(error, KeyboardInterrupt):
        return "KeyboardInterrupt"
    return "".join(traceback.format_exception(error))


def interrupt_starts_and_stops(mode: str) -> None:
    """Raise KeyboardInterrupt at many opcodes, outside any block, and stop the container then."""
    make, run = sync_container, sync_start_and_stop
    if mode == "async":
        make, run = async_container, async_start_and_stop
    limits = LIMITS[mode]
    problems = []
    ends: list[str] = []

    def unraisable(raised: Any) -> None:
        # Python raises nothing in finalizers; the interrupt has arrived nevertheless. A coroutine
        # is created and awaited in two instructions: an interrupt in between leaves a warning.
        if raised.exc_type is not RuntimeWarning:
            ends.append(raised.exc_type.__name__)

    sys.unraisablehook = unraisable
    for index, at in enumerate(points_of(make, run, limits)):
        live = Live()
        ends.clear()
        container = make(live)
        interruption = Interruption(at, ARRIVALS[index % 2](signal.SIGINT))
        try:
            with interruption:
                run(container, limits)
        except BaseException as error:
            if not is_artefact(error):
                ends.append(end_of(error))
        found: dict[str, list[Any]] = {
            "lost or other": (
                [*ends, "sent"] if ends != ["KeyboardInterrupt"] * interruption.sent else []
            ),
        }
        try:
            stop(container, mode)
        except BaseException as error:
            found["later stop failed"] = [repr(error)]
        found["still running"] = left_over(live)
        found["unsettled"] = unsettled(container)
        if state(container) is not State.STOPPED and live.starts:
            found["not stopped"] = [state(container)]
        live.starts = 0
        run(container, limits)
        found["not started again"] = [] if live.starts >= 3 else [live.starts]
        found["still running in the end"] = left_over(live)
        problems += problems_at(at, index, found)
    assert not problems, "\n".join(problems[:10])


def request(container: Any, limits: dict[str, float]) -> None:
    with suppress(LifecycleError):
        container.three()
    container.shutdown_resources(timeout=SECONDS)


def ask_for_the_state(container: Any, limits: dict[str, float]) -> None:
    container.init_resources()
    state(container)
    state(container, "two")
    container.shutdown_resources(timeout=SECONDS)


def awaited_in_a_loop(container: Any, limits: dict[str, float]) -> None:
    async def main() -> None:
        await container.init_resources()
        await container.shutdown_resources()

    asyncio.run(main())


RUNS: dict[str, tuple[Run, dict[str, float]]] = {
    "start and stop": (sync_start_and_stop, LIMITS["sync"]),
    "stop in the calling thread": (sync_start_and_stop, {"timeout": inf}),
    "start in another thread": (sync_start_and_stop, LIMITS["started in another thread"]),
    "block": (sync_block, LIMITS["sync"]),
    "request": (request, {}),
    "state": (ask_for_the_state, {}),
    "event loop": (awaited_in_a_loop, {}),
}


def stop_in_handlers(name: str) -> None:
    """Call `shutdown_resources(timeout=2)` in a signal handler at many opcodes."""
    run, limits = RUNS[name]
    outcomes: list[str] = []
    container: Any = None

    def handle(_number: int, _frame: object) -> None:
        try:
            container.shutdown_resources(timeout=2)
        except LifecycleError:
            outcomes.append("refused")
        except BaseException as error:
            outcomes.append(repr(error))
        else:
            outcomes.append("stopped")

    signal.signal(signal.SIGUSR1, handle)
    problems = []
    for index, at in enumerate(points_of(sync_container, run, limits)):
        live = Live()
        container = sync_container(live)
        outcomes.clear()
        interruption = Interruption(at, ARRIVALS[index % 2](signal.SIGUSR1))
        found: dict[str, list[Any]] = {}
        try:
            with interruption:
                run(container, limits)
        except LifecycleError:
            # The handler has stopped the container that the interrupted code needs.
            found["refused, but not stopped"] = [] if outcomes == ["stopped"] else [*outcomes]
        except BaseException as error:
            if not is_artefact(error):
                found["raised"] = [end_of(error)]
        found["outcome"] = [end for end in outcomes if end not in {"stopped", "refused"}]
        found["calls"] = [*outcomes, "sent"] if len(outcomes) != interruption.sent else []
        try:
            container.shutdown_resources(timeout=SECONDS)
        except BaseException as error:
            found["later stop failed"] = [repr(error)]
        found["still running"] = left_over(live)
        found["unsettled"] = unsettled(container)
        problems += problems_at(at, index, found)
    assert not problems, "\n".join(problems[:10])


def stop_in_handlers_of_a_timer(rounds: str) -> None:
    """Call `shutdown_resources(timeout=2)` in a handler that a timer calls again and again."""
    outcomes: dict[str, int] = {}
    live = Live()
    container = sync_container(live)

    def handle(_number: int, _frame: object) -> None:
        try:
            container.shutdown_resources(timeout=2)
        except LifecycleError:
            outcome = "refused"
        except BaseException as error:
            outcome = repr(error)
        else:
            outcome = "stopped"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1

    # The guard of the process has ITIMER_REAL.
    signal.signal(signal.SIGPROF, handle)
    for index in range(int(rounds)):
        signal.setitimer(signal.ITIMER_PROF, 0.0003 + 0.00001 * (index % 90))
        with suppress(LifecycleError):
            container.init_resources()
            container.one()
            container.three()
        container.shutdown_resources(timeout=SECONDS)
    signal.setitimer(signal.ITIMER_PROF, 0)
    container.shutdown_resources(timeout=SECONDS)
    assert not set(outcomes) - {"refused", "stopped"}, outcomes
    assert left_over(live) == []
    assert unsettled(container) == []


def problems_at(at: int, index: int, found: dict[str, list[Any]]) -> list[str]:
    arrival = ARRIVALS[index % 2].__name__
    return [
        f"opcode {at} ({arrival}): {name}: {values}" for name, values in found.items() if values
    ]
