"""Context managers that leave something running until they end, and what it is called then."""

import _thread
import asyncio
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from multiprocessing import get_context

from dependency_injector import containers, providers

from metrics import Meter, Ticker
from metrics.lifecycle import LifecycleContainer, MetricsContainer, Resource
from metrics.testing import Leak, LeakError, no_leaks

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def blamed(start: Callable[[], object]) -> tuple[object, tuple[Leak, ...]]:
    """Return what a function returns, and what it leaves behind."""
    made = None
    try:
        with no_leaks(grace=0.0):
            made = start()
    except LeakError as error:
        return made, error.leaks
    return made, ()


@contextmanager
def thread() -> Iterator[object]:
    over = threading.Event()
    started = threading.Thread(target=over.wait, name="waiting", daemon=True)
    started.start()
    yield started
    over.set()
    started.join()


@contextmanager
def foreign_thread() -> Iterator[object]:
    over, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        over.wait()
        ended.set()

    _thread.start_new_thread(work, ())
    begun.wait()
    yield over
    over.set()
    ended.wait()


@contextmanager
def executor() -> Iterator[object]:
    with ThreadPoolExecutor(1, thread_name_prefix="pool") as pool:
        pool.submit(int).result()
        yield pool


@contextmanager
def loop() -> Iterator[object]:
    with closing(asyncio.new_event_loop()) as made:
        yield made


@contextmanager
def task() -> Iterator[object]:
    with asyncio.Runner() as runner:
        runner.run(asyncio.sleep(0))
        waiting = runner.get_loop().create_task(asyncio.sleep(60), name="sleeper")
        yield waiting


@contextmanager
def process() -> Iterator[object]:
    with subprocess.Popen(SLEEP) as child:
        yield child
        child.kill()


@contextmanager
def forked_process() -> Iterator[object]:
    child = get_context("fork").Process(target=threading.Event().wait, name="child")
    child.start()
    yield child
    child.kill()
    child.join()
    child.close()


@contextmanager
def listener() -> Iterator[object]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@contextmanager
def file() -> Iterator[object]:
    with tempfile.NamedTemporaryFile(suffix=".left") as opened:
        yield opened


@contextmanager
def pipe() -> Iterator[object]:
    with ExitStack() as stack:
        reading, writing = socket.socketpair()
        stack.enter_context(reading)
        yield stack.enter_context(writing)


@contextmanager
def ticker() -> Iterator[object]:
    with Ticker() as started:
        started.add(Meter())
        yield started


@contextmanager
def container() -> Iterator[object]:
    started = MetricsContainer()
    started.init_resources()
    yield started
    started.shutdown_resources()


@contextmanager
def resource() -> Iterator[object]:
    class Demanding(LifecycleContainer):
        asked_for = Resource(object)

    started = Demanding()
    started.asked_for()
    yield started
    started.shutdown_resources()


@contextmanager
def stock_resource() -> Iterator[object]:
    class Stock(containers.DeclarativeContainer):
        connection = providers.Resource(dict)

    started = Stock()
    started.connection()
    yield started
    started.shutdown_resources()


PLANTED = {
    thread: "thread 'waiting' (daemon)",
    foreign_thread: r"thread '\d+' (started without threading)",
    executor: "executor thread 'pool_0'",
    loop: "event loop '_UnixSelectorEventLoop' (not closed)",
    task: "task 'sleeper' (sleep)",
    process: "process '.*time.sleep.60.*",
    forked_process: "process '.*",
    listener: r"socket '127.0.0.1:\d+' (descriptor \d+)",
    file: r"file '.*\.left' (descriptor \d+)",
    pipe: r"socket 'unnamed.*",
    ticker: "thread 'metrics-ticker' (daemon)",
    container: "container 'MetricsContainer' (RUNNING, with .*)",
    resource: "container 'Demanding' (NEW, with asked_for)",
    stock_resource: "resource 'dict' (initialized)",
}

WITHOUT_STACK = {foreign_thread, file, stock_resource}
