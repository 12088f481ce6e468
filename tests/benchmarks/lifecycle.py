"""Times of starting and stopping many resources: `python tests/benchmarks/lifecycle.py`.

A line has the best of three runs, and its time as a multiple of that in the line before.
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
def hook(*_dependencies: object):
    yield object()


def stock_hook(*_dependencies: object):
    yield object()


def fill(container: Any, size: int, shape: str, resource: Callable[..., Any]) -> Any:
    """Declare resources that depend on the first one (wide), or on the one before them (chain)."""
    dependency = container.resource0 = resource()
    for index in range(1, size):
        provider = resource(dependency)
        container.set_provider(f"resource{index}", provider)
        dependency = provider if shape == "chain" else dependency
    return container


def ours(size: int, shape: str) -> Any:
    return fill(
        LifecycleContainer(), size, shape, lambda *dependencies: Resource(hook, *dependencies)
    )


def stock(size: int, shape: str) -> Any:
    return fill(
        containers.DynamicContainer(),
        size,
        shape,
        lambda *dependencies: providers.Resource(stock_hook, *dependencies),
    )


def seconds(container: Any) -> tuple[float, float]:
    """Return the seconds of a start and of a stop."""
    gc.collect()
    began = perf_counter()
    container.init_resources()
    started = perf_counter()
    container.shutdown_resources()
    return started - began, perf_counter() - started


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
