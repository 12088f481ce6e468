"""The leak check in a suite that pytest-randomly shuffles, and whose random numbers it seeds."""

import pytest

from tests.testing.planted import THREAD, Suite, suite

__all__ = ["suite"]

pytestmark = pytest.mark.slow(reason="runs pytest in processes")

SHUFFLED = f"""{THREAD}
import random
import pytest

@pytest.fixture(autouse=True)
def drawn(request):
    numbers = [random.random()]
    yield numbers
    numbers.append(random.random())
    with open("drawn.txt", "a") as file:
        print(request.node.name, numbers, file=file)

@pytest.fixture(scope="class")
def class_wide(): start("of-class")

@pytest.fixture(scope="module")
def module_wide():
    stop = start("of-module")
    yield
    stop()

class TestFirst:
    def test_first(self, class_wide, module_wide): pass
    def test_second(self, class_wide, drawn): drawn.append(random.random())

class TestSecond:
    def test_third(self, class_wide): pass
    def test_fourth(self, module_wide, drawn): drawn.append(random.random())

@pytest.mark.parametrize("number", range(5))
def test_innocent(number, module_wide): pass

@pytest.mark.parametrize("number", range(3))
def test_guilty(number, drawn):
    drawn.append(random.random())
    start(f"planted-{{number}}")
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_blame_and_random_numbers_are_those_of_the_seed(suite: Suite, seed: int):
    pytest.importorskip("pytest_randomly")
    shuffled = ("-v", "-p", "pytest_randomly", f"--randomly-seed={seed}")
    drawn = suite.path / "drawn.txt"
    plain = suite.run(SHUFFLED, *shuffled, ordered=True)
    plain.assert_outcomes(passed=12)
    numbers = drawn.read_text()
    drawn.unlink()
    run = suite.checked(SHUFFLED, *shuffled, "--leakcheck-grace=0.2", ordered=True)
    run.assert_outcomes(passed=12, errors=5)
    assert drawn.read_text() == numbers
    run.stdout.fnmatch_lines([f"Using --randomly-seed={seed}"])
    reports = [line for line in run.outlines if " left behind: " in line]
    assert sorted(line for line in reports if "ERROR" not in line) == [
        *2 * ["class-scoped fixture 'class_wide' left behind: thread 'of-class'"],
        *(f"test_guilty[{number}] left behind: thread 'planted-{number}'" for number in range(3)),
    ]
    run.stdout.no_fnmatch_line("*leaks of the session*")
