"""Script that pushes its metrics when it ends: python script.py http://127.0.0.1:9091 FILE..."""

import sys
from pathlib import Path

from dependency_injector.wiring import Provide, inject

from metrics import Counter, Gauge, Timer, resources
from metrics.lifecycle import MetricsContainer, Resource, running
from metrics.reporters import pushgateway


class Container(MetricsContainer):
    config = MetricsContainer.config
    registry = MetricsContainer.registry
    push = Resource(pushgateway.http, registry, config.gateway, "lines")
    lines = Resource(resources.counter, registry, "lines", description="Lines of all files")
    reading = Resource(resources.timer, registry, "read", sampled=True)
    finished = Resource(resources.gauge, registry, "finished", unit="seconds")


@inject
def main(
    paths: list[str],
    lines: Counter = Provide[Container.lines],
    reading: Timer = Provide[Container.reading],
    finished: Gauge = Provide[Container.finished],
) -> None:
    for path in paths:
        with reading.time():
            lines.inc(len(Path(path).read_text().splitlines()))
    finished.set_to_current_time()


if __name__ == "__main__":
    container = Container(config={"gateway": sys.argv[1]})
    container.wire([__name__])
    with running(container):
        main(sys.argv[2:])
