"""Where something was started is told by the lines of who started it."""

import asyncio
import importlib.util
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from metrics import Meter, Ticker
from metrics.lifecycle import MetricsContainer
from metrics.testing import Leak
from tests.testing.leaks.leaving import blamed

FOREIGN = "\n".join(
    f"def f{depth}(start): return f{depth + 1}(start)" if depth < 9 else "def f9(start): start()"
    for depth in range(10)
)


@pytest.fixture
def foreign(tmp_path: Path) -> ModuleType:
    """A library that calls ten functions of its own before it does what it is asked for."""
    file = tmp_path / "site-packages" / "foreign.py"
    file.parent.mkdir()
    file.write_text(FOREIGN, "utf-8")
    spec = importlib.util.spec_from_file_location("foreign", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextmanager
def waiting() -> Iterator[threading.Thread]:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    yield thread
    over.set()
    thread.join()


def functions(leak: Leak) -> list[str]:
    return [place.function for place in leak.stack]


def test_only_the_last_functions_of_a_library_are_shown(foreign: ModuleType):
    def ask() -> None:
        foreign.f0(thread.start)

    with waiting() as thread:
        _, (leak,) = blamed(ask)
    told = ["f9", "f8", "f7", "ask", "blamed"]
    assert functions(leak)[: len(told)] == told
    assert leak.place == f"{__file__}:{leak.stack[3].line}"
    assert "in f7\n" in str(leak)
    assert "      foreign.f0(thread.start)" in str(leak).splitlines()


def test_what_a_library_calls_back_is_shown(foreign: ModuleType):
    def start() -> None:
        thread.start()

    with waiting() as thread:
        _, (leak,) = blamed(lambda: foreign.f0(start))
    assert functions(leak)[:3] == ["start", "<lambda>", "blamed"]


def ticker() -> Callable[[], None]:
    started = Ticker()
    started.add(Meter())
    started.start()
    return started.stop


def container() -> Callable[[], None]:
    started = MetricsContainer()
    started.init_resources()
    return started.shutdown_resources


def executor() -> Callable[[], None]:
    started = ThreadPoolExecutor(1)
    started.submit(int).result()
    return started.shutdown


def loop() -> Callable[[], None]:
    return asyncio.new_event_loop().close


@pytest.mark.parametrize("start", [ticker, container, executor, loop])
def test_neither_this_library_nor_what_only_starts_for_others_is_shown(start):
    stop, leaks = blamed(start)
    stop()
    own = [functions(leak) for leak in leaks if leak.stack]
    assert own
    assert [told.index(start.__name__) <= 3 for told in own] == [True] * len(own)
    assert not {name for told in own for name in told} & {"claim", "init_resources", "bring_up"}


def test_functions_of_a_library_are_shown_when_there_are_no_others(foreign: ModuleType):
    begun = threading.Event()

    def start() -> None:
        thread.start()
        begun.set()

    with waiting() as thread:
        starting = threading.Thread(target=foreign.f9, args=(thread.start,))
        _, leaks = blamed(lambda: (starting.start(), starting.join()))
    assert [functions(leak) for leak in leaks] == [["f9"]]
