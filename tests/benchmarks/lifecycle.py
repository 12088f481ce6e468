"""Time of starts and stops of many resources: `python tests/benchmarks/lifecycle.py`.

A line gives the best of three runs, and that time as a multiple of the line before it.
"""

import gc
from collections.abc import Callable
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from dependency_injector import containers, providers

from metrics.lifecycle import LifecycleContainer, Resource

RUNS = 3
SIZES = (1_000, 2_000, 10_000, 20_000)
# A chain of 400 takes dependency-injector most of a minute; one of 2,000 is too deep for it.
STOCK_SIZES = {"wide": (200, 400), "chain": (50, 100)}


@contextmanager
def hook(*_needed: object):
    yield object()


def stock_hook(*_needed: object):
    yield object()


def fill(container: Any, size: int, shape: str, resource: Callable[..., Any]) -> Any:
    """Declare resources that all need the first one, or each the one before it."""
    needed = container.resource0 = resource()
    for index in range(1, size):
        made = resource(needed)
        container.set_provider(f"resource{index}", made)
        needed = made if shape == "chain" else needed
    return container


def ours(size: int, shape: str) -> Any:
    return fill(LifecycleContainer(), size, shape, lambda *needed: Resource(hook, *needed))


def stock(size: int, shape: str) -> Any:
    return fill(
        containers.DynamicContainer(),
        size,
        shape,
        lambda *needed: providers.Resource(stock_hook, *needed),
    )


def seconds(container: Any) -> tuple[float, float]:
    """Return how long a start and a stop take."""
    gc.collect()
    began = perf_counter()
    container.init_resources()
    up = perf_counter()
    container.shutdown_resources()
    return up - began, perf_counter() - up


def table(title: str, build: Callable[[int, str], Any], sizes: dict[str, tuple[int, ...]]) -> None:
    say(f"\n{title}\n{'shape':<8}{'number':>8}{'start s':>11}{'stop s':>11}{'both s':>11}  ratio")
    for shape, counts in sizes.items():
        before = None
        for count in counts:
            start, stop = min((seconds(build(count, shape)) for _ in range(RUNS)), key=sum)
            both = start + stop
            line = f"{shape:<8}{count:>8,}{start:>11.4f}{stop:>11.4f}{both:>11.4f}"
            if before is not None:
                line += f"  {both / before[1]:.2f} x for {count / before[0]:.3g} x the resources"
            say(line)
            before = (count, both)


def say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a benchmark is run to be read


def main() -> None:
    table("metrics.lifecycle", ours, {"wide": SIZES, "chain": SIZES})
    table("dependency-injector", stock, STOCK_SIZES)


if __name__ == "__main__":
    main()
