"""What holds for every run of the tests."""

import gc
import signal
import sys
from collections.abc import Iterator

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The longest tests come first: at the end, the other processes of a run would wait for them.
    items.sort(key=lambda item: item.path.name != "test_build.py")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("slow"):
        assert mark.kwargs.get("reason"), "slow without a reason; write `slow(reason=...)`"


def pytest_collection_finish() -> None:
    # Many tests collect garbage. The modules stay, and take longer to look through than the rest.
    gc.collect()
    gc.freeze()


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
