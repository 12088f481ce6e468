"""Rows of several processes: a page with the values of all workers of a program."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from .libraries import Library, Ours, PrometheusClient
from .row import Row, measure_in_turns
from .series import Series, mixed_series, touch
from .timing import Sample, call

WORKERS = 8

SERIES = 2_000

RESTARTS = 1_000

FEW_RESTARTS = 50

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

WAIT = 60.0
"""Seconds after which a worker that does not answer is an error."""

Work = Callable[[str, ExitStack], Series]
"""Makes the series of a worker, given the directory of all."""


def rows(peers: list[type[Library]], *, restarts: int) -> Iterator[Row]:
    """Yield rows of pages with the values of all workers, all of which have changed.

    A tenth of the series are histograms.
    """
    title = f"page of {WORKERS} workers with {SERIES:,} series each"
    for name, ended in ((title, 0), (f"the same after {restarts:,} restarts", restarts)):
        row = Row(name)
        with ExitStack() as running:
            row.add(Ours.name, shared_page, running, ended)
            if PrometheusClient in peers:
                row.add(PrometheusClient.name, multiprocess_page, running, ended)
            measure_in_turns([row], rounds=15)
        yield row


def shared_page(running: ExitStack, ended: int) -> Sample:
    """Measure a page in one of the workers, for which the others publish their values."""
    directory = running.enter_context(short_directory())
    page, series = shared(directory, running)
    for _ in range(ended):
        end_worker(directory)
    change = running.enter_context(workers(work_shared, directory, WORKERS - 1))

    def prepare() -> None:
        touch(series, 1)
        change()

    page()
    return call(page, prepare)


def shared(directory: str, running: ExitStack) -> tuple[Callable[[], object], Series]:
    """Return the page of a library that shares its series, and the series."""
    # A revision that is compared with this one may lack it.
    from metrics.integrations import processes

    library = Ours()
    series = mixed_series(library, SERIES, 10)
    touch(series, 1)
    running.enter_context(processes.share(library.registry, directory=directory, group="benchmark"))
    return library.page, series


def work_shared(directory: str, running: ExitStack) -> Series:
    """Share the series of a worker."""
    return shared(directory, running)[1]


def end_worker(directory: str) -> None:
    """Start a worker, and end it."""
    pid = os.fork()
    if pid == 0:
        try:
            with ExitStack() as leaving:
                shared(directory, leaving)
        finally:
            os._exit(0)
    os.waitpid(pid, 0)


def multiprocess_page(running: ExitStack, ended: int) -> Sample:
    """Measure a page of prometheus_client's multiprocess mode."""
    directory = running.enter_context(short_directory())
    change = running.enter_context(workers(work_multiprocess, directory, WORKERS))
    for path in {path.name.partition("_")[0]: path for path in Path(directory).iterdir()}.values():
        kind = path.name.partition("_")[0]
        for number in range(ended):
            # The files of ended workers stay. A link takes as long to read as a file.
            path.with_name(f"{kind}_{number + (1 << 30)}.db").hardlink_to(path)
    client = import_module("prometheus_client")
    multiprocess = import_module("prometheus_client.multiprocess")

    def page() -> object:
        registry = client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, path=directory)
        return client.generate_latest(registry)

    return call(page, change)


def work_multiprocess(directory: str, _running: ExitStack) -> Series:
    """Create the series of a worker in prometheus_client's multiprocess mode."""
    # It is read when the library is imported.
    os.environ[VARIABLE] = directory
    return mixed_series(PrometheusClient(), SERIES, 10)


@contextmanager
def workers(work: Work, directory: str, number: int) -> Iterator[Callable[[], None]]:
    """Run workers until the end of the block; return a function that changes all their series."""
    context = get_context("spawn")
    pipes = [context.Pipe() for _ in range(number)]
    started = [
        context.Process(target=run_worker, args=(work, directory, end), daemon=True)
        for _, end in pipes
    ]

    def change() -> None:
        for connection, _ in pipes:
            connection.send(True)
        for connection, _ in pipes:
            if not connection.poll(WAIT):
                raise TimeoutError(f"a worker does not answer for {WAIT:g} s")
            connection.recv()

    try:
        for process in started:
            process.start()
        change()
        yield change
    finally:
        for connection, _ in pipes:
            connection.send(False)
        for process in started:
            process.join(WAIT)
            process.kill()


def run_worker(work: Work, directory: str, connection: Connection) -> None:
    """Change all series of a worker at each request, until it has to leave."""
    with ExitStack() as running:
        series = work(directory, running)
        while connection.recv():
            touch(series, 1)
            connection.send(True)


@contextmanager
def short_directory() -> Iterator[str]:
    """Create a directory in memory, whose path is short enough for sockets."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="m-", dir=memory) as path:
        yield path
