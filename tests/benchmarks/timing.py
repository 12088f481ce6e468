"""Samples of times: each measures an operation once; `least` keeps the minimum of many rounds.

Noise only ever adds to a time, so a minimum is the best estimate.
"""

import gc
import threading
from collections.abc import Callable, Mapping
from itertools import count
from sys import getswitchinterval, setswitchinterval
from time import perf_counter, perf_counter_ns
from timeit import Timer
from typing import TypeVar

Key = TypeVar("Key")

Sample = Callable[[], float]
"""Function that measures once and returns the cost of one operation: seconds, or bytes."""

ENOUGH = 1.0
"""Seconds after which a sample is not repeated; noise is small beside a sample that long."""

SHORT_INTERVAL = 1e-4
"""Switch interval in seconds, instead of Python's 5 ms."""


def least(
    samples: Mapping[Key, Sample], rounds: int, overhead: Sample | None = None
) -> dict[Key, float]:
    """Return the minimum of each sample, in rounds of one measurement of each.

    Rounds let a slow phase of the machine slow all samples alike. `overhead` is measured before
    each sample, and its minimum is subtracted from the others: one from another phase would
    falsify them, and a minimum of differences would be the difference that noise reduced the most.
    """
    results = dict.fromkeys(samples, float("inf"))
    spent = dict.fromkeys(samples, 0.0)
    least_overhead = float("inf") if overhead else 0.0
    for _ in range(rounds):
        for name, sample in samples.items():
            if spent[name] > ENOUGH:
                continue
            if overhead:
                least_overhead = min(least_overhead, overhead())
            began = perf_counter()
            results[name] = min(results[name], sample())
            spent[name] += perf_counter() - began
    return {name: max(result - least_overhead, 0.0) for name, result in results.items()}


def statement(code: str, subject: object, seconds: float) -> Sample:
    """Measure a statement about `m`, which is `subject`, and the loop around it.

    The garbage collector is off meanwhile. A sample takes `seconds` or up to twice that.
    """
    timer = Timer(code, setup="m = subject", globals={"subject": subject})
    number = next(size for size in (1 << n for n in count(2)) if timer.timeit(size) >= seconds)

    def sample() -> float:
        took: float = timer.timeit(number)
        return took / number

    return sample


def empty_loop(seconds: float) -> Sample:
    """Measure the loop around a statement."""
    return statement("pass", None, seconds)


def call(function: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> Sample:
    """Measure one call of a function, after `prepare()`; the garbage collector is on."""

    def sample() -> float:
        prepare()
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


def longest_wait(function: Callable[[], object], interval: float) -> Sample:
    """Measure the longest time for which another thread cannot run during `function()`.

    A waiting thread requests the interpreter after the switch interval. With a short `interval` in
    seconds, the result is the time for which compiled or native code goes on after the request.
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
                # Read before the clock, so that a wait which lasts until the end counts too.
                running = not over
                now = perf_counter_ns()
                worst = max(worst, now - last)
                last = now

        gc.collect()
        watcher = threading.Thread(target=watch, daemon=True)
        setswitchinterval(interval)
        try:
            watcher.start()
            function()
        finally:
            over = True
            watcher.join()
            setswitchinterval(before)
        return worst / 1e9

    return sample
