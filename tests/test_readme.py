"""What the README shows works as it stands there."""

import re
from pathlib import Path
from textwrap import indent

import pytest

import metrics.testing

BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
README = Path(__file__).parents[1] / "README.md"


def block_with(text: str) -> str:
    [found] = [block for block in BLOCK.findall(README.read_text()) if text in block]
    return found


def test_the_example_of_a_program_runs(capsys):
    exec(
        compile(block_with("# starts ticker, registry, requests"), README, "exec"),
        {"__name__": "example"},
    )
    assert "{'rpc/requests': {'count': 1, '1m.rate': 0.0" in capsys.readouterr().out


def test_the_example_of_a_test_is_that_of_the_test_kit():
    assert indent(block_with("def test_"), "    ") in metrics.testing.__doc__


def test_the_example_of_a_test_passes(pytester: pytest.Pytester):
    pytester.makepyfile(block_with("def test_"))
    pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio").assert_outcomes(passed=1)
