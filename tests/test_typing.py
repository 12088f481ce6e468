"""Type checkers accept the programs in `tests/typing`, but for the lines that must be errors.

Such a line has comments that suppress its error. Each checker reports a comment that suppresses
nothing, so an error that is no longer found fails as well.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAMS = sorted((ROOT / "tests/typing").glob("*.py"))

# One error of each kind: a wrong type, a wrong argument, and a comment that suppresses nothing.
PLANTED = """\
from typing import assert_type
from metrics import Counter
assert_type(Counter().count, str)
Counter().inc("1")
Counter().inc(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
"""

pytestmark = pytest.mark.slow(reason="runs two type checkers")


def output(*command: object) -> str:
    """Return the standard output of a checker, which runs once for all programs."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


def mypy_errors(programs: list[Path]) -> list[tuple[str, int, str]]:
    """Return the files, lines and codes of the errors that mypy reports.

    Its cache is that of the checkout, because most of its time goes into frameworks.
    """
    found = [json.loads(line) for line in output("mypy", "-O", "json", *programs).splitlines()]
    return sorted((Path(each["file"]).name, each["line"], each["code"]) for each in found)


def pyright_errors(programs: list[Path]) -> list[tuple[str, int, str]]:
    """Return the files, lines and rules of the errors that pyright reports."""
    python = ("--pythonpath", sys.executable)
    found = json.loads(output("pyright", "--outputjson", *python, *programs))
    return sorted(
        (Path(each["file"]).name, each["range"]["start"]["line"] + 1, each["rule"])
        for each in found["generalDiagnostics"]
    )


@pytest.mark.parametrize(
    ("errors", "codes"),
    [
        (mypy_errors, ["assert-type", "arg-type", "unused-ignore"]),
        (
            pyright_errors,
            [
                "reportAssertTypeFailure",
                "reportArgumentType",
                "reportUnnecessaryTypeIgnoreComment",
            ],
        ),
    ],
    ids=["mypy", "pyright"],
)
def test_a_checker_reports_the_errors_of_a_wrong_program_and_no_other(errors, codes, tmp_path):
    assert len(PROGRAMS) >= 6
    wrong = tmp_path / "wrong.py"
    wrong.write_text(PLANTED)
    assert errors([*PROGRAMS, wrong]) == [
        ("wrong.py", line, code) for line, code in enumerate(codes, start=3)
    ]
