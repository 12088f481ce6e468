"""How long something takes: the least of many rounds, because noise only ever adds to a time."""

import gc
import threading
from collections.abc import Callable, Mapping
from functools import cache
from itertools import count
from sys import getswitchinterval, setswitchinterval
from time import perf_counter, perf_counter_ns
from timeit import Timer

Sample = Callable[[], float]
"""Measures once and returns the cost of one operation: seconds, or bytes."""

SHORT_INTERVAL = 1e-4


def least(samples: Mapping[str, Sample], rounds: int) -> dict[str, float]:
    """Return the least result of each sample; they take turns, so that noise hits all of them."""
    results: dict[str, float] = dict.fromkeys(samples, float("inf"))
    for _ in range(rounds):
        for name, sample in samples.items():
            results[name] = min(results[name], sample())
    return results


def statement(code: str, subject: object, seconds: float) -> Sample:
    """Measure a statement about `m`, which is `subject`, without the loop around it.

    The garbage collector is off meanwhile. `seconds` is how long one sample should take.
    """
    timer = Timer(code, setup="m = subject", globals={"subject": subject})
    for exponent in count(2):
        number = 1 << exponent
        if timer.timeit(number) >= seconds / 2:
            break
    loop = empty_loop()

    def sample() -> float:
        took: float = timer.timeit(number)
        return max(took / number - loop, 0.0)

    return sample


@cache
def empty_loop() -> float:
    """Return the least time that one turn of a loop takes.

    It is measured once: the least of differences, each from a loop of its own, would be the one
    from which noise took the most.
    """
    number = 2**18
    least_time: float = min(Timer("pass").repeat(50, number))
    return least_time / number


def whole(function: Callable[[], object]) -> Sample:
    """Measure one call of a function, the garbage collector on as it is in a program."""

    def sample() -> float:
        gc.collect()
        began = perf_counter()
        result = function()
        took = perf_counter() - began
        del result
        return took

    return sample


def together(code: str, subject: object, threads: int, number: int) -> Sample:
    """Measure a statement about `m` run by several threads at once: elapsed over all its runs."""

    def sample() -> float:
        ready = threading.Barrier(threads + 1)
        done = threading.Barrier(threads + 1)

        def work() -> None:
            timer = Timer(code, setup="m = subject", globals={"subject": subject})
            ready.wait()
            timer.timeit(number)
            done.wait()

        workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
        for worker in workers:
            worker.start()
        # Timer switches the collector off and on, which threads would do to each other.
        gc.disable()
        try:
            ready.wait()
            began = perf_counter()
            done.wait()
            took = perf_counter() - began
        finally:
            for worker in workers:
                worker.join()
            gc.enable()
        return took / (threads * number)

    return sample


def held_up(function: Callable[[], object], interval: float | None = None) -> Sample:
    """Measure the longest time that another thread cannot run while `function` does.

    The interpreter lets a thread wait for its switch interval (5 ms) before it asks the running
    one to yield; with a shorter `interval` what is left is how long code goes on after that.
    """

    def sample() -> float:
        before = getswitchinterval()
        over = False
        worst = 0

        def watch() -> None:
            nonlocal worst
            last = perf_counter_ns()
            running = True
            while running:
                # Asked first, so that a wait which lasts until the end is counted too.
                running = not over
                now = perf_counter_ns()
                worst = max(worst, now - last)
                last = now

        gc.collect()
        watcher = threading.Thread(target=watch, daemon=True)
        setswitchinterval(before if interval is None else interval)
        try:
            watcher.start()
            function()
        finally:
            over = True
            watcher.join()
            setswitchinterval(before)
        return worst / 1e9

    return sample
