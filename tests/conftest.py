"""What holds for every run of the tests."""

import gc
import logging
import signal
import sys
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["pytester"]


# How long an example takes says how busy the machine is. Each run generates other examples.
settings.register_profile(
    "untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40
)
settings.load_profile("untimed")

# `--hypothesis-profile=brief` is for the compiled library, whose source has been tested before, and
# `thorough` for tox, whose runs may take longer.
settings.register_profile("brief", settings.get_profile("untimed"), max_examples=20)
settings.register_profile("thorough", settings.get_profile("untimed"), max_examples=100)


def pytest_configure() -> None:
    # A shell lets what it starts in the background ignore SIGINT, and so would all that is tested.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Let each process of a parallel run begin with another file.

    The first collection compiles the tests, and the processes share what one of them has compiled.
    """
    report = yield
    process = getattr(collector.config, "workerinput", None)  # of pytest-xdist
    if process and isinstance(collector, pytest.Directory):
        first = len(report.result) * int(process["workerid"][2:]) // process["workercount"]
        report.result = report.result[first:] + report.result[:first]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.path)
    yield
    # The longest tests come first: at the end, the other processes of a run would wait for them.
    items.sort(key=lambda item: item.path.name != "test_build.py")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("slow"):
        assert mark.kwargs.get("reason"), "slow without a reason; write `slow(reason=...)`"


# A collection of tests makes hundreds of thousands of objects, and next to no garbage.
gc.disable()


def pytest_collection_finish() -> None:
    gc.enable()
    # Many tests collect garbage. The modules stay, and take longer to look through than the rest.
    gc.collect()
    gc.freeze()


class Reports(logging.Handler):
    """Messages of asyncio, such as that nobody has retrieved the exception of a task."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


REPORTS = Reports()
logging.getLogger("asyncio").addHandler(REPORTS)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown() -> Generator[None]:
    yield
    if REPORTS.messages:
        # It may be of an earlier test, and is in the log of whichever collects the garbage.
        messages = "\n".join(REPORTS.messages)
        REPORTS.messages.clear()
        pytest.fail(f"asyncio reported: {messages}", pytrace=False)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    # The header, which has the seed as well, is not shown with -q.
    seed = config.getoption("randomly_seed", None)
    if exitstatus and seed is not None:
        terminalreporter.write_line(f"To repeat the order of the tests: --randomly-seed={seed}")


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Let the interpreter switch threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)
